"""Cuts a video into parts that can be rendered apart; see ``join`` for putting them together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import av
import av.error
from av.video.stream import VideoStream

from inference.pipeline.video.decode import trim_range
from inference.pipeline.video.errors import (
    InvalidTrimError,
    UnreadableVideoError,
    VideoTooLongError,
)
from inference.pipeline.video.opening import open_source, read_packets
from inference.pipeline.video.probe import packet_pts, probe_video
from inference.pipeline.video.timing import end_of_part
from inference.pipeline.video.types import Segment, Trim, VideoInfo, VideoLimits

_TARGET_MIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Index:
    """What the packets say: ascending pts of all frames and of key frames, and the end."""

    pts: Sequence[int]
    key_pts: Sequence[int]
    end_pts: int
    is_reliable: bool


def plan_segments(
    source: Path, *, target_s: float, limits: VideoLimits, trim: Trim | None = None
) -> tuple[Segment, ...]:
    """Cut a video at key frames into parts of about ``target_s`` seconds, without decoding it.

    A video whose timestamps are missing or repeat cannot be cut exactly: it stays one part.

    Args:
        source: a local file; all its packets are read once.
        target_s: at least 2; a part is as long as it takes to reach the next key frame.
        limits: as for ``probe_video``.
        trim: only the frames of this part.

    Raises:
        PipelineError: see ``probe_video``.
        InvalidTrimError: no frame lies in the trim.
    """
    info = probe_video(source, limits=limits)
    index = _read_index(source, info, limits)
    part = trim_range(
        info,
        start_s=trim.start_s if trim else Trim().start_s,
        end_s=trim.end_s if trim else None,
    )
    first = bisect_left(index.pts, part.start_pts) if part.start_pts is not None else 0
    stop = bisect_left(index.pts, part.end_pts) if part.end_pts is not None else len(index.pts)
    if stop <= first:
        raise InvalidTrimError("the part starts behind the end of the video")
    zero_pts = info.origin_pts if part.start_pts is None else index.pts[first]
    if not index.is_reliable:
        return (
            Segment(
                index=0,
                zero_pts=min(zero_pts, info.first_pts) if part.start_pts is None else zero_pts,
                start_pts=part.start_pts,
                end_pts=part.end_pts,
                first_frame=0,
                frames_count=stop - first,
                starts_at_key=True,
            ),
        )
    end_pts = _end_of_last(index, info, stop=stop, part_end_pts=part.end_pts)
    if (end_pts - info.first_pts) * info.time_base > 2 * limits.duration_max_s:
        raise VideoTooLongError(f"a frame lies behind {limits.duration_max_s} s")
    cuts = _cuts(index, first, stop, ticks=max(target_s, _TARGET_MIN_S) / info.time_base)
    keys = set(index.key_pts)
    return tuple(
        Segment(
            index=number,
            zero_pts=min(zero_pts, index.pts[first]),
            start_pts=index.pts[start],
            end_pts=index.pts[behind] if behind < stop else end_pts,
            first_frame=start - first,
            frames_count=behind - start,
            starts_at_key=index.pts[start] in keys,
        )
        for number, (start, behind) in enumerate(pairwise((*cuts, stop)))
    )


def _end_of_last(index: _Index, info: VideoInfo, *, stop: int, part_end_pts: int | None) -> int:
    """Where the frame before number ``stop`` ends, in pts."""
    if stop == len(index.pts):
        return index.end_pts
    return end_of_part(
        next_pts=index.pts[stop],
        part_end_pts=part_end_pts or index.pts[stop],
        last_pts=index.pts[stop - 1],
        frame_ticks=info.frame_ticks,
    )


def _cuts(index: _Index, first: int, stop: int, *, ticks: float) -> list[int]:
    """Numbers of the frames that segments start with."""
    cuts = [first]
    for key in index.key_pts:
        if key - index.pts[cuts[-1]] >= ticks and key < index.pts[stop - 1]:
            cuts.append(bisect_left(index.pts, key))
    # A short rest is not worth a part of its own.
    if len(cuts) > 1 and index.pts[stop - 1] - index.pts[cuts[-1]] < ticks / 2:
        cuts.pop()
    return cuts


def _read_index(source: Path, info: VideoInfo, limits: VideoLimits) -> _Index:
    times: list[int] = []
    keys: list[int] = []
    end_pts = info.first_pts
    is_reliable = True
    try:
        with open_source(source, pixels_max=limits.pixels_max) as container:
            stream = container.streams[info.stream_index]
            assert isinstance(stream, VideoStream)
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = av.stream.Discard.all
            for packet in read_packets(container, [stream]):
                if packet.is_discard:
                    continue
                pts = packet_pts(packet, info=info)
                if pts is None:
                    is_reliable = False
                    continue
                times.append(pts)
                if packet.is_keyframe:
                    keys.append(pts)
                end_pts = max(end_pts, pts + (packet.duration or info.frame_ticks))
                if len(times) > limits.frames_max:
                    raise VideoTooLongError(f"more than {limits.frames_max} frames")
    except av.error.FFmpegError:
        # What can be decoded in spite of the damage is found out while decoding.
        is_reliable = False
    if not times:
        raise UnreadableVideoError("the video has no packets")
    times.sort()
    keys.sort()
    has_repeats = any(after == before for before, after in pairwise(times))
    return _Index(
        pts=times,
        key_pts=keys,
        end_pts=end_pts,
        is_reliable=is_reliable and not has_repeats and times[0] >= info.first_pts,
    )
