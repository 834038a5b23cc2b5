"""Jobs that somebody ends, or gives to another worker: their owners and operators."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.utils.translation import gettext as _

from facefusion_site.common.celery import send_on_commit
from inference import dispatch, endings, handlers, selectors, tasks, transitions
from inference.errors import JobFinishedError
from inference.models import SwapJob

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CancelPreview:
    """What canceling a job would do with its tokens."""

    job: SwapJob
    held: int
    settled: int

    @property
    def refunded(self) -> int:
        """Tokens that would come back."""
        return self.held - self.settled


def cancel_swap_job(*, owner_id: int, job_id: uuid.UUID) -> None:
    """End a job of the owner; only the work that was done by then is charged.

    Repeating it changes nothing. See ``endings.cancel`` for what is charged.

    Raises:
        JobNotFoundError: there is no such job, or it is somebody else's.
        JobFinishedError: the job has ended in another way.
    """
    selectors.job(owner_id=owner_id, job_id=job_id)
    _cancel(job_id)


def cancel_swap_job_of_anybody(*, job_id: uuid.UUID, actor_id: int) -> None:
    """Cancel a job as its owner could: the work that was done is charged; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended in another way.
    """
    _cancel(job_id)
    log.info("inference.job.canceled_by_operator", job_id=str(job_id), actor_id=actor_id)


def stop_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """End a job that has not ended and give every token back; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    endings.stop(job_id=job_id, detail=f"Stopped by user {actor_id}.")
    clean_up(job_id)
    log.info("inference.job.stopped_by_operator", job_id=str(job_id), actor_id=actor_id)


def requeue_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """Give a job that has not ended to a new worker, whatever its account's places; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
        InputsMissingError: the job still waits for its uploads.
    """
    transitions.requeue(job_id=job_id)
    send_on_commit(tasks.run_swap_job, job_id=str(job_id))
    log.info("inference.job.requeued_by_operator", job_id=str(job_id), actor_id=actor_id)


def preview_cancel(*, jobs: Iterable[SwapJob]) -> list[CancelPreview]:
    """What canceling these jobs at this moment would charge and give back."""
    return [
        CancelPreview(job=detail.job, held=detail.receipt.held, settled=settled)
        for detail in selectors.with_receipts([job for job in jobs if not job.is_final])
        for settled in [endings.work_done_tokens(detail.job)]
    ]


def preview_cancel_of(*, owner_id: int, job_id: uuid.UUID) -> CancelPreview:
    """What canceling this job of the owner at this moment would charge and give back.

    Raises:
        JobNotFoundError: there is no such job, or it is somebody else's.
        JobFinishedError: the job has ended.
    """
    found = preview_cancel(jobs=[selectors.job(owner_id=owner_id, job_id=job_id)])
    if not found:
        raise JobFinishedError(_("The job has already ended."), job_id=str(job_id))
    return found[0]


def _cancel(job_id: uuid.UUID) -> None:
    if endings.cancel(job_id=job_id):
        clean_up(job_id)


def clean_up(job_id: uuid.UUID) -> None:
    """After an ending from outside: remove what the worker stored, hand on the place."""
    handlers.discard_results(job_id=job_id, keep_key=None)
    for ready_id in dispatch.after(job_id=job_id):
        send_on_commit(tasks.run_swap_job, job_id=str(ready_id))
