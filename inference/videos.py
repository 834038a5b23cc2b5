"""What workers do with videos: plan, swap in one piece or in segments, join.

No transaction is open while media is processed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, cast

from django.conf import settings

from inference import castings, labelling, runtime, segment_transitions, storage
from inference.models import SwapSegment
from inference.observers import SegmentObserver, VideoObserver
from inference.pipeline.errors import NoFaceFoundError, StoppedError
from inference.types import (
    VIDEO_TYPES,
    Claim,
    SegmentClaim,
    SegmentOutput,
    StoredMedia,
    SwapOutput,
    VideoFormat,
)

_SUMMED: Final = (
    "frames_with_faces",
    "frames_swapped",
    "faces_swapped",
    "tracks_count",
    "concealed_count",
    "corrupt_packets_count",
)


def is_video(claim: Claim) -> bool:
    """Whether the target of a job is a video."""
    return claim.target_content_type in VIDEO_TYPES.values()


def produce(claim: Claim) -> SwapOutput | None:
    """One attempt of a video job: in one piece, as the join of its segments, or split it.

    Returns:
        The stored result; None when the job was split, or is not the caller's any more.

    Raises:
        PipelineError: the video or a picture cannot be used.
        StoppedError: another attempt owns the job.
    """
    observer = VideoObserver(claim)
    if claim.segments_count:
        return _join(claim, observer)
    with storage.local_file(claim.target_key) as target:
        plans = runtime.plan_video(
            target=target, options=claim.options, segment_s=settings.VIDEO_SEGMENT_S
        )
        if len(plans) > 1:
            segment_transitions.split(claim=claim, plans=plans)
            return None
        casting = castings.load(claim)
        labels = labelling.for_result(claim)
        key = _result_key(claim)
        with storage.new_file(key) as result:
            report = runtime.swap_video(
                casting=casting,
                target=target,
                result=result,
                order=runtime.VideoOrder(
                    options=claim.options,
                    overlay=labelling.video_stamp(claim),
                    tags=labels.labeller.video_tags(_format(claim)),
                ),
                observer=observer,
            )
            _finish(claim, result, labels, observer)
    return _output(claim, key, report, labels)


def swap_segment(claim: SegmentClaim) -> SegmentOutput:
    """One attempt of a segment.

    Raises:
        PipelineError: the video or a picture cannot be used.
        StoppedError: another attempt owns the segment, or the job has ended.
    """
    job = claim.job
    key = storage.segment_key(
        job_id=job.job_id, index=claim.index, attempt=claim.attempt, extension=_format(job)
    )
    with storage.local_file(job.target_key) as target, storage.new_file(key) as result:
        report = runtime.swap_video(
            casting=castings.load(job),
            target=target,
            result=result,
            order=runtime.VideoOrder(options=job.options, overlay=labelling.video_stamp(job)),
            observer=SegmentObserver(claim),
            segment=runtime.SegmentOrder(plan=claim.plan, format=_format(job)),
        )
    return SegmentOutput(key=key, report=report)


def _join(claim: Claim, observer: VideoObserver) -> SwapOutput:
    segments = list(SwapSegment.objects.filter(job_id=claim.job_id).order_by("index"))
    total = _sum(segment.report for segment in segments)
    if not total["faces_swapped"]:
        raise NoFaceFoundError("target")
    observer.progress(segment_transitions.JOIN_STAGE, 0.0)
    key = _result_key(claim)
    labels = labelling.for_result(claim)
    with ExitStack() as stack:
        parts = [
            stack.enter_context(storage.local_file(segment.result_key)) for segment in segments
        ]
        target = stack.enter_context(storage.local_file(claim.target_key))
        with storage.new_file(key) as result:
            joined = runtime.join_video(
                parts=parts,
                plans=[segment.plan for segment in segments],
                target=target,
                result=result,
                order=runtime.VideoOrder(
                    options=claim.options, tags=labels.labeller.video_tags(_format(claim))
                ),
                observer=observer,
            )
            _finish(claim, result, labels, observer)
    return _output(claim, key, {**joined, **total}, labels)


def _sum(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    listed = list(reports)
    by_person = [report.get("frames_by_person", []) for report in listed]
    return {
        **{name: sum(report[name] for report in listed) for name in _SUMMED},
        "frames_by_person": [sum(frames) for frames in zip(*by_person, strict=True)],
    }


def _finish(
    claim: Claim, result: Path, labels: labelling.ResultLabels, observer: VideoObserver
) -> None:
    """Label the file, unless somebody else owns the job by now."""
    _check_ownership(observer)
    labels.labeller.video(result, container=_format(claim), limits=runtime.video_limits())
    # Of a large file that takes a while.
    _check_ownership(observer)


def _check_ownership(observer: VideoObserver) -> None:
    observer.publishing()
    if observer.should_stop():
        raise StoppedError("publish")


def _output(
    claim: Claim, key: str, report: dict[str, Any], labels: labelling.ResultLabels
) -> SwapOutput:
    with storage.local_file(key) as path:
        storage.write_thumbnail(
            key=key, thumbnail=runtime.poster(path, side_px=storage.THUMBNAIL_SIDE_PX)
        )
    media = StoredMedia(
        key=key,
        sha256=storage.sha256_of(key),
        content_type=VIDEO_TYPES[_format(claim)],
        size_bytes=storage.size_of(key),
        width_px=report["width_px"],
        height_px=report["height_px"],
        duration_ms=report["duration_ms"],
    )
    people = castings.outcome(claim.options, frames=report.pop("frames_by_person"))
    return SwapOutput(
        media=media,
        report={**report, **people},
        release=labels.release_of_video(_format(claim)),
    )


def _result_key(claim: Claim) -> str:
    return storage.result_key(
        job_id=claim.job_id, attempt=claim.attempt, content_type=VIDEO_TYPES[_format(claim)]
    )


def _format(claim: Claim) -> VideoFormat:
    """The container of the result: the wanted one, else the target's."""
    assert claim.options.video is not None, "the quote of a video has them"
    chosen = claim.options.video.format
    return chosen or cast("VideoFormat", storage.EXTENSIONS[claim.target_content_type])
