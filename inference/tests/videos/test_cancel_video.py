"""Canceling a video in segments: exactly the frames that are done are charged."""

from __future__ import annotations

import pytest

from inference import handlers, segment_transitions, services
from inference.models import SwapJob, SwapSegment
from inference.pipeline import swap_video as engine_video
from inference.tests import factories
from inference.tests.videos.steps import FRAMES, lapse, result_files, split, take
from inference.types import SegmentOutput

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("segmented")]
Status = SwapJob.Status
QUOTED = 80


def assert_charged(job: SwapJob, tokens: int) -> None:
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.CANCELED, "")
    books = factories.books(job)
    assert (books.balance.available, books.balance.held) == (100 - tokens, 0)
    statuses = set(SwapSegment.objects.filter(job=job).values_list("status", flat=True))
    assert statuses <= {"DONE", "STOPPED"}


def cancel(job: SwapJob) -> None:
    services.cancel_swap_job(owner_id=job.owner_id, job_id=job.pk)


def test_done_segments_and_frames_at_work_are_charged(job, media_root, client_of):
    first, second, third, _ = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=first)
    for index, frames in ((second, 17), (third, 8)):
        claim = take(job, index)
        assert segment_transitions.renew(claim=claim, frames_done=frames, is_hold_due=False)

    cancel(job)

    assert_charged(job, QUOTED * (50 + 17 + 8) // FRAMES)
    assert result_files(media_root) == []
    receipt = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}").data["receipt"]
    assert (receipt["quoted"], receipt["held"]) == (QUOTED, QUOTED)
    assert (receipt["settled"], receipt["refunded"]) == (30, 50)
    assert [row["kind"] for row in receipt["transfers"]] == ["hold", "settle", "release"]
    assert not segment_transitions.renew(claim=claim, frames_done=9, is_hold_due=False)
    assert handlers.run_swap_segment(job_id=job.pk, index=3).job is False


def test_frames_of_a_lost_worker_are_not_charged(job):
    first, second, *_ = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=first)
    claim = take(job, second)
    segment_transitions.renew(claim=claim, frames_done=30, is_hold_due=False)
    lapse(job, second)

    cancel(job)

    assert_charged(job, QUOTED * 50 // FRAMES)


def test_split_job_of_which_nothing_is_done_costs_nothing(job):
    split(job)

    cancel(job)

    assert_charged(job, 0)
    assert factories.books(job).kinds == ("hold", "release")


def test_cancel_while_the_parts_are_joined_charges_the_whole(job):
    indexes = split(job)
    for index in indexes[:-1]:
        handlers.run_swap_segment(job_id=job.pk, index=index)
    claim = take(job, indexes[-1])
    report = SwapSegment.objects.get(job=job, index=0).report
    done = segment_transitions.complete(
        claim=claim, output=SegmentOutput(key="results/x.nut", report=report)
    )
    assert done.join is not None

    cancel(job)

    assert_charged(job, QUOTED)
    assert factories.books(job).kinds == ("hold", "settle")


def test_worker_in_the_middle_of_a_segment_stops(job, work, media_root, monkeypatch):
    index, *_ = split(job)
    monkeypatch.setattr("inference.observers._SEGMENT_INTERVAL_S", 0.0)
    real_swap = work.swap_video

    def canceling(**kwargs):
        cancel(job)
        return real_swap(**kwargs)

    monkeypatch.setattr(engine_video, "swap_video", canceling)
    again = handlers.run_swap_segment(job_id=job.pk, index=index)

    assert (again.job, again.segment) == (False, False)
    assert_charged(job, 0)
    assert result_files(media_root) == []
