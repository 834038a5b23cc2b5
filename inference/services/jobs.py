"""Jobs: accepted once for a quote, retried, and their results."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import services as accounts_services
from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from facefusion_site.common.errors import ServiceUnavailableError
from inference import (
    asset_transitions,
    awaiting,
    dispatch,
    selectors,
    storage,
    tasks,
)
from inference.errors import (
    JobFailedError,
    JobNotFinishedError,
    QuoteExpiredError,
    QuoteNotFoundError,
    QuoteRedeemedError,
    failure_text,
)
from inference.job_errors import (
    JobCanceledError,
    JobNotRetryableError,
    QuoteMismatchError,
    ResultDeletedError,
)
from inference.media_errors import AssetDeletedError
from inference.models import MediaAsset, SwapJob, SwapQuote
from inference.services.castings import require_consents
from inference.services.quotes import quote_again
from inference.types import SubmittedJob
from tokens import services as tokens_services
from tokens.types import Operation

log = structlog.get_logger(__name__)
Status = SwapJob.Status
# The sweep takes the rest: an upload must not take long because of the jobs that wait for it.
_RELEASED_MAX: Final = 100
_RETRYABLE: Final = frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELED})


@dataclass(frozen=True, slots=True)
class _Order:
    """A request for a job, before it is known whether an earlier one made it."""

    owner_id: int
    idempotency_key: str
    fingerprint: str
    start_deadline_s: int | None
    retry_of_id: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None


def submit_swap_job(
    *,
    owner_id: int,
    quote_id: uuid.UUID,
    idempotency_key: str,
    start_deadline_s: int | None = None,
    api_key_id: uuid.UUID | None = None,
) -> SubmittedJob:
    """Redeem a quote: store the job, hold its price, queue it after the commit.

    Owns its transaction. The insert decides between requests that arrive at once, both for the key
    and for the quote; whoever loses reads the winner's row. Repeating a request returns the same
    job for ever, also after the quote expired. An account that has as many jobs at work as its plan
    allows is not refused: the job waits for a place.

    Args:
        owner_id: who pays.
        quote_id: what is bought.
        idempotency_key: the caller's name for this request.
        start_deadline_s: seconds within which a worker has to begin, or the job expires with a
            refund; None for no such limit.
        api_key_id: the caller's key, whose daily budget counts; None for a caller without one.

    Raises:
        IdempotencyKeyReusedError: the key was used with another request.
        QuoteNotFoundError: there is no such quote, or it is somebody else's.
        QuoteRedeemedError: another job was paid with the quote.
        QuoteExpiredError: the promise is over; nothing is stored.
        AssetDeletedError: an upload was deleted since; nothing is stored.
        ConsentRevokedError: and that was because the consent for it was revoked.
        ApiKeyBudgetExceededError: the key has less left for today; nothing is stored.
        InsufficientTokensError: the wallet cannot cover the price; nothing is stored.
        WalletFrozenError: an operator keeps the wallet frozen; nothing is stored.
        WalletClosedError: the wallet is closed; nothing is stored.
    """
    wanted: dict[str, object] = {"quote_id": quote_id}
    if start_deadline_s is not None:
        wanted["start_deadline_s"] = start_deadline_s
    order = _Order(
        owner_id=owner_id,
        idempotency_key=idempotency_key,
        fingerprint=idempotency.fingerprint(wanted),
        start_deadline_s=start_deadline_s,
        api_key_id=api_key_id,
    )
    try:
        quote = selectors.quote(owner_id=owner_id, quote_id=quote_id, param="quote_id")
    except QuoteNotFoundError:
        # The key may be that of another request, and then this is what is wrong.
        _earlier(order)
        raise
    return _once(order, quote_id, lambda: _accept(order, quote))


def retry_swap_job(
    *,
    owner_id: int,
    job_id: uuid.UUID,
    idempotency_key: str,
    quote_id: uuid.UUID | None = None,
    start_deadline_s: int | None = None,
    api_key_id: uuid.UUID | None = None,
) -> SubmittedJob:
    """Run a job that failed, expired or was canceled again, as a new job that names it.

    Without ``quote_id`` it is priced as prices are now. Owns its transaction; for the rest see
    ``submit_swap_job``.

    Raises:
        JobNotFoundError: there is no such job, or it is somebody else's.
        JobNotRetryableError: the job has not ended, has a result, or was blocked.
        QuoteMismatchError: the quote is for other uploads or another operation.
        DomainError: as ``submit_swap_job``, and as ``quote_swap`` without ``quote_id``.
    """
    order = _Order(
        owner_id=owner_id,
        idempotency_key=idempotency_key,
        fingerprint=idempotency.fingerprint(
            {"retry_of": job_id, "quote_id": quote_id, "start_deadline_s": start_deadline_s}
        ),
        start_deadline_s=start_deadline_s,
        retry_of_id=job_id,
        api_key_id=api_key_id,
    )
    earlier = _earlier(order)
    if earlier is not None:
        return earlier
    job = selectors.job(owner_id=owner_id, job_id=job_id)
    if job.status not in _RETRYABLE:
        raise JobNotRetryableError(
            _("Only jobs that failed, expired or were canceled can be retried."),
            state=job.status.lower(),
        )
    if quote_id is None:
        return _once(order, None, lambda: _accept(order, quote_again(quote=job.quote)))
    quote = selectors.quote(owner_id=owner_id, quote_id=quote_id, param="quote_id")
    same = ("operation", "source_id", "target_id")
    if any(getattr(quote, name) != getattr(job.quote, name) for name in same):
        raise QuoteMismatchError(
            _("The quote is not for the uploads and the operation of this job."), param="quote_id"
        )
    return _once(order, quote_id, lambda: _accept(order, quote))


def release_waiting_jobs(*, asset_id: uuid.UUID) -> None:
    """Let the jobs go on that wait for this upload; the sweep does the same, a little later."""
    for job_id in awaiting.over_job_ids(asset_id=asset_id, limit=_RELEASED_MAX):
        for ready_id in awaiting.resolve(job_id=job_id):
            send_on_commit(tasks.run_swap_job, job_id=str(ready_id))


def delete_result(*, owner_id: int, job_id: uuid.UUID) -> None:
    """Delete the bytes of a result now; the job and its receipt stay. May be repeated.

    Raises:
        JobNotFoundError: there is no such job, or it is somebody else's.
        JobNotFinishedError: the job has no result yet.
        JobFailedError: the job failed and never had a result.
        JobCanceledError: the job was canceled and never had a result.
        ServiceUnavailableError: the storage does not answer; the result is not shown any more, and
            repeating the request deletes its bytes.
    """
    job = selectors.job(owner_id=owner_id, job_id=job_id)
    if job.result_deleted_at is None:
        require_result(job)
        SwapJob.objects.filter(pk=job_id, result_deleted_at__isnull=True).update(
            result_deleted_at=Now()
        )
        log.info("inference.result.deleted", job_id=str(job_id))
    try:
        storage.delete_results(job_id=job_id, keep_key=None)
    except OSError as error:
        log.exception("inference.results.not_discarded", job_id=str(job_id))
        raise ServiceUnavailableError(
            _("The media storage does not answer. Send the request again."), retry_after_s=10
        ) from error


def require_result(job: SwapJob) -> None:
    """Refuse what needs a result that is not there.

    Raises:
        JobNotFinishedError: the job has no result yet.
        JobFailedError: the job ended without one.
        JobCanceledError: the job was canceled.
        ResultDeletedError: there was one.
    """
    if not job.is_final:
        raise JobNotFinishedError(
            _("The job has no result yet."), state=job.status.lower(), retry_after_s=1
        )
    if job.status == Status.CANCELED:
        raise JobCanceledError(_("The job was canceled before it had a result."))
    if job.status != Status.SUCCEEDED:
        raise JobFailedError(failure_text(job.error_code), error_code=job.error_code)
    if job.result_deleted_at is not None:
        raise ResultDeletedError(
            _("The result was deleted."), deleted_at=job.result_deleted_at.isoformat()
        )


def first_status(quote: SwapQuote) -> SwapJob.Status:
    """A job waits for its uploads, or for a worker."""
    ready = MediaAsset.Status.READY
    is_complete = quote.source.status == quote.target.status == ready
    return Status.QUEUED if is_complete else Status.AWAITING_INPUT


def _once(
    order: _Order, quote_id: uuid.UUID | None, accept: Callable[[], SubmittedJob]
) -> SubmittedJob:
    """Accept in one transaction; where the insert is refused, answer with what was there before."""
    try:
        with transaction.atomic(durable=True):
            return accept()
    except IntegrityError as error:
        # The transaction is over, which spares every other request a savepoint.
        earlier = _earlier(order)
        if earlier is not None:
            return earlier
        if quote_id is None or not SwapJob.objects.filter(quote_id=quote_id).exists():
            raise
        raise QuoteRedeemedError(
            _("Another job was already paid with this quote."), param="quote_id"
        ) from error


def _accept(order: _Order, quote: SwapQuote) -> SubmittedJob:
    job = SwapJob.objects.create(
        owner_id=order.owner_id,
        idempotency_key=order.idempotency_key,
        request_fingerprint=order.fingerprint,
        retry_of_id=order.retry_of_id,
        quote=quote,
        status=first_status(quote),
    )
    # From here on nobody deletes them before the job has ended.
    try:
        asset_transitions.keep(asset_ids=asset_transitions.assets_of(quote))
    except AssetDeletedError:
        # Not looked at before: a revoked consent deletes its sources, so most jobs pay no query.
        require_consents(quote=quote)
        raise
    # Looked at after the insert: a repeat of a request that made it in time is never "expired".
    now = timezone.now()
    if quote.expires_at <= now:
        raise QuoteExpiredError(_("The quote's time is over."), param="quote_id")
    if order.start_deadline_s is not None:
        job.start_deadline_at = now + dt.timedelta(seconds=order.start_deadline_s)
    accounts_services.spend_key_budget(key_id=order.api_key_id, tokens=quote.tokens)
    job.hold_id = tokens_services.place_hold(
        owner_id=order.owner_id,
        amount=quote.tokens,
        reference=f"swap_job:{job.pk}",
        expires_at=now + dt.timedelta(seconds=settings.HOLD_TTL_S),
        operation=Operation[quote.operation],
    )
    job.save(update_fields=["hold", "start_deadline_at"])
    for ready_id in dispatch.take_places(owner_id=order.owner_id):
        send_on_commit(tasks.run_swap_job, job_id=str(ready_id))
    transaction.on_commit(
        partial(log.info, "inference.job.accepted", job_id=str(job.pk), tokens=quote.tokens)
    )
    return SubmittedJob(job_id=job.pk, is_replay=False)


def _earlier(order: _Order) -> SubmittedJob | None:
    job = selectors.job_by_key(owner_id=order.owner_id, idempotency_key=order.idempotency_key)
    if job is None:
        return None
    if job.request_fingerprint != order.fingerprint:
        raise idempotency.IdempotencyKeyReusedError(
            _("This Idempotency-Key was used with another request."), param=idempotency.KEY_HEADER
        )
    return SubmittedJob(job_id=job.pk, is_replay=True)
