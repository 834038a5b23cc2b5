"""Expected failures of the ledger."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError
from facefusion_site.common.errors import InvalidCursorError as InvalidCursorError  # noqa: PLC0414
from tokens import (  # the catalogue of errors reads this module
    approval_errors,  # noqa: F401
    book_errors,  # noqa: F401
    draft_errors,  # noqa: F401
    grant_errors,  # noqa: F401
    price_errors,  # noqa: F401
    wallet_errors,  # noqa: F401
)


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
    """Nothing can be spent or received while an operator keeps the wallet frozen."""

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


class ApprovalNotFoundError(DomainError):
    """No such approval request."""

    code = "approval_not_found"
    http_status = 404
    title = _("No such approval request")
    next_step = _("Check the id; the list of approvals shows those you may see.")


class ApprovalClosedError(DomainError):
    """The request was approved, rejected or expired before this vote."""

    code = "approval_closed"
    http_status = 409
    title = _("The approval request is already decided")
    next_step = _("Read the request: it says who decided it and when.")


class ApprovalExpiredError(DomainError):
    """The request's time has run out."""

    code = "approval_expired"
    http_status = 409
    title = _("The approval request has expired")
    next_step = _("Ask the maker to create the batch again.")


class ApproverNotEligibleError(DomainError):
    """The voter is switched off or has none of the roles that may decide."""

    code = "approver_not_eligible"
    http_status = 403
    title = _("You may not decide this request")
    next_step = _("Leave the vote to somebody with a role named in “roles”.")


class MakerMayNotCheckError(DomainError):
    """Four eyes: who made a batch never decides it."""

    code = "maker_may_not_check"
    http_status = 403
    title = _("The maker may not decide")
    next_step = _("Ask another approver to vote.")


class ApprovalContentChangedError(DomainError):
    """The vote is about a content that the batch no longer has."""

    code = "approval_content_changed"
    http_status = 409
    title = _("The content of the batch is not what you voted on")
    next_step = _("Read the batch again and vote on the digest it has now.")


class ApprovalCommentMissingError(DomainError):
    """A rejection or a question without words."""

    code = "approval_comment_missing"
    title = _("A comment is needed")
    next_step = _("Say in “comment” why you reject, or what you ask.")


class AlreadyVotedError(DomainError):
    """One vote per person and request."""

    code = "already_voted"
    http_status = 409
    title = _("You have voted already")
    next_step = _("Read the request: your vote stands as it was cast.")


class KeyMayNotVoteError(DomainError):
    """An API key tried to decide what policies leave to people."""

    code = "key_may_not_vote"
    http_status = 403
    title = _("An API key may not decide this request")
    next_step = _("Sign in and vote with your second factor, or open the policy to keys.")


class PolicyNotFoundError(DomainError):
    """No such approval policy."""

    code = "approval_policy_not_found"
    http_status = 404
    title = _("No such approval policy")
    next_step = _("Check the id; the list of policies shows all of them.")


class InvalidPolicyError(DomainError):
    """A policy without a bound, without a role, or with numbers out of range."""

    code = "invalid_approval_policy"
    title = _("The approval policy is not valid")
    next_step = _("Correct the fields named in “errors”.")


class MonthNotClosableError(DomainError):
    """The month has not ended, is not reconciled, or follows an open one."""

    code = "month_not_closable"
    http_status = 409
    title = _("The month cannot be closed yet")
    next_step = _("Reconcile, resolve breaks, close the months in their order, then try again.")


class MonthNotClosedError(DomainError):
    """Only a closed month can be reopened, the latest one first."""

    code = "month_not_closed"
    http_status = 409
    title = _("The month cannot be reopened")
    next_step = _("Read the list of closed months; reopen the latest one first.")


class MonthBusyError(DomainError):
    """Writers did not let go of the journal in time."""

    code = "month_busy"
    http_status = 503
    title = _("The journal is busy")
    next_step = _("Try again in a moment; nothing has changed.")
    retryable = True


class AdministratorRequiredError(DomainError):
    """Only administrators and finance open and close the books."""

    code = "administrator_required"
    http_status = 403
    title = _("An administrator or finance must do this")
    next_step = _("Ask an administrator, or somebody in finance.")


class UnknownExportError(DomainError):
    """No export of this name, or a range it cannot have."""

    code = "unknown_export"
    http_status = 404
    title = _("There is no such export")
    next_step = _("Choose one of the exports that the list names.")


class IdempotencyInProgressError(DomainError):
    """The first request with this key has not ended yet."""

    code = "idempotency_in_progress"
    http_status = 409
    title = _("The same request is still running")
    next_step = _("Wait as long as Retry-After says and send the same request again.")
    retryable = True


class BatchStateError(DomainError):
    """The batch is not in a state that allows this."""

    code = "recharge_batch_state"
    http_status = 409
    title = _("The batch is in another state")
    next_step = _("Read the batch: its status says what can still be done with it.")


class NothingToRetryError(DomainError):
    """No line of the batch failed in a way that a retry could mend."""

    code = "nothing_to_retry"
    http_status = 409
    title = _("There is nothing to retry")
    next_step = _("Correct these rows and send them as a new batch.")


class AlreadyRetriedError(DomainError):
    """The failures of a batch are retried once; the retry has failures of its own."""

    code = "recharge_already_retried"
    http_status = 409
    title = _("The failed lines were retried before")
    next_step = _("Read the retry named in “retry_id”; retry what failed there.")


class NothingToReverseError(DomainError):
    """The batch applied none of the chosen rows."""

    code = "nothing_to_reverse"
    http_status = 409
    title = _("There is nothing to reverse")
    next_step = _("Only applied rows of a recharge that has ended can be reversed.")


class RechargeBusyError(DomainError):
    """Other work held the wallets for too long."""

    code = "recharge_busy"
    http_status = 503
    title = _("The wallets are busy")
    next_step = _("Send the same request with the same key again; nothing has changed.")
    retryable = True


class UnreadableFileError(DomainError):
    """The file as a whole is not what it says it is."""

    code = "unreadable_file"
    http_status = 400
    title = _("The file cannot be read")
    next_step = _("Send CSV in UTF-8 or GB18030 with a header row, an .xlsx workbook, or NDJSON.")


class FileTooLargeError(DomainError):
    """More bytes or cells than a file may have."""

    code = "file_too_large"
    http_status = 413
    title = _("The file is too large")
    next_step = _("Split the file; each part is a recharge of its own.")


class GrantDayError(DomainError):
    """A scheduled grant for a day that lies ahead, or that is over for too long."""

    code = "grant_day_refused"
    title = _("This day cannot be granted")
    next_step = _("Name today, or a missed day within GRANT_CATCH_UP_DAYS.")


class GrantAmountError(DomainError):
    """A scheduled grant of no tokens, or for no account."""

    code = "grant_amount_invalid"
    title = _("The grant has nothing to give")
    next_step = _("Name an amount and a limit of 1 or more, or set VIP_GRANT_TOKENS.")


class GrantTotalError(DomainError):
    """The day's grants would be more than the settings take for plausible; nothing was granted."""

    code = "grant_total_exceeded"
    http_status = 409
    title = _("The grants of the day would be too many tokens")
    next_step = _("Check amount and accounts; if they are right, raise VIP_GRANT_TOTAL_MAX.")
