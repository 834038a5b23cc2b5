"""Video jobs in segments: who may do what, and what faults lead to."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.utils import timezone

from inference import (
    handlers,
    segment_transitions,
    services,
    tasks,
)
from inference.models import SwapJob, SwapSegment
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import swap_video as engine_video
from inference.tests.videos.steps import (
    FRAMES,
    Killed,
    assert_refunded,
    assert_whole,
    lapse,
    result_files,
    split,
    take,
)
from inference.types import SegmentOutput
from tokens import services as tokens_services

pytestmark = pytest.mark.django_db
Status = SwapJob.Status


@pytest.mark.usefixtures("segmented")
def test_long_video_is_split_and_joined(job, clip, media_root, client_of):
    indexes = split(job)

    assert indexes == [0, 1, 2, 3]
    assert handlers.unsent_segments(job_id=job.pk) == (), "sent once"
    job.refresh_from_db()
    assert (job.status, job.lease_expires_at, job.segments_count) == (Status.RUNNING, None, 4)
    assert handlers.run_swap_job(job_id=job.pk) is False, "a repeated message does nothing"
    for index in (3, 0, 2):
        handlers.run_swap_segment(job_id=job.pk, index=index)
    said = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}").data
    assert said["state"] == "running"
    progress = dict(said["progress"])
    assert progress.pop("eta_s") >= 0
    assert progress == {
        "stage": "video",
        "percent": 5 + 85 * 3 // 4,
        "queue_position": None,
        "frames_done": 150,
        "frames": FRAMES,
        "segments_done": 3,
        "segments": 4,
    }
    handlers.run_swap_segment(job_id=job.pk, index=1)

    assert_whole(job, clip, media_root)
    assert job.attempt == 2, "one for the plan, one for the join"
    handlers.run_swap_segment(job_id=job.pk, index=1)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_tasks_send_the_segments(job, clip, media_root, monkeypatch):
    sent = []
    monkeypatch.setattr(
        tasks.run_swap_segment, "apply_async", lambda kwargs, **_: sent.append(kwargs)
    )

    tasks.run_swap_job(job_id=str(job.pk))

    assert sent == [{"job_id": str(job.pk), "index": index} for index in range(4)]
    for message in sent:
        tasks.run_swap_segment(**message)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_segments_without_any_face_are_refunded(job, work, media_root):
    work.faces = 0

    for index in split(job):
        handlers.run_swap_segment(job_id=job.pk, index=index)

    assert_refunded(job, "no_face_in_target")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_segment_is_claimed_once_until_its_lease_lapses(job):
    split(job)
    claim = take(job, 0)

    assert segment_transitions.claim(job_id=job.pk, index=0) is None
    assert segment_transitions.claim(job_id=job.pk, index=9) is None
    lapse(job, 0)
    assert take(job, 0).attempt == 2
    assert not segment_transitions.renew(claim=claim, frames_done=1, is_hold_due=True)
    late = segment_transitions.complete(claim=claim, output=SegmentOutput(key="x", report={}))
    assert not late.is_accepted
    assert not segment_transitions.fail(claim=claim, code="x", detail="x")
    assert segment_transitions.retry(claim=claim, detail="x") is None


@pytest.mark.usefixtures("segmented")
def test_renewing_keeps_segment_and_tokens(job, settings):
    split(job)
    claim = take(job, 0)
    lapse(job, 0)
    settings.HOLD_TTL_S = 100_000

    assert segment_transitions.renew(claim=claim, frames_done=25, is_hold_due=True)

    assert segment_transitions.lapsed(limit=10) == []
    job.refresh_from_db()
    assert (job.frames_done, job.progress_percent) == (25, 15)
    assert job.hold is not None
    assert job.hold.expires_at > timezone.now() + dt.timedelta(seconds=90_000)


@pytest.mark.usefixtures("segmented")
def test_fault_of_the_input_in_one_segment_ends_all(job, work, media_root):
    first, second, *_ = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=first)
    running = take(job, 3)
    work.error = pipeline_errors.SeveralFacesError("target", 2)

    again = handlers.run_swap_segment(job_id=job.pk, index=second)

    assert (again.job, again.segment) == (False, False)
    assert_refunded(job, "several_faces_in_target")
    statuses = list(SwapSegment.objects.order_by("index").values_list("status", flat=True))
    assert statuses == ["DONE", "STOPPED", "STOPPED", "STOPPED"]
    assert not segment_transitions.renew(claim=running, frames_done=1, is_hold_due=True)
    assert segment_transitions.claim(job_id=job.pk, index=2) is None
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_fault_of_ours_is_tried_again_then_refunded(job, work):
    index, *_ = split(job)
    work.error = OSError("disk")

    outcomes = [handlers.run_swap_segment(job_id=job.pk, index=index).segment for _ in range(3)]

    assert outcomes == [True, True, False]
    assert_refunded(job, "internal_error")
    assert "Segment 0" in job.error_detail


@pytest.mark.usefixtures("segmented")
def test_operator_stops_all_segments(job, work, media_root, monkeypatch):
    index, *_ = split(job)
    real_swap = work.swap_video

    def stopping(**kwargs):
        services.stop_swap_job(job_id=job.pk, actor_id=1)
        return real_swap(**kwargs)

    monkeypatch.setattr(engine_video, "swap_video", stopping)
    handlers.run_swap_segment(job_id=job.pk, index=index)

    assert_refunded(job, "stopped_by_operator")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_operator_gives_the_rest_to_new_workers(job, clip, media_root):
    indexes = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=indexes[0])
    stuck = take(job, 1)

    services.requeue_swap_job(job_id=job.pk, actor_id=1)

    assert [index for _id, index in handlers.unsent_segments(job_id=job.pk)] == [1, 2, 3]
    assert not segment_transitions.renew(claim=stuck, frames_done=1, is_hold_due=False)
    for index in (1, 2, 3):
        handlers.run_swap_segment(job_id=job.pk, index=index)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_sweep_finds_lost_segments_and_messages(job, settings):
    split(job)
    take(job, 0)
    lapse(job, 0)
    long_ago = timezone.now() - dt.timedelta(seconds=settings.JOB_LEASE_S * 3)
    SwapSegment.objects.filter(job=job, index=1).update(sent_at=long_ago)
    SwapSegment.objects.filter(job=job, index=2).update(sent_at=None)

    report = handlers.requeue_stale_jobs()

    assert (report.to_send, report.failed) == ((), ())
    assert set(report.segments_to_send) == {(job.pk, 0), (job.pk, 1), (job.pk, 2)}
    assert handlers.requeue_stale_jobs().segments_to_send == (), "sent once"


@pytest.mark.usefixtures("segmented")
def test_worker_that_dies_on_a_segment_every_time_ends_in_a_refund(job, work, media_root):
    """As when a file crashes the decoder, and with it the process."""
    index, *_ = split(job)
    work.error = Killed()

    for _attempt in range(3):
        with pytest.raises(Killed):
            handlers.run_swap_segment(job_id=job.pk, index=index)
        lapse(job, index)
        handlers.requeue_stale_jobs()

    assert_refunded(job, "worker_lost")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_split_job_that_nobody_works_on_is_refunded(job, settings):
    split(job)
    long_ago = timezone.now() - dt.timedelta(seconds=settings.HOLD_TTL_S + 1)
    SwapSegment.objects.filter(job=job).update(queued_at=long_ago)
    claim = take(job, 0)
    assert handlers.requeue_stale_jobs().failed == (), "one is at work"
    segment_transitions.retry(claim=claim, detail="x")
    assert handlers.requeue_stale_jobs().failed == (), "one was, a moment ago"
    SwapSegment.objects.filter(job=job).update(queued_at=long_ago)

    assert handlers.requeue_stale_jobs().failed == (job.pk,)

    assert_refunded(job, "queue_timeout")


@pytest.mark.usefixtures("segmented")
def test_tokens_that_were_given_back_end_the_job_at_the_next_segment(job):
    split(job)
    assert job.hold_id is not None
    with transaction.atomic():
        tokens_services.void_hold(hold_id=job.hold_id)

    assert segment_transitions.claim(job_id=job.pk, index=0) is None

    assert_refunded(job, "hold_expired")
