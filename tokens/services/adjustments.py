"""Corrections of single wallets by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError
from accounts.types import Scope
from facefusion_site.common import idempotency
from tokens import wallet_selectors
from tokens.approvals import BatchFacts
from tokens.ledger import adjustments as ledger
from tokens.ledger import approvals
from tokens.ledger import wallets as wallets_ledger
from tokens.models import Adjustment, Wallet
from tokens.wallet_errors import (
    AdjustmentExceedsBalanceError,
    AdjustmentNeedsApprovalError,
    BalanceMaxExceededError,
    InvalidAdjustmentError,
    ReasonMissingError,
    WalletClosedError,
)
from tokens.wallets import AdjustmentOrder, AdjustmentPreview, AdjustmentView, LotDraw

log = structlog.get_logger(__name__)

REASON_LENGTH_MAX = 255
DRAWS_SHOWN = 20


def adjust_wallet(*, order: AdjustmentOrder, actor_id: int, idempotency_key: str) -> AdjustmentView:
    """Give tokens to a wallet, or take some, by hand. Owns its transaction.

    What is given opens a lot of its own that never expires. What is taken comes from what could be
    spent at this moment, in burn order, one transfer per lot. Frozen wallets can be corrected,
    closed ones cannot. A repeat of the key with the same order moves nothing and returns the same.

    An adjustment cannot wait for approval: where a policy asks for one, it is refused, and a
    recharge batch or its reversal is the way.

    Args:
        order: whose wallet, how many tokens with their sign, and why.
        actor_id: an active operator or administrator; the interface has asked for the second
            factor.
        idempotency_key: 1 to 255 characters, unique per principal, remembered for ever.

    Raises:
        RoleRequiredError: the actor is neither operator nor administrator.
        ReasonMissingError: no reason, or a longer one than 255 characters.
        InvalidAdjustmentError: 0 tokens, or more than RECHARGE_AMOUNT_MAX.
        UserNotFoundError: nobody has this reference.
        IdempotencyKeyReusedError: the key was used with another order.
        AdjustmentNeedsApprovalError: a policy wants others to look at so many tokens.
        WalletClosedError: the wallet is closed.
        AdjustmentExceedsBalanceError: more than can be spent now.
        BalanceMaxExceededError: the wallet may not hold that many.
    """
    owner_id = _check(order, actor_id)
    fingerprint = idempotency.fingerprint(asdict(order))
    with transaction.atomic(durable=True):
        stored = ledger.claim_key(actor_id=actor_id, key=idempotency_key, fingerprint=fingerprint)
        if stored is not None:
            return wallet_selectors.adjustment_view(stored, is_replay=True)
        _check_policies(amount=order.amount, actor_id=actor_id)
        wallet = wallets_ledger.lock(owner_id=owner_id)
        figures = wallets_ledger.figures(wallet=wallet)
        _check_wallet(wallet, figures, order.amount)
        row = Adjustment(
            wallet=wallet,
            actor_id=actor_id,
            amount=order.amount,
            reason=order.reason.strip(),
            available_before=figures.spendable,
            available_after=figures.spendable + order.amount,
            key_scope=Adjustment.Scope.ADJUST,
            idempotency_key=idempotency_key,
            request_fingerprint=fingerprint,
        )
        _post(row, wallet, order.user_ref, figures.now)
        return wallet_selectors.adjustment_view(row, is_replay=False)


def preview_adjustment(*, order: AdjustmentOrder, actor_id: int) -> AdjustmentPreview:
    """Say what ``adjust_wallet`` would do at this moment, without any effect.

    Raises:
        RoleRequiredError: as ``adjust_wallet`` would, like all its errors but those of the key.
    """
    owner_id = _check(order, actor_id)
    with transaction.atomic(durable=True):
        _check_policies(amount=order.amount, actor_id=actor_id)
        # A wallet that was never used is looked at as an empty one, and not opened.
        wallet = Wallet.objects.filter(owner_id=owner_id).first() or Wallet(owner_id=owner_id)
        figures = wallets_ledger.figures(wallet=wallet)
        _check_wallet(wallet, figures, order.amount)
        draws = (
            ledger.draws(ledger.Draw(wallet.pk, -order.amount, figures.now))
            if order.amount < 0
            else []
        )
    return AdjustmentPreview(
        user_ref=order.user_ref,
        amount=order.amount,
        available_before=figures.spendable,
        available_after=figures.spendable + order.amount,
        lots_count=len(draws),
        draws=tuple(
            LotDraw(lot=f"lot_{lot_id}", tokens=tokens) for lot_id, tokens in draws[:DRAWS_SHOWN]
        ),
    )


def write_off(*, wallet: Wallet, order: AdjustmentOrder, actor_id: int, now: dt.datetime) -> None:
    """Take everything a locked wallet has left, also what starts later, before it is closed.

    Joins the caller's transaction, which holds the lock of ``approvals.lock_maker``.

    Raises:
        AdjustmentNeedsApprovalError: a policy wants others to look at so many tokens.
    """
    _check_policies(amount=order.amount, actor_id=actor_id)
    row = Adjustment(
        wallet=wallet,
        actor_id=actor_id,
        amount=order.amount,
        reason=order.reason,
        available_before=-order.amount,
        available_after=0,
        key_scope=Adjustment.Scope.CLOSE,
        # A wallet is closed once, so this can never meet another one.
        idempotency_key=str(wallet.pk),
        request_fingerprint=idempotency.fingerprint(asdict(order)),
    )
    _post(row, wallet, order.user_ref, now)


def check_operator(actor_id: int, *scopes: Scope) -> None:
    """Only the staff whose duty it is touches other people's tokens.

    Args:
        actor_id: who asks.
        scopes: one of these is needed; ``wallets:write`` when none is named.

    Raises:
        RoleRequiredError: the actor's role includes none of them, or the account is switched off.
    """
    needed = scopes or (Scope.WALLETS_WRITE,)
    if not accounts_selectors.active_may(user_id=actor_id, scopes=needed):
        raise RoleRequiredError(
            _("Your role does not change wallets of others."), required_scope=needed[0].value
        )


def check_reason(reason: str) -> None:
    """Whoever reads the audit trail must learn why.

    Raises:
        ReasonMissingError: no words, or more than fit.
    """
    if not 1 <= len(reason.strip()) <= REASON_LENGTH_MAX:
        raise ReasonMissingError(_("Say why, in 1 to 255 characters."), param="reason")


def _check(order: AdjustmentOrder, actor_id: int) -> int:
    """What can be said without looking at the wallet; its owner's primary key."""
    check_operator(actor_id)
    check_reason(order.reason)
    if not 1 <= abs(order.amount) <= settings.RECHARGE_AMOUNT_MAX:
        raise InvalidAdjustmentError(
            _("An adjustment moves 1 to %(max)d tokens.") % {"max": settings.RECHARGE_AMOUNT_MAX},
            param="amount",
        )
    owner = accounts_selectors.user_by_ref(user_ref=order.user_ref)
    if owner.is_sandbox:
        raise InvalidAdjustmentError(
            _("A sandbox has free tokens only, by its own refill."), param="user_ref"
        )
    return owner.pk


