"""Timestamps: repair of broken ones, the clock of the result, and changes of the frame rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final, Generic, TypeVar

from inference.pipeline.video.errors import VideoTooLongError
from inference.pipeline.video.types import VideoInfo

# Finer clocks do not fit the 32 bits of some containers, or overflow encoders.
_CLOCK_MAX_HZ: Final = 1_000_000
_RATE_DENOMINATOR_MAX: Final = 1001
_RATE_MIN: Final = Fraction(1, 10)
_FALLBACK_CLOCK: Final = Fraction(1, 90_000)

FrameT = TypeVar("FrameT")


@dataclass(frozen=True, slots=True)
class TimedFrame(Generic[FrameT]):
    """A frame with its place on the source's clock, half-open."""

    frame: FrameT
    start_pts: int
    end_pts: int


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of the result: start and duration in ticks of the output clock."""

    pts: int
    duration: int


class PtsRepairer:
    """Makes timestamps strictly ascending.

    A timestamp that is missing, or not after the one before, becomes the one before plus the
    nominal duration of a frame. A jump back therefore continues evenly, a jump ahead stays.
    """

    def __init__(self, *, frame_ticks: int, first_pts: int) -> None:
        self._frame_ticks = frame_ticks
        self._last = first_pts - frame_ticks
        self._is_first = True
        self.repaired_count = 0

    def repair(self, pts: int | None, *, is_known_gap: bool = False) -> int:
        """The repaired timestamp; ``is_known_gap`` keeps an expected absence out of the count."""
        is_good = pts is not None and (self._is_first or pts > self._last)
        if pts is None or not is_good:
            pts = self._last + self._frame_ticks
            self.repaired_count += not is_known_gap
        self._last, self._is_first = pts, False
        return pts


@dataclass(frozen=True, slots=True)
class OutputClock:
    """From the source's clock to the result's.

    Attributes:
        source_tick_s: the source's time base.
        tick_s: the result's, always ``1 / n``.
        zero_pts: source pts that is time zero.
        fps: rate to retime to, None keeps timestamps.
    """

    source_tick_s: Fraction
    tick_s: Fraction
    zero_pts: int
    fps: Fraction | None

    def time_of(self, pts: int) -> Fraction:
        """Seconds of the result at a source pts, exact."""
        return (pts - self.zero_pts) * self.source_tick_s

    def ticks_of(self, time_s: Fraction) -> int:
        """Nearest tick of the result."""
        return round(time_s / self.tick_s)

    def shots(self, timed: TimedFrame[FrameT], *, shots_max: int) -> tuple[Shot, ...]:
        """When a source frame is written: once, or as often as the rate asks for.

        With a rate, the result's picture k stands for time k / fps and shows the source frame of
        that time.

        Raises:
            VideoTooLongError: more than ``shots_max``; said before they are counted out.
        """
        start, end = self.time_of(timed.start_pts), self.time_of(timed.end_pts)
        if self.fps is None:
            first = self.ticks_of(start)
            return (Shot(first, max(1, self.ticks_of(end) - first)),)
        numbers = range(math.ceil(start * self.fps), math.ceil(end * self.fps) + 1)
        if len(numbers) - 1 > shots_max:
            raise VideoTooLongError(f"the result would have more than {shots_max} frames")
        edges = [self.ticks_of(number / self.fps) for number in numbers]
        return tuple(Shot(first, behind - first) for first, behind in pairwise(edges))


def output_clock(*, time_base: Fraction, zero_pts: int, fps: Fraction | None) -> OutputClock:
    """The clock of a result: the source's, refined so that a new rate's times are whole ticks."""
    hertz = time_base.denominator
    if fps is not None:
        hertz = math.lcm(hertz, fps.numerator)
    tick_s = Fraction(1, hertz) if hertz <= _CLOCK_MAX_HZ else _FALLBACK_CLOCK
    return OutputClock(source_tick_s=time_base, tick_s=tick_s, zero_pts=zero_pts, fps=fps)


def encoder_rate(clock: OutputClock, info: VideoInfo) -> Fraction:
    """The frame rate that encoders and containers are told; timestamps are what counts."""
    return max((clock.fps or info.fps).limit_denominator(_RATE_DENOMINATOR_MAX), _RATE_MIN)


def end_of_part(*, next_pts: int, part_end_pts: int, last_pts: int, frame_ticks: int) -> int:
    """Where the last frame of a part ends: at the next one, but not long after the part itself.

    A frame that is held for minutes behind the part would make it as long as that.
    """
    return min(next_pts, max(part_end_pts, last_pts + frame_ticks))


def with_ends(
    frames: Iterable[tuple[FrameT, int, int]], *, end_of_last: Callable[[], int | None]
) -> Iterator[TimedFrame[FrameT]]:
    """Give every frame its end: the next one's start.

    Args:
        frames: (frame, pts, duration), pts strictly ascending.
        end_of_last: asked after the last frame; None lets it last as long as it says.
    """
    held: tuple[FrameT, int, int] | None = None
    for entry in frames:
        if held is not None:
            yield TimedFrame(held[0], held[1], entry[1])
        held = entry
    if held is not None:
        frame, pts, duration = held
        end_pts = end_of_last()
        end_pts = pts + duration if end_pts is None else end_pts
        yield TimedFrame(frame, pts, max(pts + 1, end_pts))


def with_shots(
    frames: Iterable[TimedFrame[FrameT]], clock: OutputClock, *, shots_max: int
) -> Iterator[tuple[TimedFrame[FrameT], tuple[Shot, ...]]]:
    """The frames that are written at least once, and when; the rest is dropped.

    The very last shot is cut, so that a result with a new rate ends exactly with the source.

    Raises:
        VideoTooLongError: a single frame would be repeated more than ``shots_max`` times.
    """
    held: tuple[TimedFrame[FrameT], tuple[Shot, ...]] | None = None
    end_pts = 0
    for timed in frames:
        end_pts = timed.end_pts
        shots = clock.shots(timed, shots_max=shots_max)
        if not shots:
            continue
        if held is not None:
            yield held
        held = timed, shots
    if held is not None:
        timed, shots = held
        first = shots[-1].pts
        duration = max(1, clock.ticks_of(clock.time_of(end_pts)) - first)
        yield timed, (*shots[:-1], Shot(first, duration))
