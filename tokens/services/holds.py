"""Holds: place, extend, settle, void, refund; and the expiry of lots."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from tokens import handlers
from tokens.errors import (
    HoldResolvedError,
    InsufficientTokensError,
    RefundRefusedError,
    WalletFrozenError,
)
from tokens.ledger import expiry, holds
from tokens.ledger.expiry import ExpiryCount
from tokens.ledger.locks import require_transaction
from tokens.models import Hold, HoldEvent
from tokens.types import HoldOrder, Operation, OverrunPolicy
from tokens.wallet_errors import WalletClosedError

log = structlog.get_logger(__name__)
PENDING = Hold.Status.PENDING.value


def place_hold(
    *,
    owner_id: int,
    amount: int,
    reference: str,
    expires_at: dt.datetime,
    operation: Operation | None = None,
) -> uuid.UUID:
    """Set ``amount`` whole tokens (> 0) aside. Joins the caller's transaction, or is one.

    Args:
        owner_id: primary key of the paying user.
        amount: whole tokens, taken from the lots in burn order.
        reference: what the tokens are for, such as ``swap_job:<uuid>``; unique for ever.
        expires_at: when the sweep may give them back, unless extended.
        operation: the work that they pay for, where consumption is to be told apart by it.

    Returns:
        The hold's id.

    Raises:
        InsufficientTokensError: the wallet can spend less than ``amount`` now.
        WalletFrozenError: the wallet is frozen.
        WalletClosedError: the wallet is closed.
        IntegrityError: the reference already has a hold.
    """
    if amount < 1:
        raise ValueError("A hold sets at least 1 token aside.")
    try:
        outcome = holds.reserve(
            owner_id=owner_id,
            amount=amount,
            reference=reference,
            expires_at=expires_at,
            operation=operation or "",
        )
    except holds.WalletNotActiveError as error:
        raise _refusal(error) from error
    if isinstance(outcome, int):
        raise InsufficientTokensError(
            _("This needs %(needed)d tokens; the account has %(available)d available.")
            % {"needed": amount, "available": outcome},
            needed=amount,
            available=outcome,
        )
    return outcome


def place_holds(
    *, owner_id: int, orders: Sequence[HoldOrder], expires_at: dt.datetime
) -> dict[uuid.UUID, int]:
    """Set tokens of one user aside for many things, in their order. Joins the transaction.

    What cannot be covered at its turn is left out; smaller orders after it may still be. One
    statement, whatever the number.

    Args:
        owner_id: primary key of the paying user.
        orders: amounts above 0; see ``place_hold`` for the references.
        expires_at: when the sweep may give them back, unless extended.

    Returns:
        By hold id of each order left out, the tokens that could be spent at its turn.

    Raises:
        WalletFrozenError: the wallet is frozen.
        WalletClosedError: the wallet is closed.
        IntegrityError: a reference already has a hold.
    """
    if any(order.amount < 1 for order in orders):
        raise ValueError("A hold sets at least 1 token aside.")
    try:
        return holds.reserve_many(owner_id=owner_id, orders=orders, expires_at=expires_at)
    except holds.WalletNotActiveError as error:
        raise _refusal(error) from error


def extend_hold(*, hold_id: uuid.UUID, expires_at: dt.datetime) -> None:
    """Move a pending hold's deadline; a running job's tokens must not expire under it.

    Raises:
        HoldResolvedError: the hold is no longer pending.
    """
    if not holds.extend(hold_id=hold_id, expires_at=expires_at):
        raise HoldResolvedError(_("The hold was already closed."), hold_id=str(hold_id))


def settle_hold(
    *, hold_id: uuid.UUID, amount: int, overrun: OverrunPolicy = OverrunPolicy.REFUSE
) -> int:
    """Charge ``amount`` and give the rest of the hold back, once.

    Joins the caller's transaction, or is one; charging beyond the hold takes one of the caller.

    An amount of 0 voids the hold. An amount above the hold is refused, charged as far as the
    spendable tokens go, or written off beyond the hold, as ``overrun`` says.

    Returns:
        The tokens charged.

    Raises:
        Hold.DoesNotExist: there is no such hold.
        HoldResolvedError: the hold is no longer pending.
        IntegrityError: ``amount`` is negative, or above the hold and that is refused.
    """
    if overrun is OverrunPolicy.CHARGE:
        require_transaction()
    settled = amount
    if overrun is not OverrunPolicy.REFUSE:
        settled = min(amount, Hold.objects.values_list("amount", flat=True).get(pk=hold_id))
    status = Hold.Status.SETTLED if settled else Hold.Status.VOIDED
    before = holds.resolve(hold_id=hold_id, settled=settled, status=status, grace=_grace())
    if before is None:
        raise Hold.DoesNotExist
    if before != PENDING:
        raise HoldResolvedError(
            _("The hold was already closed."), hold_id=str(hold_id), status=before.lower()
        )
    beyond = amount - settled
    if beyond and overrun is OverrunPolicy.CHARGE:
        return settled + holds.charge_overrun(hold_id=hold_id, amount=beyond)
    return settled


def void_hold(*, hold_id: uuid.UUID) -> bool:
    """Give everything back. Joins the caller's transaction, or is one.

    Returns:
        False when the hold was already closed; then nothing changes.
    """
    before = holds.resolve(hold_id=hold_id, settled=0, status=Hold.Status.VOIDED, grace=_grace())
    return before == PENDING


@transaction.atomic
def refund_hold(*, hold_id: uuid.UUID, amount: int, note: str) -> None:
    """Give back ``amount`` of what a settled hold has spent, once per hold.

    The tokens return to the lots they came from, the last spent first; where a lot has expired,
    to a lot of their own that lives TOKENS_REFUND_GRACE_S. Joins the caller's transaction, or owns
    one.

    Raises:
        RefundRefusedError: not settled, refunded before, more than was spent, or the wallet is
            closed.
    """
    refusal = holds.refund(hold_id=hold_id, amount=amount, grace=_grace(), note=note)
    if refusal is not None:
        raise RefundRefusedError(
            _("The hold cannot be refunded."), hold_id=str(hold_id), reason=refusal.lower()
        )
    transaction.on_commit(
        lambda: log.info("tokens.hold.refunded", hold_id=str(hold_id), tokens=amount)
    )


def record_late_result(*, hold_id: uuid.UUID, tokens: int, note: str) -> None:
    """Keep on record that work ended after its hold was closed. Charges nothing."""
    holds.note(hold_id=hold_id, kind=HoldEvent.Kind.LATE_RESULT, tokens=tokens, text=note)


def expire_lots(
    *,
    now: dt.datetime | None = None,
    lots_max: int | None = 100_000,
    progress: Callable[[int], None] | None = None,
) -> ExpiryCount:
    """Move what is left of overdue lots to breakage; see ``handlers.expire_lots``."""
    return handlers.expire_lots(now=now, lots_max=lots_max, progress=progress)


def overdue_lots(*, now: dt.datetime | None = None) -> ExpiryCount:
    """What ``expire_lots`` would expire at this moment; changes nothing."""
    return expiry.overdue(now=now or timezone.now())


def _refusal(error: holds.WalletNotActiveError) -> DomainError:
    if error.is_closed:
        return WalletClosedError(_("The wallet is closed; it holds no tokens."))
    return WalletFrozenError(_("The wallet is frozen; its tokens cannot be spent."))


def _grace() -> dt.timedelta:
    return dt.timedelta(seconds=settings.TOKENS_REFUND_GRACE_S)
