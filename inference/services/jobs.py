"""Jobs: accepted once for a quote, and what operators may do with them."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import partial

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from inference import handlers, selectors, tasks, transitions
from inference.errors import QuoteExpiredError, QuoteRedeemedError
from inference.models import SwapJob
from inference.types import SubmittedJob
from tokens import services as tokens_services
from tokens.types import Operation

log = structlog.get_logger(__name__)


@transaction.atomic(durable=True)
def submit_swap_job(*, owner_id: int, quote_id: uuid.UUID, idempotency_key: str) -> SubmittedJob:
    """Redeem a quote: store the job, hold its price, queue it after the commit.

    Owns its transaction. The insert decides between requests that arrive at once, both for the key
    and for the quote; whoever loses reads the winner's row. Repeating a request returns the same
    job for ever, also after the quote expired.

    Raises:
        IdempotencyKeyReusedError: the key was used with another quote.
        QuoteNotFoundError: there is no such quote, or it is somebody else's.
        QuoteRedeemedError: another job was paid with the quote.
        QuoteExpiredError: the promise is over; nothing is stored.
        InsufficientTokensError: the wallet cannot cover the price; nothing is stored.
        WalletFrozenError: an operator keeps the wallet frozen; nothing is stored.
        WalletClosedError: the wallet is closed; nothing is stored.
    """
    fingerprint = idempotency.fingerprint({"quote_id": quote_id})
    earlier = selectors.job_by_key(owner_id=owner_id, idempotency_key=idempotency_key)
    if earlier is not None:
        return _replay(earlier, fingerprint=fingerprint)
    quote = selectors.quote(owner_id=owner_id, quote_id=quote_id, param="quote_id")
    try:
        # The savepoint keeps the transaction usable after a refused insert.
        with transaction.atomic():
            job = SwapJob.objects.create(
                owner_id=owner_id,
                idempotency_key=idempotency_key,
                request_fingerprint=fingerprint,
                quote=quote,
            )
    except IntegrityError as error:
        earlier = selectors.job_by_key(owner_id=owner_id, idempotency_key=idempotency_key)
        if earlier is not None:
            return _replay(earlier, fingerprint=fingerprint)
        if not SwapJob.objects.filter(quote=quote).exists():
            raise
        raise QuoteRedeemedError(
            _("Another job was already paid with this quote."), param="quote_id"
        ) from error
    # Looked at after the insert: a repeat of a request that made it in time is never "expired".
    now = timezone.now()
    if quote.expires_at <= now:
        raise QuoteExpiredError(_("The quote's time is over."), param="quote_id")
    job.hold_id = tokens_services.place_hold(
        owner_id=owner_id,
        amount=quote.tokens,
        reference=f"swap_job:{job.pk}",
        expires_at=now + dt.timedelta(seconds=settings.HOLD_TTL_S),
        operation=Operation[quote.operation],
    )
    job.save(update_fields=["hold"])
    send_on_commit(tasks.run_swap_job, job_id=str(job.pk))
    transaction.on_commit(
        partial(log.info, "inference.job.accepted", job_id=str(job.pk), tokens=quote.tokens)
    )
    return SubmittedJob(job_id=job.pk, is_replay=False)


def requeue_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """Give a job that has not ended to a new worker; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    transitions.requeue(job_id=job_id)
    send_on_commit(tasks.run_swap_job, job_id=str(job_id))
    log.info("inference.job.requeued_by_operator", job_id=str(job_id), actor_id=actor_id)


def stop_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """End a job that has not ended and give every token back; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    transitions.stop(job_id=job_id, detail=f"Stopped by user {actor_id}.")
    handlers.discard_results(job_id=job_id, keep_key=None)
    log.info("inference.job.stopped_by_operator", job_id=str(job_id), actor_id=actor_id)


def _replay(job: SwapJob, *, fingerprint: str) -> SubmittedJob:
    if job.request_fingerprint != fingerprint:
        raise idempotency.IdempotencyKeyReusedError(
            _("This Idempotency-Key was used with another quote."), param=idempotency.KEY_HEADER
        )
    return SubmittedJob(job_id=job.pk, is_replay=True)
