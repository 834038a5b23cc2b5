"""Read queries on single wallets and on corrections by hand."""

from __future__ import annotations

import uuid
from typing import Final

from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from tokens import selectors
from tokens.errors import WalletFrozenError
from tokens.models import Adjustment, AuditEvent, Transfer, Wallet
from tokens.types import TransferView
from tokens.wallet_errors import (
    AdjustmentNotFoundError,
    BalanceMaxExceededError,
    WalletClosedError,
)
from tokens.wallets import AdjustmentView, WalletView

STATUS_EVENTS: Final = ("wallet.frozen", "wallet.unfrozen", "wallet.closed")


def wallet(*, user_ref: str) -> WalletView:
    """The wallet of a user, active or not; an empty one while it was never used.

    Raises:
        UserNotFoundError: nobody has this reference.
    """
    user = accounts_selectors.user_by_ref(user_ref=user_ref)
    row = Wallet.objects.filter(owner_id=user.pk).first() or Wallet(owner_id=user.pk)
    balance = selectors.balance(user_id=user.pk)
    change = (
        AuditEvent.objects.filter(subject=f"wallet:{user_ref}", action__in=STATUS_EVENTS)
        .order_by("-pk")
        .first()
    )
    return WalletView(
        user_ref=user_ref,
        status=row.status.lower(),
        available=balance.available,
        held=balance.held,
        pending=balance.pending,
        balance_max=row.balance_max,
        opened_at=None if row.pk is None else row.opened_at,
        reason="" if change is None else str((change.after or {}).get("reason", "")),
        changed_at=None if change is None else change.recorded_at,
    )


def require_room(*, user_id: int, tokens: int) -> None:
    """Let pass only who could be credited now; looks without a lock.

    Raises:
        WalletFrozenError: an operator keeps the wallet frozen.
        WalletClosedError: the wallet is closed.
        BalanceMaxExceededError: the wallet may not hold that many tokens.
    """
    row = Wallet.objects.filter(owner_id=user_id).first()
    if row is None:
        return
    if row.status == Wallet.Status.FROZEN:
        raise WalletFrozenError(_("The wallet is frozen."))
    if row.status == Wallet.Status.CLOSED:
        raise WalletClosedError(_("The wallet is closed."))
    if row.balance_max is not None and row.available + row.held + tokens > row.balance_max:
        raise BalanceMaxExceededError(
            _("The wallet may hold %(max)d tokens.") % {"max": row.balance_max}
        )


def adjustment(*, adjustment_id: uuid.UUID) -> AdjustmentView:
    """One correction with its transfers.

    Raises:
        AdjustmentNotFoundError: there is none of this id.
    """
    row = Adjustment.objects.filter(pk=adjustment_id).first()
    if row is None:
        raise AdjustmentNotFoundError(_("No adjustment has this id."))
    return adjustment_view(row, is_replay=False)


def adjustment_view(row: Adjustment, *, is_replay: bool) -> AdjustmentView:
    """The row as its operators see it; every figure is one that never changes again."""
    owner_id = Wallet.objects.values_list("owner_id", flat=True).get(pk=row.wallet_id)
    refs = accounts_selectors.user_refs(ids=[owner_id, row.actor_id])
    return AdjustmentView(
        id=row.pk,
        user_ref=refs[owner_id],
        amount=row.amount,
        reason=row.reason,
        actor=refs[row.actor_id],
        available_before=row.available_before,
        available_after=row.available_after,
        created_at=row.created_at,
        transfers=tuple(
            _transfer(transfer, row)
            for transfer in Transfer.objects.filter(
                wallet_id=row.wallet_id, adjustment_id=row.pk
            ).order_by("pk")
        ),
        is_replay=is_replay,
    )


def _transfer(transfer: Transfer, row: Adjustment) -> TransferView:
    return TransferView(
        id=f"tr_{transfer.pk}",
        kind=transfer.kind.lower(),
        tokens=transfer.amount,
        available_change=transfer.amount if row.amount > 0 else -transfer.amount,
        recorded_at=transfer.recorded_at,
        reference=f"adjustment:{row.pk}",
        lot=f"lot_{transfer.lot_id}",
    )
