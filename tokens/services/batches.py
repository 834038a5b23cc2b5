"""What can be done with a batch once it exists: decide, pause, resume, stop, retry, reverse."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from functools import partial

import structlog
from django.db import OperationalError, transaction
from django.utils.translation import gettext as _

from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from facefusion_site.common.errors import DomainError
from tokens import approval_inbox, approval_selectors, batch_handlers, recharge_selectors, tasks
from tokens.approvals import Ballot, Decision, VoteDecision
from tokens.draft_errors import MixedBandsError
from tokens.errors import (
    AlreadyRetriedError,
    BatchStateError,
    NothingToRetryError,
    NothingToReverseError,
)
from tokens.ledger import batches
from tokens.ledger.locks import is_contention
from tokens.models import RechargeBatch, RechargeLine
from tokens.recharge_rows import StagedRow, iso
from tokens.services import approvals
from tokens.services.recharge import create, preview_batch
from tokens.types import RechargeMode, RechargePreview, RechargeReceipt, ReversalOrder

log = structlog.get_logger(__name__)
Outcome = RechargeLine.Outcome
Source = RechargeBatch.Source
Status = RechargeBatch.Status
RUNNING = frozenset({Status.QUEUED, Status.APPLYING})
RETRYABLE = frozenset({Status.PARTIALLY_APPLIED, Status.FAILED, Status.STOPPED})
# Others are wrong in themselves: sent again, they would fail, or grant a user's second row.
MENDED_BY_TIME = frozenset(
    {
        Outcome.ROLLED_BACK,
        Outcome.NOT_ATTEMPTED,
        Outcome.ACCOUNT_NOT_FOUND,
        Outcome.ACCOUNT_FROZEN,
        Outcome.ACCOUNT_CLOSED,
        Outcome.EXCEEDS_MAX_BALANCE,
        Outcome.REVERSAL_CREDITS_USED,
    }
)


@transaction.atomic(durable=True)
def vote_on_batch(*, request_id: uuid.UUID, voter_id: int, ballot: Ballot) -> Decision:
    """Vote on a request; the vote that decides it also releases or refuses the batch.

    Owns its transaction, so a decision and its effect on the batch are one. Raises what
    ``services.approvals.vote`` raises.
    """
    decision = approvals.vote(request_id=request_id, voter_id=voter_id, ballot=ballot)
    if decision.is_closed_now:
        if decision.status == "approved":
            release_batch(batch_id=decision.batch_id, actor_id=voter_id)
        else:
            refuse_batch(batch_id=decision.batch_id, status=Status.REJECTED, actor_id=voter_id)
    return decision


def approve_together(
    *, contents: Mapping[uuid.UUID, str], voter_id: int, second_factor_at: dt.datetime | None
) -> tuple[int, tuple[DomainError, ...]]:
    """Approve several requests of one band with one proof of the second factor.

    Owns a transaction for each, as a single vote does: a request that somebody decided meanwhile
    does not keep the others from being approved.

    Args:
        contents: the digest that the voter has seen, by request.
        voter_id: who approves; never the maker of any of them.
        second_factor_at: when the voter proved the second factor.

    Returns:
        How many were approved, and why the others were not.

    Raises:
        MixedBandsError: none, or requests that differ in the policies that ask.
    """
    bands = {
        approval_inbox.band_key(
            approval_selectors.approval_request(request_id=request_id, viewer_id=voter_id)
        )
        for request_id in contents
    }
    if len(bands) != 1:
        raise MixedBandsError(_("Choose one request or more, all of the same band."))
    refusals = []
    for request_id, content_sha256 in contents.items():
        ballot = Ballot(
            decision=VoteDecision.APPROVE,
            content_sha256=content_sha256,
            second_factor_at=second_factor_at,
        )
        try:
            vote_on_batch(request_id=request_id, voter_id=voter_id, ballot=ballot)
        except DomainError as error:
            refusals.append(error)
    return len(contents) - len(refusals), tuple(refusals)


@transaction.atomic
def release_batch(*, batch_id: uuid.UUID, actor_id: int | None = None) -> None:
    """Queue a batch whose approval has been given. Joins the caller's transaction, or owns one.

    Raises:
        BatchStateError: it does not wait for approval.
    """
    batch = _locked(batch_id, allowed={Status.PENDING_APPROVAL})
    batches.move(batch=batch, to=Status.QUEUED, action="released", actor_id=actor_id)
    send_on_commit(tasks.apply_recharge_batch, batch_id=str(batch_id))


@transaction.atomic
def refuse_batch(*, batch_id: uuid.UUID, status: str, actor_id: int | None = None) -> None:
    """End a batch that was rejected or whose approval ran out; its lines were not attempted.

    Joins the caller's transaction, or owns one.

    Raises:
        BatchStateError: it does not wait for approval.
    """
    batch = _locked(batch_id, allowed={Status.PENDING_APPROVAL})
    end = Status(status)
    assert end in {Status.REJECTED, Status.APPROVAL_EXPIRED}, "no other end without approval"
    batches.end_unapplied(batch=batch, status=end, action=end.lower(), actor_id=actor_id)


@transaction.atomic(durable=True)
def pause_batch(*, batch_id: uuid.UUID, actor_id: int) -> RechargeReceipt:
    """Let the worker end its present chunk and begin no other. A paused batch stays paused.

    Raises:
        BatchNotFoundError: there is no such batch.
        BatchStateError: it is neither queued nor being applied.
    """
    batch = _locked(batch_id, allowed=RUNNING | {Status.PAUSED})
    if batch.status != Status.PAUSED:
        batches.move(batch=batch, to=Status.PAUSED, action="paused", actor_id=actor_id)
    return recharge_selectors.receipt(batch, is_replay=False)


@transaction.atomic(durable=True)
def resume_batch(*, batch_id: uuid.UUID, actor_id: int) -> RechargeReceipt:
    """Queue a paused batch again, at the line where it stood. A running batch goes on.

    Raises:
        BatchNotFoundError: there is no such batch.
        BatchStateError: it is not paused.
    """
    batch = _locked(batch_id, allowed=RUNNING | {Status.PAUSED})
    if batch.status == Status.PAUSED:
        batch.attempts = 0
        batches.move(batch=batch, to=Status.QUEUED, action="resumed", actor_id=actor_id)
        send_on_commit(tasks.apply_recharge_batch, batch_id=str(batch_id))
    return recharge_selectors.receipt(batch, is_replay=False)


@transaction.atomic(durable=True)
def stop_batch(*, batch_id: uuid.UUID, actor_id: int) -> RechargeReceipt:
    """End a batch where it stands; applied lines stay, the others were not attempted.

    A batch that waits for approval is recalled: nobody can approve it afterwards.

    Raises:
        BatchNotFoundError: there is no such batch.
        BatchStateError: it has ended in another way.
    """
    # The request before the batch, as a vote locks them.
    approvals.recall(batch_id=batch_id, actor_id=actor_id)
    batch = _locked(
        batch_id, allowed=RUNNING | {Status.PENDING_APPROVAL, Status.PAUSED, Status.STOPPED}
    )
    if batch.status != Status.STOPPED:
        batches.end_unapplied(
            batch=batch, status=Status.STOPPED, action="stopped", actor_id=actor_id
        )
    return recharge_selectors.receipt(batch, is_replay=False)


def follow_batch(
    *,
    batch_id: uuid.UUID,
    progress: Callable[[int], None] | None = None,
    poll_s: float = 1.0,
) -> RechargeReceipt:
    """Stay with a batch until it rests: apply it here, or watch the worker that is at it.

    Owns its transactions. Does what a worker does, so both may try: the lease decides, and a
    worker that goes silent is replaced when its lease lapses.

    Args:
        batch_id: the batch.
        progress: told how many lines are done, after every chunk and every look.
        poll_s: seconds between two looks at another's work.

    Returns:
        The batch when it has ended, or waits for a person: for approval, or paused.

    Raises:
        BatchNotFoundError: there is no such batch.
    """

    def look() -> bool:
        status, done_count = recharge_selectors.standing(batch_id=batch_id)
        if progress is not None:
            progress(done_count)
        return status in RUNNING

    while look():
        try:
            batch_handlers.apply_recharge_batch(batch_id=batch_id, after_chunk=look)
        except OperationalError as error:
            # Nothing is lost: the batch is taken up again when the lease lapses.
            if not is_contention(error):
                raise
            log.warning("tokens.recharge.contended", batch_id=str(batch_id))
        if look():
            time.sleep(poll_s)
    return recharge_selectors.recharge_receipt(batch_id=batch_id)


def retry_failures(
    *,
    batch_id: uuid.UUID,
    actor_id: int,
    idempotency_key: str,
    mode: RechargeMode | None = None,
    unproven_tokens_max: int | None = None,
) -> RechargeReceipt:
    """Send the failed lines of a batch again, as a batch of its own that names the first.

    Once per batch: what fails again is retried from the new one. Rows that could not be read are
    left out. ``mode`` is that of the first batch unless given; ``unproven_tokens_max`` is that of
    ``create_batch``.

    Raises:
        StepUpRequiredError: more than ``unproven_tokens_max`` tokens.
        BatchNotFoundError: there is no such batch.
        BatchStateError: it has not ended, or applied everything.
        AlreadyRetriedError: it was retried before.
        NothingToRetryError: no line failed in a way that a retry could mend.
        IdempotencyKeyReusedError: the key was used with another request.
    """
    parent = recharge_selectors.batch_by_id(batch_id=batch_id)
    chosen_mode = parent.mode if mode is None else mode.name
    draft = partial(
        RechargeBatch,
        actor_id=actor_id,
        operator=parent.operator,
        reason=parent.reason,
        funding=parent.funding,
        ticket=parent.ticket,
        mode=chosen_mode,
        source=Source.RETRY,
        key_scope=f"retry:{batch_id}",
        idempotency_key=idempotency_key,
        request_fingerprint=idempotency.fingerprint([str(batch_id), chosen_mode]),
        category=parent.category,
        priority=parent.priority,
        effective_at=parent.effective_at,
        expires_at=parent.expires_at,
        parent_id=batch_id,
        reverses_id=parent.reverses_id,
        reversal_policy=parent.reversal_policy,
    )
    return create(
        draft=draft,
        rows=partial(_retry_rows, batch_id),
        unproven_tokens_max=unproven_tokens_max,
    )


def reverse_batch(
    *,
    batch_id: uuid.UUID,
    order: ReversalOrder,
    actor_id: int,
    idempotency_key: str,
    unproven_tokens_max: int | None = None,
) -> RechargeReceipt:
    """Take back what a recharge has granted, wholly or in chosen rows, each row at most once.

    The reversal is a batch of its own, with approval, outcome per row, retry and progress;
    ``unproven_tokens_max`` is that of ``create_batch``.

    Raises:
        StepUpRequiredError: more than ``unproven_tokens_max`` tokens.
        BatchNotFoundError: there is no such batch.
        BatchStateError: it has not ended.
        NothingToReverseError: it applied none of the rows, or is a reversal itself.
        IdempotencyKeyReusedError: the key was used with another request.
    """
    original = recharge_selectors.batch_by_id(batch_id=batch_id)
    draft = partial(_reversal, original, order, actor_id, idempotency_key)
    return create(
        draft=draft,
        rows=partial(_reversal_rows, batch_id, order.row_nos),
        unproven_tokens_max=unproven_tokens_max,
    )


def preview_reversal(*, batch_id: uuid.UUID, order: ReversalOrder) -> RechargePreview:
    """Say what ``reverse_batch`` would do at this moment, without any effect."""
    original = recharge_selectors.batch_by_id(batch_id=batch_id)
    return preview_batch(
        batch=_reversal(original, order, None, ""),
        rows=partial(_reversible_lines, original, order.row_nos),
    )


def _reversal(
    original: RechargeBatch, order: ReversalOrder, actor_id: int | None, idempotency_key: str
) -> RechargeBatch:
    batch = RechargeBatch(
        operator=order.operator,
        reason=order.reason,
        mode=RechargeBatch.Mode[order.mode.name],
        source=Source.REVERSAL,
        key_scope=f"reverse:{original.pk}",
        idempotency_key=idempotency_key,
        request_fingerprint=idempotency.fingerprint(asdict(order)),
        category=original.category,
        priority=original.priority,
        reverses_id=original.pk,
        reversal_policy=RechargeBatch.ReversalPolicy[order.policy.name],
    )
    if actor_id is not None:
        batch.actor_id = actor_id
    return batch


def _retry_rows(batch_id: uuid.UUID) -> Iterator[StagedRow]:
    # Under the lock: two retries at once would credit the same lines twice.
    parent = _locked(batch_id, allowed=RETRYABLE)
    child_id = parent.retries.values_list("pk", flat=True).first()
    if child_id is not None:
        raise AlreadyRetriedError(
            _("The failed lines of this batch were retried before."), retry_id=str(child_id)
        )
    lines = parent.lines.filter(outcome__in=MENDED_BY_TIME).order_by("row_no")
    if not lines.exists():
        raise NothingToRetryError(_("No line of this batch can be retried."))
    return (_row(line, origin=line.reverses_id) for line in lines.iterator(chunk_size=2_000))


def _reversal_rows(batch_id: uuid.UUID, row_nos: Collection[int] | None) -> Iterator[StagedRow]:
    return _reversible_lines(_locked(batch_id, allowed=batches.FINAL), row_nos)


def _reversible_lines(
    original: RechargeBatch, row_nos: Collection[int] | None
) -> Iterator[StagedRow]:
    if original.reverses_id is not None or not original.applied_count:
        raise NothingToReverseError(_("This batch has granted nothing that could be reversed."))
    lines = original.lines.order_by("row_no")
    if row_nos is None:
        lines = lines.filter(outcome=Outcome.APPLIED)
    else:
        lines = lines.filter(row_no__in=set(row_nos))
    if not lines.exists():
        raise NothingToReverseError(_("The batch has none of the chosen rows."))
    return (_row(line, origin=line.pk) for line in lines.iterator(chunk_size=2_000))


def _row(line: RechargeLine, *, origin: int | None) -> StagedRow:
    return StagedRow(
        user_ref=line.user_ref,
        amount=line.amount,
        key=line.item_key,
        category=line.category,
        priority=line.priority,
        effective_at=iso(line.effective_at),
        expires_at=iso(line.expires_at),
        origin=origin,
    )


def _locked(batch_id: uuid.UUID, *, allowed: Collection[str]) -> RechargeBatch:
    batch = batches.lock(batch_id=batch_id)
    if batch.status not in allowed:
        raise BatchStateError(
            _("The batch is “%(status)s”, which does not allow this.")
            % {"status": batch.get_status_display()},
            batch_id=str(batch_id),
            status=batch.status.lower(),
        )
    return batch
