"""Bodies of the inference tasks.

A crash at any line leaves the row QUEUED or RUNNING; the sweep finds both, and the job ends with a
result that was paid once or with a refund. No transaction is open while pictures are processed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import uuid
from typing import Final

import structlog
from django.conf import settings
from django.utils import timezone

from inference import runtime, selectors, storage, transitions
from inference.models import SwapJob
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.types import Claim, StoredImage, SwapOutput, SweepReport

log = structlog.get_logger(__name__)

# Faults of the pictures: another attempt would end the same.
_INPUT_ERRORS: Final = (
    pipeline_errors.NoFaceFoundError,
    pipeline_errors.SeveralFacesError,
    pipeline_errors.UnsupportedImageError,
    pipeline_errors.UnreadableImageError,
    pipeline_errors.ImageTooLargeError,
)
_STAGE_SPANS_PERCENT: Final = {
    "detect": (5, 30),
    "prepare": (30, 45),
    "swap": (45, 75),
    "blend": (75, 95),
}
_PUBLISH_PERCENT: Final = 95
_PROGRESS_INTERVAL_S: Final = 0.5
_HOLD_RENEWALS_PER_TTL: Final = 10
_SWEEP_LIMIT: Final = 100
# A message is taken for lost when its job still waits this many leases after it was sent. Sending
# one twice is harmless, so a long queue only costs a look at the row.
_RESEND_AFTER_LEASES: Final = 2


class JobObserver:
    """Shows an attempt's progress, keeps its lease and its hold, and sees when it is lost."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._percent = 0
        self._is_lost = False
        self._hold_interval_s = settings.HOLD_TTL_S / _HOLD_RENEWALS_PER_TTL
        now = time.monotonic()
        self._next_write_at = now
        self._next_hold_at = now + self._hold_interval_s

    def progress(self, stage: str, fraction: float) -> None:
        """Write at most every half second, so that progress costs little."""
        start, end = _STAGE_SPANS_PERCENT.get(stage, (self._percent, self._percent))
        share = min(max(fraction, 0.0), 1.0)
        self._percent = max(self._percent, start + int((end - start) * share))
        if time.monotonic() >= self._next_write_at:
            self._write(stage)

    def publishing(self) -> None:
        """Renew once more right before the result is written."""
        self._percent = _PUBLISH_PERCENT
        self._write("publish")

    def should_stop(self) -> bool:
        """True once another attempt owns the job, or the job has ended."""
        return self._is_lost

    def _write(self, stage: str) -> None:
        now = time.monotonic()
        is_hold_due = now >= self._next_hold_at
        is_owner = transitions.renew(
            claim=self._claim, stage=stage, percent=self._percent, is_hold_due=is_hold_due
        )
        self._is_lost = not is_owner
        self._next_write_at = now + _PROGRESS_INTERVAL_S
        if is_hold_due:
            self._next_hold_at = now + self._hold_interval_s


def run_swap_job(*, job_id: uuid.UUID) -> bool:
    """Claim, run, finish. A repeated message finds the claim taken and does nothing.

    Returns:
        True when the job went back into the queue and its message must be sent again.
    """
    claim = transitions.claim(job_id=job_id)
    if claim is None:
        log.info("inference.job.nothing_to_run", job_id=str(job_id))
        return False
    with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=claim.attempt):
        return _run(claim) is SwapJob.Status.QUEUED


def requeue_stale_jobs(*, limit: int = _SWEEP_LIMIT) -> SweepReport:
    """Find jobs that a crash or a lost message left behind; each in its own short transaction.

    Lapsed leases go back into the queue or fail after the last attempt; jobs that waited longer
    than their tokens may be held fail; queued jobs whose message seems lost are listed again.

    Args:
        limit: at most this many jobs of each kind a run, so that a run stays short.
    """
    outcomes = {
        job_id: transitions.recover(job_id=job_id)
        for job_id in selectors.lapsed_job_ids(limit=limit)
    }
    now = timezone.now()
    queued_before = now - dt.timedelta(seconds=settings.HOLD_TTL_S)
    timed_out = [
        job_id
        for job_id in selectors.overlong_queued_job_ids(queued_before=queued_before, limit=limit)
        if transitions.time_out(job_id=job_id, queued_before=queued_before)
    ]
    sent_before = now - dt.timedelta(seconds=settings.JOB_LEASE_S * _RESEND_AFTER_LEASES)
    resent = transitions.mark_sent_again(sent_before=sent_before, limit=limit)
    recovered = [job_id for job_id, status in outcomes.items() if status == SwapJob.Status.QUEUED]
    failed = [job_id for job_id, status in outcomes.items() if status == SwapJob.Status.FAILED]
    report = SweepReport(to_send=(*recovered, *resent), failed=(*failed, *timed_out))
    for job_id in report.failed:
        discard_results(job_id=job_id, keep_key=None)
    if report.to_send or report.failed:
        log.warning(
            "inference.jobs.swept",
            queued_count=len(report.to_send),
            failed_count=len(report.failed),
        )
    return report


def discard_results(*, job_id: uuid.UUID, keep_key: str | None) -> None:
    """Remove files that no row names; they only cost disk space, so a fault is just logged."""
    try:
        storage.delete_results(job_id=job_id, keep_key=keep_key)
    except OSError:
        log.exception("inference.results.not_discarded", job_id=str(job_id))


def _run(claim: Claim) -> SwapJob.Status | None:
    """One attempt. Returns the status it gave the job; None when the job was not its own any more.

    Files are removed only after a committed row says that nobody needs them. After an exception
    that may have come from a commit they stay: the row may name them.
    """
    try:
        output = _produce(claim)
        if transitions.finish(claim=claim, output=output):
            discard_results(job_id=claim.job_id, keep_key=output.image.key)
            return SwapJob.Status.SUCCEEDED
        storage.delete_picture(output.image.key)
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


def _produce(claim: Claim) -> SwapOutput:
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    target = storage.read(claim.target_key)
    target_info = image_io.probe_image(target, limits=limits)
    observer = JobObserver(claim)
    result = runtime.swap(
        source_bgr=image_io.decode_image(storage.read(claim.source_key), limits=limits),
        target_bgr=image_io.decode_image(target, limits=limits),
        options=claim.options,
        observer=observer,
    )
    data = image_io.encode_image(result.image_bgr, format=target_info.format)
    small = image_io.thumbnail(result.image_bgr, side_px=storage.THUMBNAIL_SIDE_PX)
    observer.publishing()
    if observer.should_stop():
        raise pipeline_errors.StoppedError("publish")
    key = storage.result_key(
        job_id=claim.job_id, attempt=claim.attempt, content_type=target_info.content_type
    )
    height_px, width_px = result.image_bgr.shape[:2]
    image = StoredImage(
        key=key,
        sha256=storage.write_picture(key=key, data=data, thumbnail=small),
        content_type=target_info.content_type,
        size_bytes=len(data),
        width_px=width_px,
        height_px=height_px,
    )
    return SwapOutput(image=image, faces=tuple(dataclasses.asdict(face) for face in result.faces))
