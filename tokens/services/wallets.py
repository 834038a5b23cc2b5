"""Freeze, unfreeze and close a wallet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from accounts.errors import StepUpRequiredError
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from accounts.types import Scope
from tokens import wallet_selectors
from tokens.ledger import approvals
from tokens.ledger import wallets as ledger
from tokens.models import Wallet
from tokens.services.adjustments import check_operator, check_reason, write_off
from tokens.wallet_errors import WalletClosedError, WalletNotEmptyError
from tokens.wallets import AdjustmentOrder, WalletView

log = structlog.get_logger(__name__)
Status = Wallet.Status


# Whoever watches for abuse may freeze, but never close or correct.
_SCOPES: Final = {
    Status.FROZEN: (Scope.WALLETS_WRITE, Scope.FREEZES_WRITE),
    Status.ACTIVE: (Scope.WALLETS_WRITE, Scope.FREEZES_WRITE),
    Status.CLOSED: (Scope.WALLETS_WRITE,),
}


@dataclass(frozen=True, slots=True)
class _Change:
    """Who gives whose wallet which status, and why."""

    user_ref: str
    reason: str
    actor_id: int
    to: Wallet.Status


def freeze_wallet(
    *, user_ref: str, reason: str, actor_id: int, unproven_tokens_max: int | None = None
) -> WalletView:
    """Stop spending and recharges of a wallet; a frozen one stays as it is.

    This is the freeze of its owner's spending, placed by staff; see ``freeze_account``.

    Work that has already set tokens aside may end as usual: settle, void, expire, refund.
    Reversals and corrections go on too. Lots expire as ever. Owns its transaction.

    Args:
        user_ref: whose wallet; it is opened if it was never used.
        reason: 1 to 255 characters, kept with the audit event.
        actor_id: an active operator or administrator.
        unproven_tokens_max: the caller has not proven a second factor and may do this to a wallet
            of this many tokens; None for any number.

    Raises:
        UserNotFoundError: nobody has this reference.
        RoleRequiredError: the actor is neither operator nor administrator.
        ReasonMissingError: no reason, or a longer one.
        WalletClosedError: the wallet is closed.
        StepUpRequiredError: the wallet has more than ``unproven_tokens_max`` tokens.
    """
    change = _Change(user_ref, reason, actor_id, Status.FROZEN)
    return _make(change, unproven_tokens_max=unproven_tokens_max)


def unfreeze_wallet(
    *, user_ref: str, reason: str, actor_id: int, unproven_tokens_max: int | None = None
) -> WalletView:
    """Let a frozen wallet spend and receive again; an active one stays as it is.

    Ends every freeze of its owner's spending, also those that rules have placed.

    Arguments, errors and transaction are those of ``freeze_wallet``, and one error more:
    ``FreezeNeedsAnotherError`` where the actor froze it and it has many tokens.
    """
    change = _Change(user_ref, reason, actor_id, Status.ACTIVE)
    return _make(change, unproven_tokens_max=unproven_tokens_max)


def close_wallet(
    *,
    user_ref: str,
    reason: str,
    actor_id: int,
    writes_off: bool = False,
    unproven_tokens_max: int | None = None,
) -> WalletView:
    """Close a wallet for good; a closed one stays as it is. Owns its transaction.

    Tokens that have expired are expired first. What is left then keeps the wallet open, unless it
    is written off: that is a correction like any other, in the same transaction, and bound by the
    same approval policies. Held tokens always keep it open.

    Args:
        user_ref: whose wallet.
        reason: as for ``freeze_wallet``.
        actor_id: as for ``freeze_wallet``.
        writes_off: take what is left; the interface has asked for the second factor.
        unproven_tokens_max: as for ``freeze_wallet``.

    Raises:
        WalletNotEmptyError: there are held tokens, or others that are not written off.
        AdjustmentNeedsApprovalError: a policy wants others to look at so many tokens.
        UserNotFoundError, RoleRequiredError, ReasonMissingError, StepUpRequiredError: as for
            ``freeze_wallet``.
    """
    change = _Change(user_ref, reason, actor_id, Status.CLOSED)
    return _make(change, unproven_tokens_max=unproven_tokens_max, writes_off=writes_off)


def _make(
    change: _Change, *, unproven_tokens_max: int | None, writes_off: bool = False
) -> WalletView:
    check_operator(change.actor_id, *_SCOPES[change.to])
    check_reason(change.reason)
    owner_id = accounts_selectors.user_by_ref(user_ref=change.user_ref).pk
    with transaction.atomic(durable=True):
        if writes_off:
            # Before the wallet, as everywhere; how many tokens it is about is known only after.
            approvals.lock_maker(maker_id=change.actor_id)
        # Before the wallet too: its status follows the freezes of its owner.
        accounts_services.lock_account(user_id=owner_id)
        wallet = ledger.lock(owner_id=owner_id)
        if wallet.status == change.to:
            return wallet_selectors.wallet(user_ref=change.user_ref)
        if wallet.status == Status.CLOSED:
            raise WalletClosedError(_("This wallet is closed for good."))
        _check_proof(wallet, unproven_tokens_max)
        if change.to == Status.CLOSED:
            _empty(wallet, change, writes_off=writes_off)
        _move(wallet, change)
        event = f"tokens.wallet.{ledger.EVENTS[change.to]}"
        transaction.on_commit(partial(log.info, event, owner_id=owner_id, actor_id=change.actor_id))
        return wallet_selectors.wallet(user_ref=change.user_ref)


def _move(wallet: Wallet, change: _Change) -> None:
    """Freeze or thaw with the owner's spending, close by itself."""
    if change.to == Status.FROZEN:
        accounts_services.freeze_account(
            user_id=wallet.owner_id,
            kind=FreezeKind.SPEND,
            grounds=FreezeGrounds(code=FreezeCode.OTHER, reason=change.reason),
            actor_id=change.actor_id,
        )
        return
    if change.to == Status.ACTIVE and accounts_services.lift_freezes(
        user_id=wallet.owner_id,
        kind=FreezeKind.SPEND,
        reason=change.reason,
        actor_id=change.actor_id,
    ):
        return
    # Closing; or the thaw of a wallet that was frozen before freezes had rows.
    ledger.move(
        wallet=wallet,
        to=change.to,
        user_ref=change.user_ref,
        actor_id=change.actor_id,
        reason=change.reason.strip(),
    )


def _check_proof(wallet: Wallet, unproven_tokens_max: int | None) -> None:
    """The same bound as for a recharge, on the tokens that the change is about."""
    tokens_total = wallet.available + wallet.held
    if unproven_tokens_max is not None and tokens_total > unproven_tokens_max:
        raise StepUpRequiredError(
            _("Prove your second factor for a wallet of more than %(max)d tokens.")
            % {"max": unproven_tokens_max},
            tokens_total=tokens_total,
        )


def _empty(wallet: Wallet, change: _Change, *, writes_off: bool) -> None:
    """Expire what is overdue and write off the rest of a locked wallet, or refuse."""
    ledger.expire_overdue(wallet=wallet, now=ledger.figures(wallet=wallet).now)
    left = ledger.figures(wallet=wallet)
    if left.held or (left.total and not writes_off):
        raise WalletNotEmptyError(
            _("The wallet still has tokens, so it cannot be closed."),
            available=left.spendable,
            pending=left.pending,
            held=left.held,
        )
    if left.total:
        order = AdjustmentOrder(change.user_ref, -left.total, change.reason.strip())
        write_off(wallet=wallet, order=order, actor_id=change.actor_id, now=left.now)
