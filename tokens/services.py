"""What other apps and the interfaces may ask of tokens."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from facefusion_site.common import idempotency
from tokens import ledger, pricing, selectors
from tokens.errors import (
    HoldResolvedError,
    InsufficientTokensError,
    InvalidRechargeError,
    RechargeTooLargeError,
)
from tokens.ledger import JudgedLine
from tokens.models import Hold, RechargeBatch, RechargeLine
from tokens.types import (
    Price,
    RechargeItem,
    RechargeMode,
    RechargeReceipt,
    RechargeRequest,
    UsageLine,
)

log = structlog.get_logger(__name__)
Outcome = RechargeLine.Outcome


@transaction.atomic(durable=True)
def bulk_recharge(
    *, request: RechargeRequest, actor_id: int, idempotency_key: str
) -> RechargeReceipt:
    """Credit many wallets at once, and record the outcome of every line.

    Owns its transaction, so it must be the outermost one. In atomic mode one bad line refuses the
    whole batch: nothing moves, the refusal is recorded with status ``failed``, and a repeat of the
    key answers the same. In soft-fail mode good lines go through. Repeating a key with the same
    request moves nothing and returns the first receipt.

    Args:
        request: amounts are whole tokens; a user that appears again is refused from the second
            line on.
        actor_id: primary key of the authenticated principal.
        idempotency_key: 1 to 255 characters, unique per principal, remembered for ever.

    Raises:
        InvalidRechargeError: there is no line.
        RechargeTooLargeError: there are more lines than RECHARGE_LINES_MAX.
        IdempotencyKeyReusedError: the key was used with another request.
    """
    _check_size(request.items)
    lines = _judge(request)
    outcomes = Counter(line.outcome for line in lines)
    batch, is_new = ledger.claim_batch(
        batch=RechargeBatch(
            actor_id=actor_id,
            operator=request.operator,
            reason=request.reason,
            mode=RechargeBatch.Mode[request.mode.name],
            status=_status(applied_count=outcomes[Outcome.APPLIED], lines_count=len(lines)),
            idempotency_key=idempotency_key,
            request_fingerprint=idempotency.fingerprint(asdict(request)),
            lines_count=len(lines),
            applied_count=outcomes[Outcome.APPLIED],
            tokens_total=sum(line.amount for line in lines if line.outcome == Outcome.APPLIED),
        )
    )
    if is_new:
        ledger.post_recharge(batch_id=batch.pk, lines=lines)
        transaction.on_commit(
            lambda: log.info(
                "tokens.recharge.posted",
                batch_id=str(batch.pk),
                actor_id=actor_id,
                status=batch.status,
                tokens=batch.tokens_total,
                outcomes=dict(outcomes),
            )
        )
    return selectors.recharge_receipt(batch_id=batch.pk, is_replay=not is_new)


def price_usage(*, lines: Sequence[UsageLine]) -> Price:
    """Price work by the rate card of the settings.

    Raises:
        ValueError: there is no line, or a quantity is below 1.
    """
    rate_card = pricing.RateCard(
        image_tokens=settings.TOKENS_PRICE_IMAGE,
        video_second_tokens=settings.TOKENS_PRICE_VIDEO_SECOND,
    )
    return pricing.price(lines=lines, rate_card=rate_card)


def place_hold(*, owner_id: int, amount: int, reference: str, expires_at: dt.datetime) -> uuid.UUID:
    """Set ``amount`` whole tokens (> 0) aside. Joins the caller's transaction.

    Args:
        owner_id: primary key of the paying user.
        amount: whole tokens.
        reference: what the tokens are for, such as ``swap_job:<uuid>``; unique for ever.
        expires_at: when the sweep may give them back, unless extended.

    Returns:
        The hold's id.

    Raises:
        InsufficientTokensError: the wallet's available balance is below ``amount``.
        IntegrityError: the reference already has a hold.
    """
    if amount < 1:
        raise ValueError("A hold sets at least 1 token aside.")
    hold_id = ledger.reserve(
        owner_id=owner_id, amount=amount, reference=reference, expires_at=expires_at
    )
    if hold_id is None:
        available = selectors.balance(user_id=owner_id).available
        raise InsufficientTokensError(
            _("This needs %(needed)d tokens; the account has %(available)d available.")
            % {"needed": amount, "available": available},
            needed=amount,
            available=available,
        )
    return hold_id


def extend_hold(*, hold_id: uuid.UUID, expires_at: dt.datetime) -> None:
    """Move a pending hold's deadline; a running job's tokens must not expire under it.

    One statement, so it needs no transaction of the caller's.

    Raises:
        HoldResolvedError: the hold is no longer pending.
    """
    is_extended = Hold.objects.filter(pk=hold_id, status=Hold.Status.PENDING).update(
        expires_at=expires_at
    )
    if not is_extended:
        raise HoldResolvedError(_("The hold was already closed."), hold_id=str(hold_id))


def settle_hold(*, hold_id: uuid.UUID, amount: int) -> None:
    """Charge ``amount`` (0 to the held amount) and give the rest back, once.

    Joins the caller's transaction. An amount of 0 voids the hold.

    Raises:
        HoldResolvedError: the hold is no longer pending.
        ValueError: ``amount`` is negative or above the held amount.
    """
    hold = ledger.lock_hold(hold_id=hold_id)
    if hold.status != Hold.Status.PENDING:
        raise HoldResolvedError(
            _("The hold was already closed."), hold_id=str(hold_id), status=hold.status.lower()
        )
    if not 0 <= amount <= hold.amount:
        raise ValueError(f"A hold of {hold.amount} tokens cannot settle {amount}.")
    status = Hold.Status.SETTLED if amount else Hold.Status.VOIDED
    ledger.resolve(hold=hold, settled=amount, status=status, now=timezone.now())


def void_hold(*, hold_id: uuid.UUID) -> bool:
    """Give everything back. Joins the caller's transaction.

    Returns:
        False when the hold was already closed; then nothing changes.
    """
    hold = ledger.lock_hold(hold_id=hold_id)
    if hold.status != Hold.Status.PENDING:
        return False
    ledger.resolve(hold=hold, settled=0, status=Hold.Status.VOIDED, now=timezone.now())
    return True


def _check_size(items: Sequence[RechargeItem]) -> None:
    if not items:
        raise InvalidRechargeError(_("A recharge needs at least one line."), param="users")
    if len(items) > settings.RECHARGE_LINES_MAX:
        raise RechargeTooLargeError(
            _("One recharge carries at most %(max)d lines; this one has %(count)d.")
            % {"max": settings.RECHARGE_LINES_MAX, "count": len(items)},
            param="users",
            lines_max=settings.RECHARGE_LINES_MAX,
        )


def _judge(request: RechargeRequest) -> list[JudgedLine]:
    """Decide every line before anything is written."""
    owner_ids = accounts_selectors.user_ids_by_ref(refs={item.user_ref for item in request.items})
    lines: list[JudgedLine] = []
    seen: set[str] = set()
    for row_no, item in enumerate(request.items, start=1):
        outcome = _outcome(item, owner_ids=owner_ids, is_repeated=item.user_ref in seen)
        seen.add(item.user_ref)
        lines.append(
            JudgedLine(
                row_no=row_no,
                user_ref=item.user_ref,
                amount=item.amount,
                outcome=outcome,
                owner_id=owner_ids[item.user_ref] if outcome == Outcome.APPLIED else None,
            )
        )
    is_refused = request.mode is RechargeMode.ATOMIC and any(
        line.outcome != Outcome.APPLIED for line in lines
    )
    return [_roll_back(line) for line in lines] if is_refused else lines


def _outcome(item: RechargeItem, *, owner_ids: Mapping[str, int], is_repeated: bool) -> Outcome:
    """One code per line, the first that applies: the order is part of the API."""
    if item.user_ref not in owner_ids:
        return Outcome.ACCOUNT_NOT_FOUND
    if item.amount < 1:
        return Outcome.AMOUNT_NOT_POSITIVE
    if item.amount > settings.RECHARGE_AMOUNT_MAX:
        return Outcome.AMOUNT_OUT_OF_RANGE
    if is_repeated:
        return Outcome.DUPLICATE_ROW
    return Outcome.APPLIED


def _roll_back(line: JudgedLine) -> JudgedLine:
    """An innocent line of a refused batch says so instead of looking applied."""
    if line.outcome != Outcome.APPLIED:
        return line
    return JudgedLine(
        row_no=line.row_no,
        user_ref=line.user_ref,
        amount=line.amount,
        outcome=Outcome.ROLLED_BACK,
        owner_id=None,
    )


def _status(*, applied_count: int, lines_count: int) -> RechargeBatch.Status:
    if applied_count == lines_count:
        return RechargeBatch.Status.APPLIED
    if applied_count:
        return RechargeBatch.Status.PARTIALLY_APPLIED
    return RechargeBatch.Status.FAILED
