"""What the ledger does when accounts above which it stands say that something changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.freeze_errors import FreezeNeedsAnotherError
from accounts.freeze_types import FreezeKind
from tokens.ledger import wallets as ledger
from tokens.models import Wallet
from tokens.wallet_errors import WalletClosedError

Status = Wallet.Status


def follow_freeze(
    *,
    user_id: int,
    kind: FreezeKind,
    is_frozen: bool,
    actor_id: int | None,
    placed_by_id: int | None,
    reason: str,
    **_signal: Any,
) -> None:
    """Freeze or thaw the wallet with its owner's spending, in the transaction that decides it.

    Raises:
        WalletClosedError: spending is to be frozen, and nothing can ever be spent again.
        FreezeNeedsAnotherError: the actor placed what is lifted now, and the wallet has more than
            RECHARGE_STEP_UP_TOKENS tokens.
    """
    is_own = actor_id is not None and actor_id == placed_by_id
    if kind is not FreezeKind.SPEND:
        if not is_frozen and is_own:
            _require_small(Wallet.objects.filter(owner_id=user_id).first())
        return
    wallet = ledger.lock(owner_id=user_id)
    if is_frozen and wallet.status == Status.CLOSED:
        raise WalletClosedError(_("This wallet is closed for good."))
    if not is_frozen and is_own:
        _require_small(wallet)
    # A wallet that was closed meanwhile stays closed.
    if wallet.status == (Status.ACTIVE if is_frozen else Status.FROZEN):
        ledger.move(
            wallet=wallet,
            to=Status.FROZEN if is_frozen else Status.ACTIVE,
            user_ref=accounts_selectors.user_refs(ids=[user_id])[user_id],
            actor_id=actor_id,
            reason=reason,
        )


def _require_small(wallet: Wallet | None) -> None:
    """Two people look at the thaw of much: else one could freeze and thaw to hide a movement."""
    tokens_max = int(settings.RECHARGE_STEP_UP_TOKENS)
    if wallet is not None and wallet.available + wallet.held > tokens_max:
        raise FreezeNeedsAnotherError(
            _("You froze this account yourself, and it has more than %(max)d tokens.")
            % {"max": tokens_max}
        )
