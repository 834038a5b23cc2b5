"""Batches: many jobs in one request, priced together, each with an outcome of its own."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import services as accounts_services
from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from facefusion_site.common.errors import DomainError, InvalidRequestError
from inference import asset_transitions, batch_selectors, dispatch, sandbox_media, selectors, tasks
from inference.errors import AssetNotFoundError
from inference.job_errors import BatchRefusedError, PriceAboveLimitError
from inference.models import JobBatch, MediaAsset, SwapJob, SwapQuote
from inference.services.interventions import cancel_swap_job
from inference.services.jobs import first_status
from inference.services.quotes import draft_quote, terms_of
from inference.types import SwapOptions
from tokens import services as tokens_services
from tokens.errors import InsufficientTokensError
from tokens.types import HoldOrder, Operation

log = structlog.get_logger(__name__)
Mode = JobBatch.Mode
_ERRORS_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One wanted job."""

    source_asset_id: uuid.UUID
    target_asset_id: uuid.UUID
    operation: Operation
    options: SwapOptions


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A batch as it was asked for.

    Attributes:
        rows: at least one; at most JOB_BATCH_ROWS_MAX.
        mode: what one bad row does to the others.
        max_tokens: the most that all of it may cost; None for no such limit.
        start_deadline_s: of each job; see ``submit_swap_job``.
    """

    rows: tuple[BatchRow, ...]
    mode: JobBatch.Mode = Mode.SOFT_FAIL
    max_tokens: int | None = None
    start_deadline_s: int | None = None


@dataclass(frozen=True, slots=True)
class BatchPreview:
    """What a batch would do at this moment; nothing was written."""

    tokens: int
    quotes: dict[int, SwapQuote] = field(default_factory=dict)
    refusals: tuple[dict[str, Any], ...] = ()

    def only(self, numbers: Sequence[int]) -> BatchPreview:
        """Of these rows alone, which become the rows from 1 on; none of them was refused."""
        quotes = {place: self.quotes[number] for place, number in enumerate(numbers, start=1)}
        return BatchPreview(tokens=sum(quote.tokens for quote in quotes.values()), quotes=quotes)


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A new batch: the jobs by row, and why the other rows became none."""

    batch_id: uuid.UUID
    job_ids: dict[int, uuid.UUID]
    refusals: tuple[dict[str, Any], ...]


def preview_job_batch(*, owner_id: int, order: BatchOrder) -> BatchPreview:
    """Price a batch and look at its rows; the wallet is not looked at. Six queries.

    Raises:
        InvalidRequestError: no row, or too many.
    """
    rows_max = settings.JOB_BATCH_ROWS_MAX
    if not 1 <= len(order.rows) <= rows_max:
        raise InvalidRequestError(
            _("A batch has 1 to %(max)d jobs.") % {"max": rows_max}, rows_max=rows_max
        )
    named = {row.source_asset_id for row in order.rows}
    named |= {row.target_asset_id for row in order.rows}
    assets = selectors.assets_by_id(owner_id=owner_id, asset_ids=named)
    assets |= sandbox_media.magic_assets(owner_id=owner_id, asset_ids=named)
    sources = {row.source_asset_id for row in order.rows}
    sources.update(*(row.options.source_asset_ids for row in order.rows))
    terms = terms_of(owner_id=owner_id, sources=sources)
    quotes: dict[int, SwapQuote] = {}
    refusals: list[dict[str, Any]] = []
    for number, row in enumerate(order.rows, start=1):
        try:
            quotes[number] = draft_quote(
                owner_id=owner_id,
                source=_asset(assets, row.source_asset_id, param="source_asset_id"),
                target=_asset(assets, row.target_asset_id, param="target_asset_id"),
                options=row.options,
                operation=row.operation,
                terms=terms,
            )
        except DomainError as error:
            refusals.append(_refusal(number, error))
    return BatchPreview(
        tokens=sum(quote.tokens for quote in quotes.values()),
        quotes=quotes,
        refusals=tuple(refusals),
    )


