"""Says what a video file holds, and refuses what must not be decoded; reads a bounded part."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.pipeline.video.errors import (
    EncryptedVideoError,
    UnreadableVideoError,
    UnsupportedVideoError,
    VideoTooLargeError,
    VideoTooLongError,
)
from inference.pipeline.video.opening import (
    alpha_decoder,
    codec_name,
    decoder_guard,
    main_video_stream,
    open_source,
    read_packets,
)
from inference.pipeline.video.tags import (
    is_full_range,
    matrix_of,
    side_data_of,
    wide_colour_of,
)
from inference.pipeline.video.types import (
    Orientation,
    Source,
    StreamInfo,
    StreamKind,
    VideoInfo,
    VideoLimits,
)

# Packets that are read to see the first frame and how the timestamps go.
_PACKETS_MAX: Final = 250
_MATRIX_LENGTH: Final = 9
_ASPECT_MAX: Final = 50
_DURATION_IS_END: Final = frozenset({"matroska,webm", "flv"})
# Two rates differ if they are further apart than rounding to milliseconds explains.
_RATE_TOLERANCE: Final = 0.02
# Sound may start this much before zero: encoders prepend samples that players drop.
_PRIMING_MAX_S: Final = Fraction(1, 10)
_STREAM_KINDS: Final[dict[str, StreamKind]] = {
    "video": "video",
    "audio": "audio",
    "subtitle": "subtitle",
    "data": "data",
    "attachment": "attachment",
}


@dataclass(frozen=True, slots=True)
class _Start:
    """The beginning of the video stream: its first frame and its first packets."""

    frame: VideoFrame
    packets: tuple[Packet[VideoStream], ...]
    first_pts: int
    dts_offset: int | None


def probe_video(source: Source, *, limits: VideoLimits) -> VideoInfo:
    """Read the header and the first frame of a video.

    Args:
        source: a local file or an open seekable binary file.
        limits: what is refused.

    Raises:
        UnsupportedVideoError: no container or codec that we read, or no frame rate.
        UnreadableVideoError: empty, damaged, cut short, or no frame can be decoded.
        NoVideoStreamError: nothing but sound, subtitles or a cover.
        EncryptedVideoError: the pictures are encrypted.
        VideoTooLargeError: too many bytes or pixels, too long a side, an absurd shape.
        VideoTooLongError: too many seconds, frames, or frames in a second.
    """
    bytes_count = _size_of(source)
    if bytes_count > limits.bytes_max:
        raise VideoTooLargeError(
            f"the file has {bytes_count} bytes, {limits.bytes_max} are allowed"
        )
    with open_source(source, pixels_max=limits.pixels_max) as container:
        stream = main_video_stream(container)
        _check_size(stream.width, stream.height, limits)
        start = _read_start(container, stream, limits)
        _check_size(start.frame.width, start.frame.height, limits)
        info = _describe(container, stream, start, bytes_count)
    _check_length(info, limits)
    return info


def packet_pts(packet: Packet[VideoStream], *, info: VideoInfo) -> int | None:
    """A packet's presentation time in ``info.time_base``, None if it has none."""
    if info.dts_offset is not None:
        return packet.dts
    return packet.pts


def stream_infos(container: InputContainer) -> tuple[StreamInfo, ...]:
    """One line about every stream of a file."""
    return tuple(
        StreamInfo(
            index=stream.index,
            kind=_STREAM_KINDS.get(stream.type, "unknown"),
            codec=codec_name(stream),
            language=stream.metadata.get("language"),
        )
        for stream in container.streams
    )


def _size_of(source: Source) -> int:
    try:
        if isinstance(source, Path):
            return source.stat().st_size
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
    except OSError as error:
        raise UnreadableVideoError(f"the file cannot be read: {error.strerror}") from error
    return size


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    if width < 1 or height < 1:
        raise UnreadableVideoError("the header names no picture size")
    is_large = width * height > limits.pixels_max or max(width, height) > limits.side_max_px
    if is_large or max(width, height) > _ASPECT_MAX * min(width, height):
        raise VideoTooLargeError(
            f"frames of {width} x {height} px; allowed are {limits.pixels_max} px in all, "
            f"{limits.side_max_px} px a side and an aspect of {_ASPECT_MAX}"
        )


