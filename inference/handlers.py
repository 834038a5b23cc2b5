"""Bodies of the inference tasks.

A crash at any line leaves the row QUEUED or RUNNING; the sweep finds both, and the job ends with a
result that was paid once or with a refund. No transaction is open while pictures are processed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections import Counter
from typing import Final

import structlog
from django.conf import settings
from django.utils import timezone

from inference import (
    awaiting,
    castings,
    dispatch,
    endings,
    labelling,
    runtime,
    sandbox_runs,
    segment_transitions,
    selectors,
    storage,
    transitions,
    videos,
)
from inference.meters import AttemptMeter
from inference.models import JobMeter, SwapJob
from inference.observers import JobObserver
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.pipeline.labels.facts import LabelError
from inference.pipeline.video import errors as video_errors
from inference.types import (
    Claim,
    Resend,
    SegmentClaim,
    SegmentCompletion,
    SegmentOutput,
    StoredMedia,
    SwapOutput,
    SweepReport,
)
from trust import selectors as trust_selectors

log = structlog.get_logger(__name__)

# Faults of what was uploaded, asked for or set up: another attempt would end the same.
_INPUT_ERRORS: Final = (
    pipeline_errors.NoFaceFoundError,
    pipeline_errors.SeveralFacesError,
    pipeline_errors.UnsupportedImageError,
    pipeline_errors.UnreadableImageError,
    pipeline_errors.ImageTooLargeError,
    pipeline_errors.InvalidOptionsError,
    pipeline_errors.ContentBlockedError,
    LabelError,
    castings.FacesGoneError,
    sandbox_runs.ForcedFailureError,
    video_errors.UnsupportedVideoError,
    video_errors.UnreadableVideoError,
    video_errors.NoVideoStreamError,
    video_errors.EncryptedVideoError,
    video_errors.VideoTooLargeError,
    video_errors.VideoTooLongError,
    video_errors.InvalidTrimError,
    video_errors.InvalidOutputError,
)
_SWEEP_LIMIT: Final = 100
_SEGMENTS_MAX: Final = 10_000
# A message is taken for lost when its job still waits this many leases after it was sent. Sending
# one twice is harmless, so a long queue only costs a look at the row.
_RESEND_AFTER_LEASES: Final = 2


def run_swap_job(*, job_id: uuid.UUID) -> bool:
    """Claim, run, finish. A repeated message finds the claim taken and does nothing.

    Returns:
        True when the job went back into the queue and its message must be sent again.
    """
    claim = transitions.claim(job_id=job_id)
    if claim is None:
        log.info("inference.job.nothing_to_run", job_id=str(job_id))
        _tidy_up(job_id)
        return False
    with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=claim.attempt):
        return _run(claim) is SwapJob.Status.QUEUED


def run_swap_segment(*, job_id: uuid.UUID, index: int) -> Resend:
    """Claim and run one segment; whoever completes the last one also joins them.

    Returns:
        Which messages must be sent again.
    """
    claim = segment_transitions.claim(job_id=job_id, index=index)
    if claim is None:
        log.info("inference.segment.nothing_to_run", job_id=str(job_id), segment=index)
        _tidy_up(job_id)
        return Resend()
    with structlog.contextvars.bound_contextvars(
        job_id=str(job_id), segment=index, segment_attempt=claim.attempt
    ):
        completion = _run_segment(claim)
        if isinstance(completion, Resend):
            return completion
        if completion.join is None:
            return Resend()
        return Resend(job=_run(completion.join) is SwapJob.Status.QUEUED)


def unsent_segments(*, job_id: uuid.UUID) -> tuple[tuple[uuid.UUID, int], ...]:
    """Segments of a job that was just split; the caller must send their messages."""
    return segment_transitions.mark_sent(job_id=job_id, limit=_SEGMENTS_MAX)


def jobs_to_send_after(*, job_id: uuid.UUID) -> tuple[uuid.UUID, ...]:
    """Jobs of the same account that got a place because this one ended; send their messages."""
    return dispatch.after(job_id=job_id)


def requeue_stale_jobs(*, limit: int = _SWEEP_LIMIT) -> SweepReport:
    """Find jobs and segments that a crash or a lost message left behind.

    Each is handled in its own short transaction. Lapsed leases go back into the queue or fail after
    the last attempt; jobs that waited longer than their tokens may be held fail; those that nobody
    began before their start deadline expire; whatever is queued and whose message seems lost is
    listed again, and so are jobs for which a place became free.

    Args:
        limit: at most this many of each kind a run, so that a run stays short.
    """
    now = timezone.now()
    queued_before = now - dt.timedelta(seconds=settings.HOLD_TTL_S)
    sent_before = now - dt.timedelta(seconds=settings.JOB_LEASE_S * _RESEND_AFTER_LEASES)
    jobs = _sweep_jobs(queued_before=queued_before, sent_before=sent_before, limit=limit)
    segments = _sweep_segments(idle_since=queued_before, sent_before=sent_before, limit=limit)
    report = SweepReport(
        to_send=jobs.to_send,
        failed=jobs.failed + segments.failed,
        segments_to_send=segments.segments_to_send,
    )
    for job_id in report.failed:
        discard_results(job_id=job_id, keep_key=None)
    if report.to_send or report.failed or report.segments_to_send:
        log.warning(
            "inference.jobs.swept",
            queued_count=len(report.to_send),
            segments_count=len(report.segments_to_send),
            failed_count=len(report.failed),
        )
    return report


def _sweep_jobs(*, queued_before: dt.datetime, sent_before: dt.datetime, limit: int) -> SweepReport:
    outcomes = {
        job_id: transitions.recover(job_id=job_id)
        for job_id in selectors.lapsed_job_ids(limit=limit)
    }
    timed_out = [
        job_id
        for job_id in selectors.overlong_queued_job_ids(queued_before=queued_before, limit=limit)
        if endings.time_out(job_id=job_id, queued_before=queued_before)
    ]
    expired = [
        job_id
        for job_id in selectors.overdue_to_start_job_ids(limit=limit)
        if endings.expire(job_id=job_id)
    ]
    resent = transitions.mark_sent_again(sent_before=sent_before, limit=limit)
    awaited = [
        ready_id
        for job_id in awaiting.over_job_ids(limit=limit)
        for ready_id in awaiting.resolve(job_id=job_id)
    ]
    placed = [
        job_id
        for owner_id in dispatch.owners_with_room(limit=limit)
        for job_id in dispatch.sweep(owner_id=owner_id)
    ]
    recovered = [job_id for job_id, status in outcomes.items() if status == SwapJob.Status.QUEUED]
    failed = [job_id for job_id, status in outcomes.items() if status == SwapJob.Status.FAILED]
    return SweepReport(
        to_send=(*recovered, *resent, *awaited, *placed), failed=(*failed, *timed_out, *expired)
    )


def _sweep_segments(
    *, idle_since: dt.datetime, sent_before: dt.datetime, limit: int
) -> SweepReport:
    outcomes = {
        (job_id, index): segment_transitions.recover(job_id=job_id, index=index)
        for job_id, index in segment_transitions.lapsed(limit=limit)
    }
    timed_out = [
        job_id
        for job_id in segment_transitions.idle_job_ids(idle_since=idle_since, limit=limit)
        if segment_transitions.time_out(job_id=job_id, idle_since=idle_since)
    ]
    resent = segment_transitions.mark_sent(sent_before=sent_before, limit=limit)
    recovered = [place for place, status in outcomes.items() if status == SwapJob.Status.RUNNING]
    failed = [job_id for (job_id, _), status in outcomes.items() if status == SwapJob.Status.FAILED]
    return SweepReport(
        to_send=(), failed=(*failed, *timed_out), segments_to_send=(*recovered, *resent)
    )


def discard_results(*, job_id: uuid.UUID, keep_key: str | None) -> None:
    """Remove files that no row names; they only cost disk space, so a fault is just logged."""
    try:
        storage.delete_results(job_id=job_id, keep_key=keep_key)
    except OSError:
        log.exception("inference.results.not_discarded", job_id=str(job_id))


def _tidy_up(job_id: uuid.UUID) -> None:
    """After a repeated message: its first worker may have died before it removed what is left."""
    job = SwapJob.objects.filter(pk=job_id).first()
    if job is not None and job.is_final:
        discard_results(job_id=job_id, keep_key=job.result_key or None)


def _run(claim: Claim) -> SwapJob.Status | None:
    """One attempt. Returns the status it gave the job; None when the job was not its own any more.

    Files are removed only after a committed row says that nobody needs them. After an exception
    that may have come from a commit they stay: the row may name them.
    """
    try:
        output = _metered(claim)
        if output is None:
            return None
        if transitions.finish(claim=claim, output=output):
            discard_results(job_id=claim.job_id, keep_key=output.media.key)
            return SwapJob.Status.SUCCEEDED
        storage.delete_media(output.media.key)
        status = None
    except pipeline_errors.StoppedError as stop:
        log.warning("inference.job.late_attempt_stopped", stage=stop.stage)
        status = None
    except _INPUT_ERRORS as error:
        is_failed = transitions.fail(claim=claim, code=error.code, detail=str(error))
        status = SwapJob.Status.FAILED if is_failed else None
    except Exception as error:
        log.exception("inference.job.attempt_broke")
        status = transitions.retry(claim=claim, detail=f"{type(error).__name__}: {error}")
    if status is SwapJob.Status.FAILED:
        discard_results(job_id=claim.job_id, keep_key=None)
    return status


def _metered(claim: Claim) -> SwapOutput | None:
    """The work of an attempt, with what it took written down."""
    with AttemptMeter(claim, refusals=_INPUT_ERRORS) as meter:
        output = _output(claim)
        if output is None:
            meter.ended(JobMeter.Outcome.SPLIT)
        else:
            # Frames of segments were counted by those; one picture is one frame.
            frames = 0 if claim.segments_count else output.report.get("frames_out", 1)
            meter.ended(
                JobMeter.Outcome.DONE, frames=int(frames), bytes_out=output.media.size_bytes
            )
    if output is not None and trust_selectors.is_blocked(sha256s=[output.media.sha256]):
        raise pipeline_errors.ContentBlockedError("result", ("the block list",))
    return output


def _metered_segment(claim: SegmentClaim) -> SegmentOutput:
    with AttemptMeter(claim, refusals=_INPUT_ERRORS) as meter:
        output = videos.swap_segment(claim)
        meter.ended(
            JobMeter.Outcome.DONE,
            frames=claim.plan["frames_count"],
            bytes_out=storage.size_of(output.key),
        )
    return output


def _output(claim: Claim) -> SwapOutput | None:
    if claim.is_sandbox:
        return sandbox_runs.produce(claim)
    return videos.produce(claim) if videos.is_video(claim) else _produce(claim)


def _run_segment(claim: SegmentClaim) -> SegmentCompletion | Resend:
    """One attempt of a segment; after a fault, what must be sent again. See ``_run`` for files."""
    try:
        output = _metered_segment(claim)
        completion = segment_transitions.complete(claim=claim, output=output)
        if not completion.is_accepted:
            storage.delete_media(output.key)
    except pipeline_errors.StoppedError as stop:
        log.warning("inference.segment.late_attempt_stopped", stage=stop.stage)
        return Resend()
    except _INPUT_ERRORS as error:
        if segment_transitions.fail(claim=claim, code=error.code, detail=str(error)):
            discard_results(job_id=claim.job.job_id, keep_key=None)
        return Resend()
    except Exception as error:
        log.exception("inference.segment.attempt_broke")
        detail = f"{type(error).__name__}: {error}"
        status = segment_transitions.retry(claim=claim, detail=detail)
        if status is SwapJob.Status.FAILED:
            discard_results(job_id=claim.job.job_id, keep_key=None)
        return Resend(segment=status is SwapJob.Status.RUNNING)
    return completion


def _produce(claim: Claim) -> SwapOutput:
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    target = storage.read(claim.target_key)
    target_info = image_io.probe_image(target, limits=limits)
    observer = JobObserver(claim)
    casting = castings.load(claim)
    result = runtime.swap(
        casting=casting,
        target_bgr=image_io.decode_image(target, limits=limits),
        options=claim.options,
        observer=observer,
    )
    labels = labelling.for_result(claim)
    labelled = labels.labeller.picture(result.image_bgr, format=target_info.format)
    small = image_io.thumbnail(labelled.image_bgr, side_px=storage.THUMBNAIL_SIDE_PX)
    observer.publishing()
    if observer.should_stop():
        raise pipeline_errors.StoppedError("publish")
    key = storage.result_key(
        job_id=claim.job_id, attempt=claim.attempt, content_type=target_info.content_type
    )
    height_px, width_px = result.image_bgr.shape[:2]
    media = StoredMedia(
        key=key,
        sha256=storage.write_picture(key=key, data=labelled.data, thumbnail=small),
        content_type=target_info.content_type,
        size_bytes=len(labelled.data),
        width_px=width_px,
        height_px=height_px,
    )
    people = Counter(face.person for face in result.faces)
    return SwapOutput(
        media=media,
        faces=tuple(dataclasses.asdict(face) for face in result.faces),
        report=castings.outcome(
            claim.options, frames=[people[number] for number in range(len(casting.people))]
        ),
        release=labels.release,
    )
