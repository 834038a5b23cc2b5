"""Puts rendered segments together without encoding again, and adds everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from inference.pipeline.errors import StoppedError
from inference.pipeline.types import Observer
from inference.pipeline.video.carry import StreamCarrier, carry_plan
from inference.pipeline.video.errors import SegmentMismatchError
from inference.pipeline.video.formats import OutputFormat, choose_format
from inference.pipeline.video.opening import open_source, read_packets
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.timing import OutputClock, encoder_rate, output_clock
from inference.pipeline.video.types import (
    Segment,
    StreamOutcome,
    TranscodeOptions,
    VideoInfo,
    VideoReport,
)
from inference.pipeline.video.writer import mark_stream, open_output, result_metadata, whole_file

STAGE: Final = "join"


@dataclass(frozen=True, slots=True)
class _Joint:
    """The joined clock: ascending pts in ticks of the result, and how far decoding runs ahead."""

    pts: Sequence[int]
    end_pts: int
    delay: int


def join_segments(
    parts: Sequence[Path],
    *,
    segments: Sequence[Segment],
    source: Path,
    target: Path,
    options: TranscodeOptions,
    observer: Observer,
) -> VideoReport:
    """Make the whole result from the rendered segments of one plan.

    Args:
        parts: what ``transcode`` wrote for each of ``segments``, in the same order.
        segments: all segments of one plan.
        source: the video that was planned; sound and everything else come from it.
        target: path of the result.
        options: the same as the segments were rendered with.
        observer: gets the stage ``join``.

    Raises:
        StoppedError: the observer asked to stop.
        SegmentMismatchError: a segment is missing, foreign, or encoded with other settings.
        PipelineError: see ``probe_video`` and ``choose_format``.
    """
    _check_plan(parts, segments)
    info = probe_video(source, limits=options.limits)
    chosen = choose_format(target=target, options=options.output, info=info, is_segment=False)
    clock = output_clock(
        time_base=info.time_base, zero_pts=segments[0].zero_pts, fps=options.output.fps
    )
    joint = _survey(parts, segments, clock, info, options)
    metadata = result_metadata(source, options=options.output)
    with (
        whole_file(target) as path,
        open_source(parts[0]) as template,
        open_output(path, muxer=chosen.muxer, metadata=metadata, tick_s=clock.tick_s) as output,
    ):
        stream = _add_stream(output, template, chosen, clock, info)
        plan = carry_plan(chosen=chosen, options=options, clock=clock, info=info)
        poll = partial(_check_stop, observer)
        carrier = StreamCarrier(source, info=info, output=output, plan=plan, poll=poll)
        with closing(carrier):
            for place, packet in enumerate(_timed_packets(parts, clock, joint)):
                poll()
                observer.progress(STAGE, place / len(joint.pts))
                carrier.advance(until_s=(packet.dts or 0) * clock.tick_s)
                packet.stream = stream
                output.mux(packet)
            carrier.advance(until_s=None)
            report = _report(joint, clock, chosen, stream, carrier.outcomes())
    observer.progress(STAGE, 1.0)
    return report


def _report(
    joint: _Joint,
    clock: OutputClock,
    chosen: OutputFormat,
    stream: VideoStream,
    outcomes: tuple[StreamOutcome, ...],
) -> VideoReport:
    """What the join did; what the parts dropped, repeated and repaired is in their own reports."""
    return VideoReport(
        frames_in=len(joint.pts),
        frames_out=len(joint.pts),
        dropped_count=0,
        repeated_count=0,
        repaired_pts_count=0,
        corrupt_packets_count=0,
        concealed_count=0,
        duration_s=(joint.end_pts - joint.pts[0]) * clock.tick_s,
        is_alpha_kept=chosen.is_alpha_kept,
        width=stream.width,
        height=stream.height,
        streams=outcomes,
    )


def _check_stop(observer: Observer) -> None:
    if observer.should_stop():
        raise StoppedError(STAGE)


def _check_plan(parts: Sequence[Path], segments: Sequence[Segment]) -> None:
    if not segments or len(parts) != len(segments):
        raise SegmentMismatchError(f"{len(parts)} files for {len(segments)} segments")
    position = 0
    for number, segment in enumerate(segments):
        if segment.index != number or segment.first_frame != position:
            raise SegmentMismatchError(f"segment {number} is missing or out of order")
        position += segment.frames_count


def _survey(
    parts: Sequence[Path],
    segments: Sequence[Segment],
    clock: OutputClock,
    info: VideoInfo,
    options: TranscodeOptions,
) -> _Joint:
    """Check the parts against the plan and each other, and read all timestamps."""
    in_order: list[int] = []
    settings: set[tuple[str, int, int, bytes | None]] = set()
    for path, segment in zip(parts, segments, strict=True):
        with open_source(path) as container:
            stream = _video_of(container, path)
            context = stream.codec_context
            settings.add((stream.name or "", context.width, context.height, context.extradata))
            own: list[int] = []
            for packet in _packets(container, stream, path):
                if not own and not packet.is_keyframe:
                    raise SegmentMismatchError(f"{path.name} does not start with a key frame")
                own.append(clock.ticks_of((packet.pts or 0) * packet.time_base))
        _check_times(path, segment, own, clock, info)
        missing = segment.frames_count - len(own)
        if clock.fps is None and missing > options.corrupt_frames_max:
            raise SegmentMismatchError(f"{missing} frames are missing in {path.name}")
        in_order += own
    if len(settings) > 1:
        raise SegmentMismatchError("the segments were encoded with different settings")
    ordered = sorted(in_order)
    rank = {pts: place for place, pts in enumerate(ordered)}
    if len(rank) < len(ordered):
        raise SegmentMismatchError("two segments hold the same frame")
    delay = max(place - rank[pts] for place, pts in enumerate(in_order))
    end_pts = _end_of(segments[-1], ordered[-1], clock, info)
    return _Joint(pts=ordered, end_pts=end_pts, delay=delay)


def _check_times(
    path: Path, segment: Segment, own: Sequence[int], clock: OutputClock, info: VideoInfo
) -> None:
    if not own:
        raise SegmentMismatchError(f"{path.name} holds no frames")
    # Containers that count milliseconds round, so one millisecond is no difference.
    slack = max(1, clock.ticks_of(info.time_base), clock.ticks_of(Fraction(1, 1000)))
    if segment.start_pts is not None:
        first = clock.ticks_of(clock.time_of(segment.start_pts))
        if min(own) < first - slack:
            raise SegmentMismatchError(f"{path.name} starts before its segment")
    if segment.end_pts is not None:
        behind = clock.ticks_of(clock.time_of(segment.end_pts))
        if max(own) >= behind + slack:
            raise SegmentMismatchError(f"{path.name} ends behind its segment")


def _end_of(segment: Segment, last_pts: int, clock: OutputClock, info: VideoInfo) -> int:
    """End of the last frame, in ticks of the result; the same as in a run that was not split."""
    if segment.end_pts is not None:
        return max(last_pts + 1, clock.ticks_of(clock.time_of(segment.end_pts)))
    return last_pts + max(1, clock.ticks_of(info.frame_ticks * info.time_base))


def _timed_packets(
    parts: Sequence[Path], clock: OutputClock, joint: _Joint
) -> Iterator[Packet[VideoStream]]:
    """All packets with decoding times that ascend over the seams.

    The n-th packet is decoded when the n-th frame is shown, minus the delay that B-frames need.
    """
    step = max(1, (joint.end_pts - joint.pts[0]) // len(joint.pts))
    ends = dict(pairwise((*joint.pts, joint.end_pts)))
    place = 0
    for path in parts:
        with open_source(path) as container:
            for packet in _packets(container, _video_of(container, path), path):
                pts = clock.ticks_of((packet.pts or 0) * packet.time_base)
                shown = place - joint.delay
                dts = joint.pts[shown] if shown >= 0 else joint.pts[0] + shown * step
                packet.time_base = clock.tick_s
                packet.pts, packet.dts, packet.duration = pts, dts, ends[pts] - pts
                yield packet
                place += 1


def _packets(
    container: InputContainer, stream: VideoStream, path: Path
) -> Iterator[Packet[VideoStream]]:
    try:
        yield from read_packets(container, [stream])
    except av.error.FFmpegError as error:
        raise SegmentMismatchError(f"{path.name} is damaged: {error}") from error


def _video_of(container: InputContainer, path: Path) -> VideoStream:
    if len(container.streams) != 1 or not container.streams.video:
        raise SegmentMismatchError(f"{path.name} is no rendered segment")
    return container.streams.video[0]


def _add_stream(
    output: OutputContainer,
    template: InputContainer,
    chosen: OutputFormat,
    clock: OutputClock,
    info: VideoInfo,
) -> VideoStream:
    stream = output.add_stream_from_template(template.streams.video[0], opaque=True)
    mark_stream(stream, chosen=chosen)
    stream.time_base = clock.tick_s
    stream.codec_context.framerate = encoder_rate(clock, info)
    stream.codec_context.sample_aspect_ratio = info.sample_aspect_ratio
    return stream
