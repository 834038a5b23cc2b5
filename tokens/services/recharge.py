"""Bulk recharge: create a batch from rows or a filter, or only say what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain, islice

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.errors import StepUpRequiredError
from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from tokens import recharge_selectors, tasks
from tokens.approvals import BatchFacts
from tokens.draft_errors import DraftChangedError
from tokens.errors import InvalidRechargeError, RechargeBusyError, RechargeTooLargeError
from tokens.ledger import apply, batches, staging
from tokens.ledger.locks import is_contention
from tokens.ledger.recharge import StateChangedError
from tokens.models import RechargeBatch
from tokens.recharge_orders import draft_batch, header, staged_template
from tokens.recharge_rows import RowTotals, StagedRow, chunks, staged
from tokens.services.approvals import open_if_required
from tokens.types import (
    RechargeOrder,
    RechargePreview,
    RechargeReceipt,
    RechargeRequest,
    UserFilter,
)

log = structlog.get_logger(__name__)
Mode = RechargeBatch.Mode
Status = RechargeBatch.Status
# Called once per attempt, inside the transaction; streams, so that memory stays flat.
RowSource = Callable[[], Iterable[StagedRow]]
SANDBOX_SCOPE = "sandbox"
ATTEMPTS_MAX = 2


def bulk_recharge(
    *, request: RechargeRequest, actor_id: int, idempotency_key: str
) -> RechargeReceipt:
    """Credit many wallets from a list in memory, and record the outcome of every line.

    See ``create_batch``, whose small form this is.
    """
    order = RechargeOrder(
        mode=request.mode,
        reason=request.reason,
        operator=request.operator,
        terms=request.terms,
        fingerprint=idempotency.fingerprint(asdict(request)),
    )
    return create_batch(
        order=order,
        rows=lambda: (staged(item, terms=request.terms) for item in request.items),
        actor_id=actor_id,
        idempotency_key=idempotency_key,
    )


def create_batch(
    *,
    order: RechargeOrder,
    rows: RowSource,
    actor_id: int,
    idempotency_key: str,
    unproven_tokens_max: int | None = None,
) -> RechargeReceipt:
    """Create a recharge; apply it at once when it is small and needs no approval.

    Owns its transaction, so it must be the outermost one. Up to RECHARGE_SYNC_LINES_MAX rows are
    applied before this returns; more are staged for a worker, and so is a batch that has to wait
    for approval. In atomic mode one bad line refuses the whole batch: nothing moves, the refusal
    is recorded with status ``failed``, and a repeat of the key answers the same. Repeating a key
    with the same fingerprint moves nothing and returns what the first call returned.

    Args:
        order: what applies to all rows.
        rows: called at least once, inside the transaction; a user that appears again is refused
            from the second row on.
        actor_id: primary key of the authenticated principal.
        idempotency_key: 1 to 255 characters, unique per principal, remembered for ever.
        unproven_tokens_max: the caller has not proven a second factor and may recharge this many
            tokens; None for any number.

    Raises:
        StepUpRequiredError: more than ``unproven_tokens_max`` tokens; nothing was stored.
        InvalidRechargeError: there is no row.
        RechargeTooLargeError: there are more rows than the mode allows.
        IdempotencyKeyReusedError: the key was used with another request.
        IdempotencyInProgressError: the same request is running at this moment.
        RechargeBusyError: the wallets could not be locked in time; nothing was stored.
    """
    draft = partial(draft_batch, order=order, actor_id=actor_id, idempotency_key=idempotency_key)
    return create(draft=draft, rows=rows, unproven_tokens_max=unproven_tokens_max)


def filtered_rows(*, order: RechargeOrder, users: UserFilter, amount: int) -> Iterator[StagedRow]:
    """One row per user that meets the filter; needs an open transaction."""
    template = staged_template(order=order, amount=amount)
    refs = accounts_selectors.active_user_refs(
        role=users.role,
        prefix=users.user_ref_prefix,
        refs=users.user_refs,
        joined_after=users.joined_after,
        plan=users.plan,
    )
    return (template._replace(user_ref=ref) for ref in refs)


def preview(*, order: RechargeOrder, rows: RowSource) -> RechargePreview:
    """Say what ``create_batch`` would do at this moment, without any effect.

    The verdicts come from the same statements, in a transaction that the server itself keeps from
    writing; only the session's own table holds rows meanwhile.

    Raises:
        InvalidRechargeError: there is no row.
        RechargeTooLargeError: there are more rows than the mode allows.
    """
    return preview_batch(
        batch=draft_batch(order=order, actor_id=None, idempotency_key=""), rows=rows
    )


def preview_batch(*, batch: RechargeBatch, rows: RowSource) -> RechargePreview:
    """The preview of an unsaved batch."""
    totals = RowTotals.start(header(batch))
    with transaction.atomic(durable=True):
        staging.prepare(has_few_rows=False)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        for chunk in chunks(_limited(rows(), mode=batch.mode), size=settings.RECHARGE_CHUNK_LINES):
            first_row = totals.rows + 1
            staging.fill_from_rows(payload=totals.add(chunk), first_row=first_row)
        _require_rows(totals.rows)
        staging.mark_stage()
        verdicts = apply.judge(batch=batch, is_dry_run=True)
        batch.lines_count = totals.rows
        batch.applied_count = verdicts.applied_count
        is_refused = batch.mode == Mode.ATOMIC and not verdicts.is_clean
        failures = recharge_selectors.judged_failures(
            is_refused=is_refused, limit=settings.RECHARGE_FAILURES_LISTED
        )
    return RechargePreview(
        mode=batch.mode.lower(),
        status=batches.outcome(batch).lower(),
        lines_count=batch.lines_count,
        applied_count=batch.applied_count,
        tokens_total=verdicts.tokens_total,
        outcomes=verdicts.lines,
        failures=failures,
        content_sha256=totals.sha256,
    )


def create(
    *,
    draft: Callable[[], RechargeBatch],
    rows: RowSource,
    unproven_tokens_max: int | None = None,
    is_preapproved: bool = False,
) -> RechargeReceipt:
    """Create whatever kind of batch ``draft`` makes.

    ``is_preapproved``: a rule with limits of its own is what approves it, so no policy is asked. A
    wallet that changes between judging and locking rolls the attempt back; the next one locks
    first and cannot meet that again.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return _create(
                batch=draft(),
                rows=rows,
                locks_first=attempt > 1,
                unproven_tokens_max=unproven_tokens_max,
                is_preapproved=is_preapproved,
            )
        except StateChangedError:
            log.info("tokens.recharge.retried", attempt=attempt)
        except OperationalError as error:
            if not is_contention(error):
                raise
            if attempt == ATTEMPTS_MAX:
                raise RechargeBusyError(
                    _("Other work held the wallets for too long."), retry_after_s=1
                ) from error
    raise AssertionError("locking first rules a change out")


