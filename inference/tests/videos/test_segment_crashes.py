"""Workers that die at any step of a job in segments."""

from __future__ import annotations

import pytest

from inference import (
    handlers,
    runtime,
    segment_transitions,
    storage,
    transitions,
    videos,
)
from inference.models import SwapJob
from inference.tests import factories
from inference.tests.videos.steps import (
    Killed,
    assert_refunded,
    assert_whole,
    run_all,
    run_undisturbed,
    split,
)

pytestmark = pytest.mark.django_db
Status = SwapJob.Status


CRASHES = [
    (runtime, "plan_video"),
    (segment_transitions, "split"),
    (segment_transitions, "mark_sent"),
    (segment_transitions, "claim"),
    (videos, "swap_segment"),
    (segment_transitions, "complete"),
    (runtime, "join_video"),
    (runtime, "poster"),
    (storage, "sha256_of"),
    (transitions, "finish"),
    (handlers, "discard_results"),
]


@pytest.mark.usefixtures("segmented")
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", CRASHES, ids=lambda place: place[1])
def test_crash_anywhere_ends_in_one_paid_result(job, clip, media_root, monkeypatch, place, is_done):
    module, name = place
    real = getattr(module, name)
    happened: list[str] = []

    def dying(*args, **kwargs):
        if happened:
            return real(*args, **kwargs)
        happened.append(name)
        if is_done:
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(module, name, dying)
    with pytest.raises(Killed):
        run_undisturbed(job)
    assert factories.books(job).kinds in {("hold",), ("hold", "settle")}

    if not SwapJob.objects.get(pk=job.pk).is_final:
        run_all(job)
    # The broker repeats the message of the worker that died.
    handlers.run_swap_segment(job_id=job.pk, index=3)

    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_join_that_breaks_is_tried_again_and_then_refunded(job, monkeypatch):
    def broken(**_):
        raise OSError("disk")

    indexes = split(job)
    monkeypatch.setattr(runtime, "join_video", broken)
    again = [handlers.run_swap_segment(job_id=job.pk, index=index).job for index in indexes]

    assert again == [False, False, False, True]
    job.refresh_from_db()
    assert (job.status, job.progress_percent) == (Status.QUEUED, 90)
    assert [handlers.run_swap_job(job_id=job.pk) for _ in range(2)] == [True, False]
    assert_refunded(job, "internal_error")
