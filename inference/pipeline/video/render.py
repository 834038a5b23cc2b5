"""The middle of a run: which frames, how workers change them, when they are shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.video.frame import VideoFrame

from inference.pipeline.types import Image
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import DecodedFrame, DecodeRange, FrameReader, trim_range
from inference.pipeline.video.errors import InvalidOutputError, VideoTooLongError
from inference.pipeline.video.formats import OutputFormat, output_size
from inference.pipeline.video.timing import OutputClock, Shot, output_clock, with_ends, with_shots
from inference.pipeline.video.types import (
    Frame,
    FrameFn,
    Segment,
    StreamOutcome,
    TrackedFrameFn,
    TranscodeOptions,
    VideoInfo,
    VideoReport,
)

_COLOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Work:
    """A decoded frame on its way to a worker; no shots for lead-in frames."""

    decoded: VideoFrame
    index: int
    time_s: Fraction
    shots: tuple[Shot, ...]
    tracked: tuple[Frame, object] | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frame for the encoder, None for lead-in, and when it is shown."""

    frame: VideoFrame | None
    shots: tuple[Shot, ...]


class Rendering:
    """One run over one part of one video.

    Attributes:
        clock: known once the first frame has come.
    """

    def __init__(
        self,
        *,
        source: Path,
        info: VideoInfo,
        chosen: OutputFormat,
        options: TranscodeOptions,
        frame_fn: FrameFn | TrackedFrameFn,
        segment: Segment | None,
    ) -> None:
        self.source = source
        self.info = info
        self.chosen = chosen
        self.options = options
        self.segment = segment
        self._frame_fn = frame_fn
        self._part = _part_of(info, options, segment)
        self._reader = FrameReader(
            source,
            info=info,
            limits=options.limits,
            corrupt_frames_max=options.corrupt_frames_max,
            threads=options.decoder_threads,
        )
        self._clock: OutputClock | None = None
        self._size_px: tuple[int, int] | None = None
        self._frames_out = 0
        self._used_count = 0
        self._repeated_count = 0
        self._ticks_count = 0

    @property
    def clock(self) -> OutputClock:
        """The result's clock."""
        assert self._clock is not None, "the clock is known with the first frame"
        return self._clock

    def expected_frames_count(self) -> int:
        """Frames that will be written, as far as the header tells."""
        fps, trim = self.options.output.fps, self.options.trim
        if self.segment is not None:
            share = Fraction(self.segment.frames_count, max(1, self.info.frames_count))
        else:
            start_s = trim.start_s if trim else Fraction(0)
            end_s = trim.end_s if trim and trim.end_s is not None else self.info.duration_s
            wanted_s = max(Fraction(0), min(end_s, self.info.duration_s) - start_s)
            share = wanted_s / self.info.duration_s if self.info.duration_s else Fraction(1)
        count = self.info.frames_count if fps is None else self.info.duration_s * fps
        return max(1, math.ceil(count * share))

    def work(self) -> Generator[Work, None, None]:
        """Decode, time, and track the frames of the part, in order; one thread runs this.

        Raises:
            VideoTooLongError: the new rate makes more frames than the limits allow.
        """
        converter = self._converter()
        decoded = self._reader.frames(self._part)
        lead_in: list[DecodedFrame] = []
        for first in decoded:
            if first.is_lead_in:
                lead_in.append(first)
                continue
            self._clock = self._clock_for(first)
            for place, early in enumerate(lead_in):
                yield self._make_work(converter, early, place - len(lead_in), ())
            own = _chain(first, decoded)
            triples = ((item, item.pts, item.duration) for item in own)
            timed_frames = with_ends(triples, end_of_last=self._end_of_last)
            frames_max = self.options.limits.frames_max
            timed_shots = with_shots(timed_frames, self.clock, shots_max=frames_max)
            for index, (timed, shots) in enumerate(timed_shots):
                self._count(shots)
                yield self._make_work(converter, timed.frame, index, shots)

    def make_worker(self) -> Callable[[Work], Rendered]:
        """A function for one worker thread, with scratch state of its own."""
        converter = self._converter()

        def run(work: Work) -> Rendered:
            return self._render(converter, work)

        return run

    def report(self, streams: tuple[StreamOutcome, ...]) -> VideoReport:
        """What the run did."""
        width, height = self._size_px or (0, 0)
        return VideoReport(
            frames_in=self._reader.frames_count,
            frames_out=self._frames_out,
            dropped_count=self._reader.frames_count - self._used_count,
            repeated_count=self._repeated_count,
            repaired_pts_count=self._reader.repaired_pts_count,
            corrupt_packets_count=self._reader.corrupt_packets_count,
            concealed_count=self._reader.concealed_count,
            duration_s=self._ticks_count * self.clock.tick_s,
            is_alpha_kept=self.chosen.is_alpha_kept,
            width=width,
            height=height,
            streams=streams,
        )

    def _converter(self) -> FrameConverter:
        return FrameConverter(info=self.info, keep_alpha=self.chosen.is_alpha_kept)

    def _clock_for(self, first: DecodedFrame) -> OutputClock:
        if self.segment is not None:
            zero_pts = self.segment.zero_pts
        elif self._part.start_pts is not None:
            zero_pts = first.pts
        else:
            zero_pts = min(self.info.origin_pts, first.pts)
        return output_clock(
            time_base=self.info.time_base, zero_pts=zero_pts, fps=self.options.output.fps
        )

    def _end_of_last(self) -> int | None:
        # A segment ends where the plan says, so that its neighbours agree.
        return self.segment.end_pts if self.segment is not None else self._reader.stop_pts

    def _count(self, shots: tuple[Shot, ...]) -> None:
        self._frames_out += len(shots)
        self._used_count += 1
        self._repeated_count += len(shots) - 1
        self._ticks_count += sum(shot.duration for shot in shots)
        if self._frames_out > self.options.limits.frames_max:
            raise VideoTooLongError(
                f"the result would have more than {self.options.limits.frames_max} frames"
            )

    def _make_work(
        self, converter: FrameConverter, item: DecodedFrame, index: int, shots: tuple[Shot, ...]
    ) -> Work:
        time_s = self.clock.time_of(item.pts)
        tracked: tuple[Frame, object] | None = None
        if isinstance(self._frame_fn, TrackedFrameFn):
            frame = _to_frame(converter, item.frame, index, time_s)
            tracked = (frame, self._frame_fn.track(frame))
        return Work(item.frame, index, time_s, shots, tracked)

    def _render(self, converter: FrameConverter, work: Work) -> Rendered:
        if work.tracked is not None:
            assert isinstance(self._frame_fn, TrackedFrameFn)
            frame, state = work.tracked
            image = self._frame_fn.render(frame, state) if work.shots else frame.image_bgr
        else:
            assert not isinstance(self._frame_fn, TrackedFrameFn)
            frame = _to_frame(converter, work.decoded, work.index, work.time_s)
            image = self._frame_fn(frame)
        if not work.shots:
            return Rendered(None, ())
        _check_image(image)
        size_px = output_size(image.shape[1], image.shape[0], scale=self.options.output.scale)
        if self._size_px is None:
            self._size_px = size_px
        if self._size_px != size_px:
            raise InvalidOutputError("the frames of the result differ in size")
        alpha = frame.alpha
        if self.options.overlay is not None:
            image, alpha = self.options.overlay.apply(image, alpha=alpha, time_s=work.time_s)
        encoded = converter.from_bgr(
            image,
            alpha=alpha,
            size_px=size_px,
            pixel_format=self.chosen.pixel_format,
        )
        return Rendered(encoded, work.shots)