def _check_length(info: VideoInfo, limits: VideoLimits) -> None:
    if info.duration_s > limits.duration_max_s:
        raise VideoTooLongError(
            f"the video lasts {float(info.duration_s):.1f} s, {limits.duration_max_s} are allowed"
        )
    if info.frames_count > limits.frames_max:
        raise VideoTooLongError(
            f"the video has {info.frames_count} frames, {limits.frames_max} are allowed"
        )
    if info.fps > limits.fps_max:
        raise VideoTooLongError(
            f"{float(info.fps):.1f} frames per second, {limits.fps_max} are allowed"
        )


def _read_start(container: InputContainer, stream: VideoStream, limits: VideoLimits) -> _Start:
    """Decode the first frame and look at the packets around it."""
    stream.codec_context.options = decoder_guard(limits.pixels_max)
    decoder = alpha_decoder(stream, pixels_max=limits.pixels_max) or stream.codec_context
    packets: list[Packet[VideoStream]] = []
    frame: VideoFrame | None = None
    try:
        for packet in islice(read_packets(container, [stream]), _PACKETS_MAX):
            if packet.has_sidedata("encryption_info"):
                raise EncryptedVideoError("the pictures are encrypted")
            packets.append(packet)
            if frame is None:
                frame = _first_frame(decoder, packet)
        if frame is None:
            frame = _first_frame(decoder, None)
    except (av.error.FFmpegError, ValueError) as error:
        if frame is None:
            raise UnreadableVideoError(f"the video is damaged: {error}") from error
    if frame is None:
        raise UnreadableVideoError("no frame of the video can be decoded")
    dts_offset = None
    first_pts = frame.pts
    if container.format.name == "avi":
        # AVI stores no presentation times; those that the demuxer guesses are wrong with B-frames.
        first_dts = next((packet.dts for packet in packets if packet.dts is not None), 0)
        dts_offset = max(0, (frame.dts or first_dts) - first_dts)
        first_pts = first_dts
    return _Start(
        frame=frame,
        packets=tuple(packets),
        first_pts=first_pts if first_pts is not None else 0,
        dts_offset=dts_offset,
    )


def _first_frame(
    decoder: av.VideoCodecContext, packet: Packet[VideoStream] | None
) -> VideoFrame | None:
    try:
        frames = decoder.decode(packet)
    except av.error.InvalidDataError:
        # One bad packet at the start is not yet a bad file.
        return None
    return frames[0] if frames else None


def _describe(
    container: InputContainer, stream: VideoStream, start: _Start, bytes_count: int
) -> VideoInfo:
    time_base = stream.time_base
    if not time_base:
        raise UnsupportedVideoError("the video has no clock")
    times = _packet_times(start)
    fps = _mean_rate(stream, times, time_base)
    duration_s = _duration(container, stream, fps, first_pts=start.first_pts)
    frames_count, is_exact = _count_frames(container, stream, duration_s * fps)
    orientation = _orientation_of(start.frame)
    frame = start.frame
    upright = (
        (frame.height, frame.width) if orientation.is_transposed else (frame.width, frame.height)
    )
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return VideoInfo(
        container=container.format.name,
        codec=codec_name(stream),
        duration_s=duration_s,
        fps=fps,
        fps_base=stream.base_rate,
        frames_count=frames_count,
        is_frames_count_exact=is_exact,
        width=upright[0],
        height=upright[1],
        stored_width=frame.width,
        stored_height=frame.height,
        orientation=orientation,
        sample_aspect_ratio=1 / aspect if orientation.is_transposed else aspect,
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        has_alpha=any(component.is_alpha for component in frame.format.components),
        colour_matrix=matrix_of(frame),
        is_full_range=is_full_range(frame),
        wide_colour=wide_colour_of(frame),
        is_variable_rate=_is_variable(stream, times, container.format.name),
        stream_index=stream.index,
        time_base=time_base,
        first_pts=start.first_pts,
        origin_pts=_origin(container, start.first_pts, time_base),
        dts_offset=start.dts_offset,
        streams=stream_infos(container),
        bytes_count=bytes_count,
    )


