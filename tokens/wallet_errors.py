"""Expected failures of wallets and of corrections by hand."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class WalletClosedError(DomainError):
    """Closing is final: nothing goes in or out any more."""

    code = "wallet_closed"
    http_status = 409
    title = _("The wallet is closed")
    next_step = _("A closed wallet stays closed; its owner needs a new account.")


class WalletNotEmptyError(DomainError):
    """Closing would make tokens vanish; ``available``, ``pending`` and ``held`` say which."""

    code = "wallet_not_empty"
    http_status = 409
    title = _("The wallet still has tokens")
    next_step = _("Wait until held tokens have come to their end, then close with “write_off”.")


class ReasonMissingError(DomainError):
    """What is done by hand to somebody's tokens needs words."""

    code = "reason_missing"
    title = _("A reason is needed")
    next_step = _("Say in “reason” why, in 1 to 255 characters.")


class InvalidAdjustmentError(DomainError):
    """No tokens, or more than one correction may move."""

    code = "invalid_adjustment"
    title = _("The adjustment is not valid")
    next_step = _("Name a whole amount within the limit, below zero to take tokens away.")


class AdjustmentExceedsBalanceError(DomainError):
    """More than the wallet can spend now: a correction never makes it negative."""

    code = "adjustment_exceeds_balance"
    http_status = 409
    title = _("The adjustment takes more than there is")
    next_step = _("Take at most “available”; held tokens and those that start later stay.")


class BalanceMaxExceededError(DomainError):
    """The wallet has a largest balance."""

    code = "exceeds_max_balance"
    http_status = 409
    title = _("The wallet may not hold that many tokens")
    next_step = _("Give fewer tokens, or let an administrator raise the wallet's largest balance.")


class AdjustmentNeedsApprovalError(DomainError):
    """A policy wants others to look at so many tokens; an adjustment cannot wait for them."""

    code = "adjustment_needs_approval"
    http_status = 403
    title = _("So many tokens need an approval")
    next_step = _(
        "Give tokens with a recharge batch, take them with the reversal of one: both wait for"
        " approval."
    )


class AdjustmentNotFoundError(DomainError):
    """No such adjustment."""

    code = "adjustment_not_found"
    http_status = 404
    title = _("There is no such adjustment")
    next_step = _("Check the id; it was in the answer that created the adjustment.")
