"""A segment that breaks the process of its worker ends the whole job, and nothing else."""

from __future__ import annotations

import pytest

from inference import isolated
from inference.tests.isolation import acting
from inference.tests.videos.steps import assert_refunded, result_files, split
from inference.types import Resend

pytestmark = pytest.mark.django_db(transaction=True)


def test_segment_that_crashes_fails_the_job_with_a_refund(
    segmented, job, settings, monkeypatch, media_root
) -> None:
    indexes = split(job)
    assert len(indexes) == 4
    settings.WORKER_ISOLATED = True
    process = acting("crash")
    monkeypatch.setattr(isolated, "process", process)

    assert isolated.run_swap_segment(job_id=job.pk, index=indexes[1]) == Resend()
    process.close()

    assert_refunded(job, "processing_crashed")
    assert job.error_detail == "Segment 1: SIGSEGV"
    assert result_files(media_root) == []