@transaction.atomic(durable=True)
def _create(
    *,
    batch: RechargeBatch,
    rows: RowSource,
    locks_first: bool,
    unproven_tokens_max: int | None,
    is_preapproved: bool,
) -> RechargeReceipt:
    stored = batches.claim_key(
        actor_id=batch.actor_id,
        key_scope=batch.key_scope,
        key=batch.idempotency_key,
        fingerprint=batch.request_fingerprint,
    )
    if stored is not None:
        return recharge_selectors.creation_receipt(stored, is_replay=True)
    totals = RowTotals.start(header(batch))
    stream = iter(_limited(rows(), mode=batch.mode))
    head = list(islice(stream, settings.RECHARGE_SYNC_LINES_MAX + 1))
    _require_rows(len(head))
    is_small = len(head) <= settings.RECHARGE_SYNC_LINES_MAX
    payload = totals.add(head) if is_small else ""
    if not is_small:
        _stage(batch=batch, rows=chain(head, stream), totals=totals)
    if batch.content_sha256 not in {"", totals.sha256}:
        raise DraftChangedError(_("The rows are not those that were signed."))
    if unproven_tokens_max is not None and totals.tokens > unproven_tokens_max:
        raise StepUpRequiredError(
            _("Prove your second factor for more than %(max)d tokens.")
            % {"max": unproven_tokens_max},
            tokens_total=totals.tokens,
        )
    batch.lines_count = totals.rows
    batch.tokens_requested = totals.tokens
    batch.content_sha256 = totals.sha256
    batch.status = Status.QUEUED
    batch.save(force_insert=True)
    if not is_preapproved and _must_wait(batch=batch, totals=totals):
        batch.status = Status.PENDING_APPROVAL
        if is_small:
            _stage(batch=batch, rows=head, totals=RowTotals.start({}))
    elif is_small:
        staging.prepare(has_few_rows=True)
        staging.fill_from_rows(
            payload=payload, first_row=1, is_sandbox=batch.key_scope == SANDBOX_SCOPE
        )
        staging.mark_stage()
        verdicts = apply.apply(batch=batch, locks_first=locks_first)
        batches.count(batch=batch, verdicts=verdicts)
    else:
        send_on_commit(tasks.apply_recharge_batch, batch_id=str(batch.pk))
    batch.created_status = batch.status
    batch.save(update_fields=["status", "created_status"])
    batches.record(batch=batch, action="created", actor_id=batch.actor_id, before=None)
    transaction.on_commit(partial(_log_created, batch))
    return recharge_selectors.creation_receipt(batch, is_replay=False)


def _stage(*, batch: RechargeBatch, rows: Iterable[StagedRow], totals: RowTotals) -> None:
    staging.write_chunks(
        batch_id=batch.pk, rows=rows, totals=totals, size=settings.RECHARGE_CHUNK_LINES
    )
    # An atomic batch is judged as a whole, and a reversal knows its rows by their lines.
    if batch.mode == Mode.SOFT_FAIL and batch.reverses_id is None:
        staging.mark_repeats(batch_id=batch.pk, has_keys=totals.has_keys)


def _must_wait(*, batch: RechargeBatch, totals: RowTotals) -> bool:
    # Tokens of a sandbox are worth nothing.
    if batch.key_scope == SANDBOX_SCOPE:
        return False
    return open_if_required(
        batch_id=batch.pk,
        actor_id=batch.actor_id,
        facts=BatchFacts(
            rows_count=totals.rows,
            tokens_total=totals.tokens,
            largest_row=totals.largest,
            is_reversal=batch.reverses_id is not None,
        ),
        content_sha256=batch.content_sha256,
    )


def _limited(rows: Iterable[StagedRow], *, mode: str) -> Iterator[StagedRow]:
    """Pass rows on until there are more than the mode allows."""
    lines_max = (
        settings.RECHARGE_ATOMIC_LINES_MAX
        if mode == Mode.ATOMIC
        else settings.RECHARGE_SOFT_FAIL_LINES_MAX
    )
    for count, row in enumerate(rows):
        if count == lines_max:
            raise RechargeTooLargeError(
                _("In this mode one recharge carries at most %(max)d lines.") % {"max": lines_max},
                lines_max=lines_max,
            )
        yield row


def _require_rows(rows_count: int) -> None:
    if not rows_count:
        raise InvalidRechargeError(_("A recharge needs at least one line."), param="users")


def _log_created(batch: RechargeBatch) -> None:
    log.info(
        "tokens.recharge.created",
        batch_id=str(batch.pk),
        actor_id=batch.actor_id,
        status=batch.created_status,
        lines=batch.lines_count,
    )