def _packet_times(start: _Start) -> list[int]:
    """Presentation times of the first packets, ascending."""
    is_by_dts = start.dts_offset is not None
    times = (packet.dts if is_by_dts else packet.pts for packet in start.packets)
    return sorted(time for time in times if time is not None)


def _mean_rate(stream: VideoStream, times: Sequence[int], time_base: Fraction) -> Fraction:
    """Frames per second; what the container says, else what the first packets show.

    Raises:
        UnsupportedVideoError: neither tells: 0 frames per second.
    """
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate:
            return rate
    if len(times) > 1 and times[-1] > times[0]:
        return (len(times) - 1) / ((times[-1] - times[0]) * time_base)
    raise UnsupportedVideoError("the video has 0 frames per second")


def _duration(
    container: InputContainer, stream: VideoStream, fps: Fraction, *, first_pts: int
) -> Fraction:
    # Two containers write the end of the last frame where others write its distance from the start.
    is_end = container.format.name in _DURATION_IS_END
    if stream.duration and stream.time_base:
        before = max(0, first_pts) if is_end and stream.duration > first_pts else 0
        return (stream.duration - before) * stream.time_base
    if container.duration:
        start = max(0, container.start_time or 0)
        before = start if is_end and container.duration > start else 0
        return Fraction(container.duration - before, av.time_base)
    return Fraction(max(1, stream.frames)) / fps


def _count_frames(
    container: InputContainer, stream: VideoStream, estimate: Fraction
) -> tuple[int, bool]:
    """Frames, and whether that is exact: only an index of samples is."""
    if container.format.name.startswith("mov"):
        shown = sum(1 for entry in stream.index_entries if not entry.is_discard)
        if shown:
            return shown, True
    return max(1, math.ceil(estimate)), False


def _is_variable(stream: VideoStream, times: Sequence[int], container_name: str) -> bool:
    """Whether frames last differently long, beyond rounding to the clock."""
    if container_name.startswith("mov"):
        times = [entry.timestamp for entry in stream.index_entries if not entry.is_discard]
    steps = np.diff(np.asarray(times, dtype=np.int64))
    # The last one that was read may still miss the frames that are shown before it.
    steps = steps if container_name.startswith("mov") else steps[:-2]
    if len(steps) == 0:
        return False
    tolerance = max(1.0, _RATE_TOLERANCE * float(np.median(steps)))
    return bool(steps.max() - steps.min() > tolerance)


def _orientation_of(frame: VideoFrame) -> Orientation:
    """The display matrix, rounded to quarter turns and mirrorings.

    The matrix maps (x, y) to (a x + c y, b x + d y), y pointing down.
    """
    side_data = side_data_of(frame)
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    values = np.frombuffer(side_data["DISPLAYMATRIX"], dtype=np.int32)
    if len(values) != _MATRIX_LENGTH:
        return Orientation()
    a, b, c, d = (int(values[index]) for index in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(is_transposed=True, is_mirrored_x=c < 0, is_mirrored_y=b < 0)
    return Orientation(is_mirrored_x=a < 0, is_mirrored_y=d < 0)


def _origin(container: InputContainer, first_pts: int, time_base: Fraction) -> int:
    """The pts that is time zero: the earliest start of pictures and sound, see docs/video.md."""
    first = first_pts * time_base
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams.audio
        if stream.start_time is not None and stream.time_base
    ]
    earliest = min([first, *starts])
    if first >= 0 and -_PRIMING_MAX_S <= earliest < 0:
        return 0
    return math.floor(earliest / time_base)