@transaction.atomic(durable=True)
def create_job_batch(
    *,
    owner_id: int,
    order: BatchOrder,
    idempotency_key: str,
    api_key_id: uuid.UUID | None = None,
) -> tuple[uuid.UUID, bool]:
    """Make jobs of all rows that can be jobs, with a bounded number of statements.

    Owns its transaction. Rows are priced as prices are now; ``max_tokens`` is what keeps the caller
    safe from a price that rose. Jobs beyond the places of the account wait for their turn. The
    daily budget of the key ``api_key_id`` covers all of it, or refuses it.

    Returns:
        The batch, and whether an earlier request with this key made it.

    Raises:
        InvalidRequestError: no row, or too many.
        IdempotencyKeyReusedError: the key was used with another request.
        PriceAboveLimitError: all of it costs more than ``max_tokens``; nothing is stored.
        BatchRefusedError: a row of an atomic batch cannot be a job; nothing is stored.
        ApiKeyBudgetExceededError: the key has less left for today; nothing is stored.
        InsufficientTokensError: the wallet cannot cover an atomic batch; nothing is stored.
        WalletFrozenError: an operator keeps the wallet frozen; nothing is stored.
        WalletClosedError: the wallet is closed; nothing is stored.
    """
    fingerprint = idempotency.fingerprint(asdict(order))
    earlier = _earlier(owner_id, idempotency_key, fingerprint)
    if earlier is not None:
        return earlier, True
    plan = preview_job_batch(owner_id=owner_id, order=order)
    _check(plan, order)
    try:
        # The savepoint keeps the transaction usable after a refused insert.
        with transaction.atomic():
            batch = JobBatch.objects.create(
                owner_id=owner_id,
                idempotency_key=idempotency_key,
                request_fingerprint=fingerprint,
                mode=order.mode,
                rows_count=len(order.rows),
            )
    except IntegrityError:
        earlier = _earlier(owner_id, idempotency_key, fingerprint)
        if earlier is None:
            raise
        return earlier, True
    # Before the wallet is locked; what the wallet then does not cover is given back below.
    accounts_services.spend_key_budget(key_id=api_key_id, tokens=plan.tokens)
    _fill(batch, order, plan)
    accounts_services.give_back_key_budget(key_id=api_key_id, tokens=plan.tokens - batch.tokens)
    _send_after_commit(batch)
    return batch.pk, False


def join_job_batch(
    *, owner_id: int, order: BatchOrder, plan: BatchPreview, idempotency_key: str
) -> StoredBatch:
    """Make jobs of rows that were priced before, in the caller's transaction.

    For callers that decide about jobs under a lock of their own, and so know that they ask once:
    the key must be new. The lock has to come before those of jobs and wallets.

    Args:
        owner_id: who pays.
        order: the rows in the order of ``plan``; its mode says what an uncovered row does.
        plan: the prices, of this moment.
        idempotency_key: unique per owner.

    Raises:
        InsufficientTokensError: the wallet cannot cover an atomic batch.
        WalletFrozenError: an operator keeps the wallet frozen.
        WalletClosedError: the wallet is closed.
    """
    assert transaction.get_connection().in_atomic_block, "the caller owns the transaction"
    batch = JobBatch.objects.create(
        owner_id=owner_id,
        idempotency_key=idempotency_key,
        request_fingerprint=idempotency.fingerprint(asdict(order)),
        mode=order.mode,
        rows_count=len(order.rows),
    )
    covered = _fill(batch, order, plan)
    _send_after_commit(batch)
    job_ids = {job.batch_row: job.pk for job in covered if job.batch_row is not None}
    return StoredBatch(batch_id=batch.pk, job_ids=job_ids, refusals=tuple(batch.refusals))


def _send_after_commit(batch: JobBatch) -> None:
    for job_id in dispatch.take_places(owner_id=batch.owner_id):
        send_on_commit(tasks.run_swap_job, job_id=str(job_id))
    transaction.on_commit(
        partial(
            log.info,
            "inference.batch.accepted",
            batch_id=str(batch.pk),
            jobs_count=batch.accepted_count,
            tokens=batch.tokens,
        )
    )


def cancel_job_batch(*, owner_id: int, batch_id: uuid.UUID) -> int:
    """Cancel all jobs of a batch that have not ended, each in a transaction of its own.

    Those that wait for a place come first, so that none of them gets the place of another.

    Returns:
        How many were canceled by this call.

    Raises:
        BatchNotFoundError: there is none, or it is somebody else's.
    """
    batch = batch_selectors.batch(owner_id=owner_id, batch_id=batch_id)
    canceled = 0
    for job_id in batch_selectors.open_job_ids(batch=batch):
        try:
            cancel_swap_job(owner_id=owner_id, job_id=job_id)
        except DomainError as error:
            # It ended by itself in the meantime.
            log.info("inference.batch.job_not_canceled", job_id=str(job_id), code=error.code)
        else:
            canceled += 1
    return canceled


def _check(plan: BatchPreview, order: BatchOrder) -> None:
    if order.mode == Mode.ATOMIC and plan.refusals:
        raise BatchRefusedError(
            _("%(count)d rows cannot be jobs.") % {"count": len(plan.refusals)},
            errors=[
                {
                    "pointer": f"#/jobs/{refusal['row'] - 1}",
                    "code": refusal["code"],
                    "detail": refusal["detail"],
                }
                for refusal in plan.refusals[:_ERRORS_LISTED]
            ],
        )
    if order.max_tokens is not None and plan.tokens > order.max_tokens:
        raise PriceAboveLimitError(
            _("The batch costs %(tokens)d tokens.") % {"tokens": plan.tokens},
            param="max_tokens",
            tokens=plan.tokens,
        )


