"""Decodes the frames of a part of a video, in display order, with repaired timestamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.pipeline.video.errors import (
    InvalidTrimError,
    UnreadableVideoError,
    VideoTooLargeError,
    VideoTooLongError,
)
from inference.pipeline.video.opening import alpha_decoder, decoder_guard, open_source, read_packets
from inference.pipeline.video.probe import packet_pts
from inference.pipeline.video.timing import PtsRepairer, end_of_part
from inference.pipeline.video.types import Source, VideoInfo, VideoLimits

_SEEK_TRIES: Final = 6


@dataclass(frozen=True, slots=True)
class DecodeRange:
    """Which frames: ``start_pts <= pts < end_pts``; None is the start or the end of the video.

    Attributes:
        lead_in_frames: frames before the start that are handed out as well.
        expected_count: frames that must come, give or take the tolerated corrupt ones.
    """

    start_pts: int | None = None
    end_pts: int | None = None
    lead_in_frames: int = 0
    expected_count: int | None = None


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame as decoded: ``pts`` and ``duration`` in the source's time base."""

    frame: VideoFrame
    pts: int
    duration: int
    is_lead_in: bool = False


class FrameReader:
    """Reads one part of one video once.

    Attributes:
        frames_count: frames handed out so far, without lead-in.
        corrupt_packets_count: packets that could not be decoded.
        concealed_count: frames with parts the decoder had to guess.
        stop_pts: where the last frame of the part ends, once a frame behind it has been seen.
    """

    def __init__(
        self,
        source: Source,
        *,
        info: VideoInfo,
        limits: VideoLimits,
        corrupt_frames_max: int,
        threads: int = 1,
    ) -> None:
        self._source = source
        self._info = info
        self._limits = limits
        self._corrupt_max = corrupt_frames_max
        self._threads = threads
        self._repairer = self._new_repairer()
        self.stop_pts: int | None = None
        self.frames_count = 0
        self.corrupt_packets_count = 0
        self.concealed_count = 0

    @property
    def repaired_pts_count(self) -> int:
        """Timestamps that were missing or not ascending."""
        return self._repairer.repaired_count

    def frames(self, part: DecodeRange) -> Iterator[DecodedFrame]:
        """Decode a part; first its lead-in frames, then its own.

        Raises:
            UnreadableVideoError: more damage than tolerated, or nothing left.
            InvalidTrimError: the part starts behind the end of the video.
            VideoTooLargeError: a frame is larger than the limits, whatever the header said.
            VideoTooLongError: more frames than the limits, whatever the header said.
        """
        with open_source(self._source, pixels_max=self._limits.pixels_max) as container:
            yield from self._select(self._from_start(container, part), part)
        if not self.frames_count:
            if part.start_pts is not None and not self.corrupt_packets_count:
                raise InvalidTrimError("the part starts behind the end of the video")
            raise UnreadableVideoError("no frame of the part can be decoded")
        missing = (part.expected_count or 0) - self.frames_count
        if missing > self._corrupt_max:
            raise UnreadableVideoError(
                f"{missing} of {part.expected_count} frames are missing: the video is cut short "
                "or damaged"
            )

    def frame_at(self, pts: int) -> DecodedFrame:
        """The frame that is shown at ``pts``: the last one that starts by then, else the first.

        Raises:
            UnreadableVideoError: nothing there can be decoded.
        """
        shown: DecodedFrame | None = None
        with open_source(self._source, pixels_max=self._limits.pixels_max) as container:
            for item in self._from_start(container, DecodeRange(start_pts=pts)):
                if shown is not None and item.pts > pts:
                    break
                shown = item
        if shown is None:
            raise UnreadableVideoError("no frame can be decoded there")
        return shown

    def key_frames(self, places: Sequence[int]) -> Iterator[DecodedFrame]:
        """The frames that seeks to ascending ``places``, pts, land on; each once.

        Where a file cannot be searched, only its first frame is shown.

        Raises:
            UnreadableVideoError: more damage than tolerated.
        """
        with open_source(self._source, pixels_max=self._limits.pixels_max) as container:
            stream = self._stream(container)
            shown_pts: int | None = None
            for place in places:
                if place > self._info.first_pts and not self._can_seek(container, stream, place):
                    continue
                with closing(self._decode(container, stream)) as decoded:
                    item = next(decoded, None)
                if item is not None and (shown_pts is None or item.pts > shown_pts):
                    shown_pts = item.pts
                    yield item

    def _select(self, decoded: Iterator[DecodedFrame], part: DecodeRange) -> Iterator[DecodedFrame]:
        waiting: deque[DecodedFrame] = deque(maxlen=part.lead_in_frames)
        last_pts: int | None = None
        for item in decoded:
            if part.end_pts is not None and item.pts >= part.end_pts:
                if last_pts is not None:
                    self.stop_pts = end_of_part(
                        next_pts=item.pts,
                        part_end_pts=part.end_pts,
                        last_pts=last_pts,
                        frame_ticks=self._info.frame_ticks,
                    )
                return
            if part.start_pts is not None and item.pts < part.start_pts:
                waiting.append(item)
                continue
            while waiting:
                early = waiting.popleft()
                yield DecodedFrame(early.frame, early.pts, early.duration, is_lead_in=True)
            self._check_limits(item)
            last_pts = item.pts
            yield item

    def _check_limits(self, item: DecodedFrame) -> None:
        frame = item.frame
        self.frames_count += 1
        self.concealed_count += frame.is_corrupt
        if self.frames_count > self._limits.frames_max:
            raise VideoTooLongError(f"more than {self._limits.frames_max} frames")
        # A damaged timestamp far ahead would freeze the picture for days.
        ticks = max(item.pts - self._info.first_pts, item.duration)
        if ticks * self._info.time_base > self._limits.duration_max_s:
            raise VideoTooLongError(f"a frame lies behind {self._limits.duration_max_s} s")
        side = max(frame.width, frame.height)
        pixels = frame.width * frame.height
        if side > self._limits.side_max_px or pixels > self._limits.pixels_max:
            raise VideoTooLargeError(f"a frame has {frame.width} x {frame.height} px")

    def _from_start(self, container: InputContainer, part: DecodeRange) -> Iterator[DecodedFrame]:
        """Decoded frames from a key frame well before the part on."""
        stream = self._stream(container)
        if part.start_pts is None or part.start_pts <= self._info.first_pts:
            yield from self._decode(container, stream)
            return
        ticks = self._info.frame_ticks
        reach = part.lead_in_frames * ticks
        for _ in range(_SEEK_TRIES):
            if not self._seek(container, stream, part.start_pts - reach):
                break
            decoded = self._decode(container, stream)
            early: list[DecodedFrame] = []
            for item in decoded:
                early.append(item)
                if item.pts >= part.start_pts:
                    break
                del early[: -part.lead_in_frames - 1]
            enough = sum(item.pts < part.start_pts for item in early) >= part.lead_in_frames
            if enough and early and early[0].pts <= part.start_pts:
                yield from early
                yield from decoded
                return
            reach = reach * 2 + ticks
        # Seeking is not possible or not precise here: opening the file again always is.
        with open_source(self._source, pixels_max=self._limits.pixels_max) as fresh:
            yield from self._decode(fresh, self._stream(fresh))

    def _seek(self, container: InputContainer, stream: VideoStream, pts: int) -> bool:
        """Go to the key frame before the one that ``pts`` depends on; False if there is none.

        With open groups of pictures the frames shown just before and after a key frame need the
        group before it, so one group more is decoded than seems necessary.
        """
        key_pts = self._key_at(container, stream, pts)
        if key_pts is None or key_pts <= self._info.first_pts:
            return False
        key_pts = self._key_at(container, stream, key_pts - 1)
        if key_pts is None or key_pts > pts:
            return False
        return key_pts > self._info.first_pts and self._can_seek(container, stream, key_pts)

    def _can_seek(self, container: InputContainer, stream: VideoStream, pts: int) -> bool:
        try:
            container.seek(pts, stream=stream)
        except av.error.FFmpegError:
            return False
        return True

    def _key_at(self, container: InputContainer, stream: VideoStream, pts: int) -> int | None:
        """Pts of the key frame that a seek lands on."""
        if not self._can_seek(container, stream, pts):
            return None
        try:
            packet = next(read_packets(container, [stream]), None)
        except av.error.FFmpegError:
            return None
        return packet_pts(packet, info=self._info) if packet is not None else None

    def _stream(self, container: InputContainer) -> VideoStream:
        stream = container.streams[self._info.stream_index]
        assert isinstance(stream, VideoStream)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        return stream

    def _new_repairer(self) -> PtsRepairer:
        return PtsRepairer(frame_ticks=self._info.frame_ticks, first_pts=self._info.first_pts)

    def _decode(
        self, container: InputContainer, stream: VideoStream
    ) -> Generator[DecodedFrame, None, None]:
        self._repairer = self._new_repairer()
        decoder = self._decoder(stream)
        for packet in self._packets(container, stream):
            try:
                frames = decoder.decode(packet)
            except (av.error.FFmpegError, ValueError) as error:
                self._count_corrupt(error)
                continue
            for frame in frames:
                yield self._timed(frame)
        # The decoder holds frames back as long as earlier ones could still come.
        try:
            held = decoder.decode(None)
        except (av.error.FFmpegError, ValueError) as error:
            self._count_corrupt(error)
            return
        for frame in held:
            yield self._timed(frame)

    def _decoder(self, stream: VideoStream) -> av.VideoCodecContext:
        pixels_max = self._limits.pixels_max
        special = alpha_decoder(stream, pixels_max=pixels_max)
        if special is not None:
            return special
        context = stream.codec_context
        if not context.is_open:
            context.options = decoder_guard(pixels_max)
            context.thread_count = self._threads
            context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        return context

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[Packet[VideoStream]]:
        """All packets; a damaged stretch is skipped where the container can go on behind it."""
        while True:
            try:
                yield from read_packets(container, [stream])
            except av.error.FFmpegError as error:
                self._count_corrupt(error)
                continue
            return

    def _count_corrupt(self, error: Exception) -> None:
        self.corrupt_packets_count += 1
        if self.corrupt_packets_count > self._corrupt_max:
            raise UnreadableVideoError(
                f"more than {self._corrupt_max} packets of the video are damaged"
            ) from error

    def _timed(self, frame: VideoFrame) -> DecodedFrame:
        offset = self._info.dts_offset
        if offset is None:
            pts = self._repairer.repair(frame.pts)
        else:
            # The last frames come out without a packet, hence without a decoding time.
            shown = frame.dts - offset if frame.dts is not None else None
            pts = self._repairer.repair(shown, is_known_gap=shown is None)
        return DecodedFrame(frame, pts, frame.duration or self._info.frame_ticks)


def trim_range(info: VideoInfo, *, start_s: Fraction, end_s: Fraction | None) -> DecodeRange:
    """Half-open pts range of the frames with ``start_s <= time < end_s``.

    Raises:
        InvalidTrimError: negative, empty, or behind the end of the video.
    """
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise InvalidTrimError("the start must be 0 or later and the end must be after it")

    def first_at(time_s: Fraction) -> int:
        return info.origin_pts - int(-time_s // info.time_base)

    return DecodeRange(
        start_pts=first_at(start_s) if start_s else None,
        end_pts=first_at(end_s) if end_s is not None else None,
    )
