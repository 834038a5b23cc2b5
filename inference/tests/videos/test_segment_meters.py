"""Segments are measured one by one; together they are the video."""

from __future__ import annotations

import pytest

from inference import handlers
from inference.models import JobMeter
from inference.tests.videos.steps import FRAMES, split

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("segmented")
def test_segments_are_measured_one_by_one_and_add_up(job):
    for index in split(job):
        handlers.run_swap_segment(job_id=job.pk, index=index)
    meters = JobMeter.objects.filter(job=job).order_by("segment_index", "attempt")
    found = [(one.segment_index, one.attempt, one.outcome, one.frames_count) for one in meters]
    assert found == [
        *((index, 1, "DONE", FRAMES // 4) for index in range(4)),
        (None, 1, "SPLIT", 0),
        (None, 2, "DONE", 0),
    ]
    target = job.quote.target
    pixels = sum(one.pixels_count for one in meters)
    assert pixels == FRAMES * target.width_px * target.height_px
    assert all(one.bytes_out for one in meters if one.outcome == "DONE")