def _part_of(info: VideoInfo, options: TranscodeOptions, segment: Segment | None) -> DecodeRange:
    lead_in = options.lead_in_frames
    if segment is not None:
        return DecodeRange(
            start_pts=segment.start_pts,
            end_pts=segment.end_pts,
            lead_in_frames=lead_in,
            expected_count=segment.frames_count,
        )
    if options.trim is None:
        expected = info.frames_count if info.is_frames_count_exact else None
        return DecodeRange(expected_count=expected)
    part = trim_range(info, start_s=options.trim.start_s, end_s=options.trim.end_s)
    return DecodeRange(start_pts=part.start_pts, end_pts=part.end_pts, lead_in_frames=lead_in)


def _chain(first: DecodedFrame, rest: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    yield first
    yield from rest


def _to_frame(
    converter: FrameConverter, decoded: VideoFrame, index: int, time_s: Fraction
) -> Frame:
    image_bgr, alpha = converter.to_bgr(decoded)
    return Frame(image_bgr=image_bgr, alpha=alpha, index=index, time_s=time_s, is_lead_in=index < 0)


def _check_image(image: Image) -> None:
    """A frame function that returns something else is a bug of ours, not bad input."""
    if image.dtype != np.uint8 or image.ndim != _COLOURS or image.shape[2] != _COLOURS:
        raise TypeError(f"the frame function returned {image.dtype} {image.shape}")
