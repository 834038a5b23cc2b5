"""The work of a worker, done in a process that may crash; what a crash means for jobs.

A crash is a fault of the media as far as anybody can tell, and another try would cost another
process: the job fails at once with a full refund. A process that was ended from outside says
nothing about the media: its lease lapses, and the sweep has the work tried again, as after a lost
worker.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inference import endings, face_handlers, handlers
from inference.errors import FailureCode
from inference.isolation import IsolatedProcess, ProcessCrashedError, ProcessLostError
from inference.models import FaceSearch, SwapJob, SwapSegment
from inference.types import Resend

log = structlog.get_logger(__name__)
process = IsolatedProcess()


def run_swap_job(*, job_id: uuid.UUID) -> bool:
    """As ``handlers.run_swap_job``; a crash ends the job with a refund."""
    if not settings.WORKER_ISOLATED:
        return handlers.run_swap_job(job_id=job_id)
    attempt = _attempt_after(SwapJob, pk=job_id)
    try:
        return bool(
            process.do(
                "run_swap_job", is_stalled=_lease_watch(SwapJob, pk=job_id), job_id=str(job_id)
            )
        )
    except ProcessCrashedError as crash:
        _fail_job(job_id, attempt=attempt, detail=str(crash))
    except ProcessLostError as loss:
        log.warning("inference.job.process_lost", job_id=str(job_id), detail=str(loss))
    return False


def run_swap_segment(*, job_id: uuid.UUID, index: int) -> Resend:
    """As ``handlers.run_swap_segment``; a crash ends the whole job with a refund."""
    if not settings.WORKER_ISOLATED:
        return handlers.run_swap_segment(job_id=job_id, index=index)
    of_segment = {"job_id": job_id, "index": index}
    attempt = _attempt_after(SwapSegment, **of_segment)
    # Whoever completes the last segment goes on to join them, as an attempt of the job.
    job_attempt = _attempt_after(SwapJob, pk=job_id)
    try:
        again = process.do(
            "run_swap_segment",
            is_stalled=_lease_watch(SwapSegment, **of_segment),
            job_id=str(job_id),
            index=index,
        )
    except ProcessCrashedError as crash:
        _fail_segment(job_id, index=index, attempt=attempt, detail=str(crash))
        _fail_job(job_id, attempt=job_attempt, detail=str(crash))
    except ProcessLostError as loss:
        log.warning("inference.segment.process_lost", job_id=str(job_id), detail=str(loss))
    else:
        return Resend(**again)
    return Resend()


def find_faces(*, search_id: uuid.UUID) -> bool:
    """As ``face_handlers.find_faces``; a crash ends the search."""
    if not settings.WORKER_ISOLATED:
        return face_handlers.find_faces(search_id=search_id)
    attempt = _attempt_after(FaceSearch, pk=search_id)
    try:
        return bool(
            process.do(
                "find_faces",
                is_stalled=_lease_watch(FaceSearch, pk=search_id),
                search_id=str(search_id),
            )
        )
    except ProcessCrashedError as crash:
        FaceSearch.objects.filter(
            pk=search_id, status=FaceSearch.Status.RUNNING, attempt=attempt
        ).update(
            status=FaceSearch.Status.FAILED,
            lease_expires_at=None,
            error_code=FailureCode.PROCESS_CRASHED,
            error_detail=str(crash),
        )
    except ProcessLostError as loss:
        log.warning("inference.faces.process_lost", search_id=str(search_id), detail=str(loss))
    return False


def close() -> None:
    """End the process, when the worker ends."""
    process.close()


Row = type[SwapJob] | type[SwapSegment] | type[FaceSearch]


def _attempt_after(model: Row, **row: object) -> int:
    """The number that the next claim of a row will have: whoever has another is not our process."""
    attempt = model.objects.filter(**row).values_list("attempt", flat=True).first()
    return 0 if attempt is None else attempt + 1


def _lease_watch(model: Row, **row: object) -> Callable[[], bool]:
    """Whether a row's lease lapsed long ago: its work stands still, or went on elsewhere."""

    def is_stalled() -> bool:
        silent_since = timezone.now() - dt.timedelta(seconds=settings.WORKER_STALL_S)
        return model.objects.filter(
            **row, status="RUNNING", lease_expires_at__lt=silent_since
        ).exists()

    return is_stalled


def _fail_job(job_id: uuid.UUID, *, attempt: int, detail: str) -> None:
    with transaction.atomic(durable=True):
        job = endings.locked().filter(pk=job_id, status=SwapJob.Status.RUNNING).first()
        if job is None or job.attempt != attempt or job.lease_expires_at is None:
            return
        endings.end_failed(job, code=FailureCode.PROCESS_CRASHED, detail=detail)
    handlers.discard_results(job_id=job_id, keep_key=None)


def _fail_segment(job_id: uuid.UUID, *, index: int, attempt: int, detail: str) -> None:
    with transaction.atomic(durable=True):
        job = endings.locked().filter(pk=job_id, status=SwapJob.Status.RUNNING).first()
        is_ours = SwapSegment.objects.filter(
            job_id=job_id, index=index, attempt=attempt, status=SwapSegment.Status.RUNNING
        ).exists()
        if job is None or not is_ours:
            return
        endings.end_failed(
            job, code=FailureCode.PROCESS_CRASHED, detail=f"Segment {index}: {detail}"
        )
    handlers.discard_results(job_id=job_id, keep_key=None)
