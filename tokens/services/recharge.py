"""Bulk recharge."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from facefusion_site.common import idempotency
from tokens import selectors
from tokens.errors import InvalidRechargeError, RechargeTooLargeError
from tokens.ledger import locks, recharge
from tokens.ledger.locks import LockedWallet
from tokens.ledger.recharge import JudgedLine
from tokens.models import RechargeBatch, RechargeLine, Wallet
from tokens.types import (
    LotTerms,
    RechargeItem,
    RechargeMode,
    RechargeReceipt,
    RechargeRequest,
)

log = structlog.get_logger(__name__)
Outcome = RechargeLine.Outcome
WALLET_OUTCOMES = {
    Wallet.Status.FROZEN: Outcome.ACCOUNT_FROZEN,
    Wallet.Status.CLOSED: Outcome.ACCOUNT_CLOSED,
}


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
    lines = _judge(request, now=timezone.now())
    outcomes = Counter(line.outcome for line in lines)
    batch, is_new = recharge.claim_batch(
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
        recharge.post_lines(batch_id=batch.pk, lines=lines)
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


def _judge(request: RechargeRequest, *, now: dt.datetime) -> list[JudgedLine]:
    """Lock the wallets, then decide every line before anything is written."""
    owner_ids = accounts_selectors.user_ids_by_ref(refs={item.user_ref for item in request.items})
    wallets = locks.lock_wallets(owner_ids=owner_ids.values())
    by_ref = {ref: wallets[owner_id] for ref, owner_id in owner_ids.items()}
    seen_refs: set[str] = set()
    seen_keys: set[str] = set()
    lines: list[JudgedLine] = []
    for row_no, item in enumerate(request.items, start=1):
        terms = item.terms or request.terms
        wallet = by_ref.get(item.user_ref)
        outcome = next(_faults(item, terms=terms, wallet=wallet, now=now), Outcome.APPLIED)
        if outcome is Outcome.APPLIED:
            if item.user_ref in seen_refs:
                outcome = Outcome.DUPLICATE_ROW
            elif item.key and item.key in seen_keys:
                outcome = Outcome.ITEM_KEY_CONFLICT
        seen_refs.add(item.user_ref)
        seen_keys.add(item.key)
        lines.append(_line(row_no, item, terms, outcome, by_ref))
    is_refused = request.mode is RechargeMode.ATOMIC and any(
        line.outcome != Outcome.APPLIED for line in lines
    )
    return [_roll_back(line) for line in lines] if is_refused else lines


def _faults(
    item: RechargeItem, *, terms: LotTerms, wallet: LockedWallet | None, now: dt.datetime
) -> Iterator[Outcome]:
    """What is wrong with a line; the first one counts, so the order is part of the API."""
    if wallet is None:
        yield Outcome.ACCOUNT_NOT_FOUND
        return
    if wallet.status != Wallet.Status.ACTIVE:
        yield WALLET_OUTCOMES[Wallet.Status(wallet.status)]
    if item.amount < 1:
        yield Outcome.AMOUNT_NOT_POSITIVE
    if item.amount > settings.RECHARGE_AMOUNT_MAX:
        yield Outcome.AMOUNT_OUT_OF_RANGE
    if wallet.balance_max is not None and wallet.balance + item.amount > wallet.balance_max:
        yield Outcome.EXCEEDS_MAX_BALANCE
    if terms.expires_at is not None and terms.expires_at <= now:
        yield Outcome.EXPIRY_IN_PAST
    if terms.expires_at is not None and terms.expires_at <= (terms.effective_at or now):
        yield Outcome.EFFECTIVE_AFTER_EXPIRY


def _line(
    row_no: int,
    item: RechargeItem,
    terms: LotTerms,
    outcome: Outcome,
    wallets: Mapping[str, LockedWallet],
) -> JudgedLine:
    is_applied = outcome is Outcome.APPLIED
    return JudgedLine(
        row_no=row_no,
        item_key=item.key,
        user_ref=item.user_ref,
        amount=item.amount,
        category=terms.category.name,
        priority=terms.priority,
        effective_at=terms.effective_at,
        expires_at=terms.expires_at,
        outcome=outcome.value,
        wallet_id=wallets[item.user_ref].wallet_id if is_applied else None,
    )


def _roll_back(line: JudgedLine) -> JudgedLine:
    """An innocent line of a refused batch says so instead of looking applied."""
    if line.outcome != Outcome.APPLIED:
        return line
    return replace(line, outcome=Outcome.ROLLED_BACK.value, wallet_id=None)


def _status(*, applied_count: int, lines_count: int) -> RechargeBatch.Status:
    if applied_count == lines_count:
        return RechargeBatch.Status.APPLIED
    if applied_count:
        return RechargeBatch.Status.PARTIALLY_APPLIED
    return RechargeBatch.Status.FAILED
