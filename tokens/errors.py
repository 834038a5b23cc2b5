"""Expected failures of the ledger."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class InvalidRechargeError(DomainError):
    """The request as a whole cannot be read as a recharge; nothing is stored."""

    code = "invalid_recharge"
    http_status = 400
    title = _("The recharge request is not valid")
    next_step = _("Name one to the allowed number of lines, each with a user and a whole amount.")


class RechargeTooLargeError(DomainError):
    """More lines than one request may carry; nothing is stored."""

    code = "recharge_too_large"
    http_status = 413
    title = _("Too many lines in one recharge")
    next_step = _("Split the recharge into several requests, each with a key of its own.")


class RechargeRefusedError(DomainError):
    """An atomic batch had bad lines: nothing moved, and the refusal is on record."""

    code = "recharge_refused"
    http_status = 422
    title = _("The atomic recharge was refused")
    next_step = _(
        "Correct the lines named in “errors” and send them under a new Idempotency-Key,"
        " or use soft_fail."
    )


class BatchNotFoundError(DomainError):
    """No such batch, or not yours to see."""

    code = "recharge_batch_not_found"
    http_status = 404
    title = _("No such recharge batch")
    next_step = _("Check the id; the list of batches shows yours.")


class InsufficientTokensError(DomainError):
    """The wallet's available balance is below the amount."""

    code = "insufficient_tokens"
    http_status = 402
    title = _("Not enough tokens")
    next_step = _("Recharge the account, or choose smaller work, then ask for a new quote.")


class HoldResolvedError(DomainError):
    """The hold was already settled, voided or expired."""

    code = "hold_resolved"
    http_status = 409
    title = _("The hold is already closed")
    next_step = _("Read the job's receipt: its tokens were already spent or given back.")


class WalletFrozenError(DomainError):
    """The wallet is frozen or closed."""

    code = "wallet_frozen"
    http_status = 403
    title = _("The wallet is frozen")
    next_step = _("Contact support; nothing was charged.")


class RefundRefusedError(DomainError):
    """Not settled, refunded before, or more than was spent."""

    code = "refund_refused"
    http_status = 409
    title = _("The hold cannot be refunded")
    next_step = _("Read the hold: only settled tokens can be given back, and only once.")


class InvalidCursorError(DomainError):
    """The page cursor was not made by us."""

    code = "invalid_cursor"
    http_status = 400
    title = _("The page cursor is not valid")
    next_step = _("Take the cursor from “next_cursor” of the page before, or leave it out.")