def _check_policies(*, amount: int, actor_id: int) -> None:
    """What a recharge of one line, or its reversal, would have to wait for, is refused here."""
    tokens = abs(amount)
    facts = BatchFacts(
        rows_count=1, tokens_total=tokens, largest_row=tokens, is_reversal=amount < 0
    )
    needed, _day_tokens = approvals.reached(maker_id=actor_id, facts=facts, now=timezone.now())
    if needed is not None:
        raise AdjustmentNeedsApprovalError(
            _("An approval policy covers so many tokens, and an adjustment cannot wait for it."),
            policies=[policy.name for policy in needed.policies],
        )


def _check_wallet(wallet: Wallet, figures: wallets_ledger.Figures, amount: int) -> None:
    if wallet.status == Wallet.Status.CLOSED:
        raise WalletClosedError(_("This wallet is closed for good."))
    if figures.spendable + amount < 0:
        raise AdjustmentExceedsBalanceError(
            _("Only %(available)d tokens can be taken now.") % {"available": figures.spendable},
            available=figures.spendable,
        )
    balance = wallet.available + wallet.held
    if amount > 0 and wallet.balance_max is not None and balance + amount > wallet.balance_max:
        raise BalanceMaxExceededError(
            _("The wallet may hold at most %(max)d tokens.") % {"max": wallet.balance_max},
            balance=balance,
            balance_max=wallet.balance_max,
        )


def _post(row: Adjustment, wallet: Wallet, user_ref: str, now: dt.datetime) -> None:
    ledger.post(adjustment=row, wallet=wallet, user_ref=user_ref, now=now)
    row.refresh_from_db()
    transaction.on_commit(
        partial(
            log.info,
            "tokens.wallet.adjusted",
            adjustment_id=str(row.pk),
            actor_id=row.actor_id,
            tokens=row.amount,
        )
    )
