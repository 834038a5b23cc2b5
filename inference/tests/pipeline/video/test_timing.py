from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.pipeline.video.errors import VideoTooLongError
from inference.pipeline.video.timing import (
    OutputClock,
    PtsRepairer,
    Shot,
    TimedFrame,
    output_clock,
    with_ends,
    with_shots,
)

_MS = Fraction(1, 1000)


def _timed(start: int, end: int) -> TimedFrame[str]:
    return TimedFrame("", start, end)


def test_missing_repeated_and_backward_timestamps_continue_evenly():
    repairer = PtsRepairer(frame_ticks=40, first_pts=0)
    raw = [0, 40, None, 120, 120, 80, 300, 10, 20]
    assert [repairer.repair(pts) for pts in raw] == [0, 40, 80, 120, 160, 200, 300, 340, 380]
    assert repairer.repaired_count == 5


def test_a_negative_first_timestamp_stays_and_a_missing_one_is_the_start():
    assert PtsRepairer(frame_ticks=40, first_pts=0).repair(-200) == -200
    missing = PtsRepairer(frame_ticks=40, first_pts=7)
    assert missing.repair(None) == 7
    assert missing.repaired_count == 1


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), max_size=60))
def test_repaired_timestamps_always_ascend(raw: list[int | None]):
    repairer = PtsRepairer(frame_ticks=3, first_pts=0)
    repaired = [repairer.repair(pts) for pts in raw]
    assert all(after > before for before, after in pairwise(repaired))
    if all(after is not None for after in raw) and repaired == raw:
        assert repairer.repaired_count == 0


def test_a_frame_ends_where_the_next_begins_and_the_last_as_long_as_it_says():
    frames = [("a", 0, 40), ("b", 50, 40), ("c", 200, 30)]
    timed = list(with_ends(frames, end_of_last=lambda: None))
    assert [(item.start_pts, item.end_pts) for item in timed] == [
        (0, 50),
        (50, 200),
        (200, 230),
    ]
    cut = list(with_ends(frames, end_of_last=lambda: 205))
    assert cut[-1].end_pts == 205


def test_without_a_rate_every_timestamp_is_kept():
    clock = output_clock(time_base=_MS, zero_pts=1000, fps=None)
    assert clock.tick_s == _MS
    assert clock.shots(_timed(1033, 1066), shots_max=10) == (Shot(33, 33),)


def test_a_frame_that_would_be_repeated_for_ever_is_refused_at_once():
    clock = output_clock(time_base=_MS, zero_pts=0, fps=Fraction(25))
    assert len(clock.shots(_timed(0, 4000), shots_max=100)) == 100
    with pytest.raises(VideoTooLongError):
        clock.shots(_timed(0, 10**15), shots_max=100)


def test_a_clock_too_fine_for_containers_is_coarsened():
    clock = output_clock(time_base=Fraction(1, 10**9), zero_pts=0, fps=None)
    assert clock.tick_s == Fraction(1, 90_000)
    assert clock.shots(_timed(10**9, 10**9 + 1), shots_max=10) == (Shot(90_000, 1),)


def test_the_clock_of_a_new_rate_hits_every_frame_time():
    for time_base in (_MS, Fraction(1, 12800), Fraction(1, 90_000)):
        for fps in (Fraction(24000, 1001), Fraction(30), Fraction(60000, 1001)):
            clock = output_clock(time_base=time_base, zero_pts=0, fps=fps)
            assert (1 / fps / clock.tick_s).denominator == 1


@given(
    durations=st.lists(st.integers(1, 400), min_size=1, max_size=80),
    fps=st.sampled_from([Fraction(10), Fraction(24000, 1001), Fraction(50), Fraction(120)]),
)
def test_a_new_rate_keeps_the_duration_and_shows_the_frame_of_the_moment(
    durations: list[int], fps: Fraction
):
    clock: OutputClock = output_clock(time_base=_MS, zero_pts=0, fps=fps)
    starts = [sum(durations[:number]) for number in range(len(durations))]
    end = sum(durations)
    frames = (
        TimedFrame(number, start, start + duration)
        for number, (start, duration) in enumerate(zip(starts, durations, strict=True))
    )
    written = [
        (timed.frame, shot)
        for timed, shots in with_shots(frames, clock, shots_max=10_000)
        for shot in shots
    ]
    # Written without gap or overlap, at k / fps, and exactly as long as the source.
    position = 0
    for place, (number, shot) in enumerate(written):
        assert shot.pts == position
        assert shot.pts * clock.tick_s == place / fps
        assert starts[number] * _MS <= place / fps < (starts[number] + durations[number]) * _MS
        position += shot.duration
    assert position * clock.tick_s == end * _MS
