"""How a job ends without a result. Each ending locks the job and moves its tokens with its state.

Every way out takes the job's lock and looks at its status first, so of a cancel, a finish and a
sweep that arrive together exactly one ends the job. Locks are taken in the order job, segment,
wallet, hold.
"""

from __future__ import annotations

import datetime as dt
import uuid
from functools import partial
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts_services
from accounts.webhook_types import WebhookEventType
from inference.errors import FailureCode, JobFinishedError, JobNotFoundError
from inference.models import UNSTARTED_STATUSES, SwapJob, SwapSegment
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.errors import HoldResolvedError

Status = SwapJob.Status
log = structlog.get_logger(__name__)
_BLOCKED_PREFIX: Final = "content_blocked"


@transaction.atomic(durable=True)
def cancel(*, job_id: uuid.UUID) -> bool:
    """End a job because its owner wants so; only what was done by then is charged.

    A job that no worker is at costs nothing. Of a running video the frames that are done are
    charged, as their share of the quote rounded down. Its worker sees the end when it renews.

    Returns:
        False when it was canceled before; then nothing changes.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended in another way.
    """
    job = locked().filter(pk=job_id).first()
    if job is not None and job.status == Status.CANCELED:
        return False
    job = _open(job, job_id)
    settled = work_done_tokens(job)
    _stop_segments(job)
    try:
        tokens_services.settle_hold(hold_id=hold_id_of(job), amount=settled)
    except HoldResolvedError:
        # A hold that expired before has given the tokens back already: the job ends all the same.
        settled = 0
    job.status = Status.CANCELED
    end(job)
    log_after_commit("inference.job.canceled", job, tokens=settled)
    return True


@transaction.atomic(durable=True)
def stop(
    *, job_id: uuid.UUID, detail: str, code: FailureCode = FailureCode.STOPPED_BY_OPERATOR
) -> None:
    """End a job that has not ended, with a full refund; its worker's result will be thrown away.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    end_failed(lock_open(job_id), code=code, detail=detail)


@transaction.atomic(durable=True)
def time_out(*, job_id: uuid.UUID, queued_before: dt.datetime) -> bool:
    """Refund a job that no worker took, or whose uploads did not come, since ``queued_before``.

    Returns:
        True when the job was ended by this call.
    """
    job = (
        locked(skip_locked=True)
        .filter(pk=job_id, status__in=UNSTARTED_STATUSES, queued_at__lt=queued_before)
        .first()
    )
    if job is None:
        return False
    if job.status == Status.AWAITING_INPUT:
        _end_unpaid(job, Status.EXPIRED, FailureCode.INPUT_TIMEOUT, "An upload never came.")
    else:
        end_failed(job, code=FailureCode.QUEUE_TIMEOUT, detail="No worker took the job in time.")
    return True


@transaction.atomic(durable=True)
def expire(*, job_id: uuid.UUID) -> bool:
    """Refund a job that no worker began before its start deadline.

    Returns:
        True when the job was ended by this call.
    """
    job = (
        locked(skip_locked=True)
        .filter(pk=job_id, status__in=UNSTARTED_STATUSES, attempt=0, start_deadline_at__lte=Now())
        .first()
    )
    if job is None:
        return False
    _end_unpaid(job, Status.EXPIRED, FailureCode.START_DEADLINE, "No worker began in time.")
    return True


def end_failed(job: SwapJob, *, code: str, detail: str) -> Status:
    """End a locked job without a result, in the caller's transaction, and refund it.

    Returns:
        BLOCKED when the safety stage refused its content, else FAILED.
    """
    status = Status.BLOCKED if code.startswith(_BLOCKED_PREFIX) else Status.FAILED
    return _end_unpaid(job, status, code, detail)


def work_done_tokens(job: SwapJob) -> int:
    """What canceling this job at this moment would charge, in whole tokens; at most the quote.

    A picture is done or not. Frames count as long as somebody keeps the lease on them: what a lost
    worker did has to be done again.
    """
    if job.status != Status.RUNNING or not job.frames_count:
        return 0
    if job.segments_count and job.lease_expires_at is None:
        kept = Q(status=SwapSegment.Status.DONE) | Q(lease_expires_at__gt=Now())
        total = SwapSegment.objects.filter(kept, job=job).aggregate(frames=Sum("frames_done"))
        frames_done = total["frames"] or 0
    elif SwapJob.objects.filter(pk=job.pk, lease_expires_at__gt=Now()).exists():
        frames_done = job.frames_done
    else:
        frames_done = 0
    return int(job.quote.tokens * min(frames_done, job.frames_count) // job.frames_count)


def locked(*, skip_locked: bool = False) -> QuerySet[SwapJob]:
    """Jobs to be changed in the caller's transaction, each with its quote."""
    return SwapJob.objects.select_for_update(
        no_key=True, of=("self",), skip_locked=skip_locked
    ).select_related("quote")


def lock_open(job_id: uuid.UUID) -> SwapJob:
    """Lock a job that has not ended.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    return _open(locked().filter(pk=job_id).first(), job_id)


def end(job: SwapJob) -> None:
    """Store the end of a locked job whose final status is set; every ending comes through here."""
    job.lease_expires_at = None
    job.eta_s = None
    job.finished_at = timezone.now()
    job.save()
    accounts_services.enqueue_webhook(
        event_type=WebhookEventType(f"job.{job.status.lower()}"),
        user_id=job.owner_id,
        data=partial(announcement, job),
    )


def announcement(job: SwapJob) -> dict[str, Any]:
    """What the owner is told of an ended job: the words and values of the API, but fewer."""
    receipt = tokens_selectors.hold_receipt(hold_id=hold_id_of(job))
    return {
        "id": str(job.pk),
        "state": job.status.lower(),
        "operation": job.quote.operation.lower(),
        "quote_id": str(job.quote_id),
        "retry_of": None if job.retry_of_id is None else str(job.retry_of_id),
        "batch_id": None if job.batch_id is None else str(job.batch_id),
        "batch_row": job.batch_row,
        "error": {"code": job.error_code} if job.error_code else None,
        "receipt": {
            "quoted": job.quote.tokens,
            "held": receipt.held,
            "settled": receipt.settled,
            "refunded": receipt.refunded,
        },
    }


def hold_id_of(job: SwapJob) -> uuid.UUID:
    """The hold of a job that was accepted."""
    assert job.hold_id is not None, "a committed job has its hold"
    return job.hold_id


def log_after_commit(event: str, job: SwapJob, **fields: object) -> None:
    """Say what became of a job once it is true."""
    transaction.on_commit(
        partial(log.info, event, job_id=str(job.pk), attempt=job.attempt, **fields)
    )


def _open(job: SwapJob | None, job_id: uuid.UUID) -> SwapJob:
    if job is None:
        raise JobNotFoundError(_("There is no job with this id."))
    if job.is_final:
        raise JobFinishedError(
            _("The job has already ended."), job_id=str(job_id), state=job.status.lower()
        )
    return job


def _end_unpaid(job: SwapJob, status: Status, code: str, detail: str) -> Status:
    # A hold that expired before has given the tokens back already: the job must end all the same.
    _stop_segments(job)
    tokens_services.void_hold(hold_id=hold_id_of(job))
    job.status = status
    job.error_code = code
    job.error_detail = detail
    end(job)
    log_after_commit(f"inference.job.{status.lower()}", job, code=code)
    return status


def _stop_segments(job: SwapJob) -> None:
    if job.segments_count:
        SwapSegment.objects.filter(job=job).exclude(status=SwapSegment.Status.DONE).update(
            status=SwapSegment.Status.STOPPED, lease_expires_at=None
        )