def _fill(batch: JobBatch, order: BatchOrder, plan: BatchPreview) -> list[SwapJob]:
    """Store quotes and jobs, hold what they cost, and take back the rows that were not covered.

    The rows come first, as with single jobs: locks are taken in the order job, wallet.

    Returns:
        The jobs that are covered.
    """
    now = timezone.now()
    deadline = None
    if order.start_deadline_s is not None:
        deadline = now + dt.timedelta(seconds=order.start_deadline_s)
    jobs = [
        SwapJob(
            owner_id=batch.owner_id,
            idempotency_key=f"{batch.pk}/{number}",
            request_fingerprint=batch.request_fingerprint,
            quote=quote,
            batch=batch,
            batch_row=number,
            status=first_status(quote),
            start_deadline_at=deadline,
        )
        for number, quote in plan.quotes.items()
    ]
    # From here on nobody deletes them before their jobs have ended.
    asset_transitions.keep(
        asset_ids={
            asset_id
            for quote in plan.quotes.values()
            for asset_id in asset_transitions.assets_of(quote)
        }
    )
    SwapQuote.objects.bulk_create(plan.quotes.values())
    SwapJob.objects.bulk_create(jobs)
    hold_ttl = dt.timedelta(seconds=settings.HOLD_TTL_S)
    missing = _hold(batch.owner_id, jobs, expires_at=now + hold_ttl)
    if missing and order.mode == Mode.ATOMIC:
        raise _insufficient(plan.tokens, _available(jobs, missing))
    covered = [job for job in jobs if job.pk not in missing]
    uncovered = [job for job in jobs if job.pk in missing]
    for job in covered:
        job.hold_id = job.pk
    SwapJob.objects.bulk_update(covered, ["hold"])
    if uncovered:
        SwapJob.objects.filter(pk__in=[job.pk for job in uncovered]).delete()
        SwapQuote.objects.filter(pk__in=[job.quote_id for job in uncovered]).delete()
    batch.accepted_count = len(covered)
    batch.tokens = sum(job.quote.tokens for job in covered)
    batch.refusals = sorted(
        [*plan.refusals, *(_uncovered(job, missing) for job in uncovered)],
        key=lambda refusal: refusal["row"],
    )
    batch.save(update_fields=["accepted_count", "tokens", "refusals"])
    return covered


def _hold(
    owner_id: int, jobs: Sequence[SwapJob], *, expires_at: dt.datetime
) -> dict[uuid.UUID, int]:
    """Hold the price of each job under the job's own id; see ``place_holds`` for what is left."""
    if not jobs:
        return {}
    orders = [
        HoldOrder(
            hold_id=job.pk,
            amount=job.quote.tokens,
            reference=f"swap_job:{job.pk}",
            operation=Operation[job.quote.operation],
        )
        for job in jobs
    ]
    return tokens_services.place_holds(owner_id=owner_id, orders=orders, expires_at=expires_at)


def _available(jobs: Sequence[SwapJob], missing: Mapping[uuid.UUID, int]) -> int:
    """The tokens that could be spent before the first hold was placed."""
    taken = 0
    for job in jobs:
        if job.pk in missing:
            return taken + missing[job.pk]
        taken += job.quote.tokens
    return taken


def _earlier(owner_id: int, key: str, fingerprint: str) -> uuid.UUID | None:
    batch = JobBatch.objects.filter(owner_id=owner_id, idempotency_key=key).first()
    if batch is None:
        return None
    if batch.request_fingerprint != fingerprint:
        raise idempotency.IdempotencyKeyReusedError(
            _("This Idempotency-Key was used with another request."), param=idempotency.KEY_HEADER
        )
    return batch.pk


def _asset(assets: dict[uuid.UUID, MediaAsset], asset_id: uuid.UUID, *, param: str) -> MediaAsset:
    found = assets.get(asset_id)
    if found is None and sandbox_media.outcome_of(asset_id) is not None:
        raise sandbox_media.refuse(param=param)
    if found is None:
        raise AssetNotFoundError(_("You have no upload with this id."), param=param)
    return found


def _refusal(number: int, error: DomainError) -> dict[str, Any]:
    return {"row": number, "code": error.code, "detail": str(error), "param": error.param}


def _uncovered(job: SwapJob, missing: Mapping[uuid.UUID, int]) -> dict[str, Any]:
    assert job.batch_row is not None, "a job of a batch has its row"
    return _refusal(job.batch_row, _insufficient(job.quote.tokens, missing[job.pk]))


def _insufficient(needed: int, available: int) -> InsufficientTokensError:
    return InsufficientTokensError(
        _("This needs %(needed)d tokens; the account has %(available)d available.")
        % {"needed": needed, "available": available},
        needed=needed,
        available=available,
    )
