"""Expected failures of what callers do with jobs once these exist."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class InputsMissingError(DomainError):
    """An upload that this needs has been announced but has not arrived yet."""

    code = "inputs_missing"
    http_status = 409
    title = _("An upload is not complete")
    next_step = _("Complete the upload first, then try again.")
    retryable = True


class JobCanceledError(DomainError):
    """The job was canceled, so there will never be a result."""

    code = "job_canceled"
    http_status = 410
    title = _("The job was canceled")
    next_step = _("Submit the job again, or retry it, if you want its result after all.")
    charge = _("Nothing for this request; what was done before the cancel is in the receipt.")


class ResultDeletedError(DomainError):
    """The result was there; its bytes were deleted."""

    code = "result_deleted"
    http_status = 410
    title = _("The result was deleted")
    next_step = _("Submit the job again if you need the result. The receipt is still there.")
    charge = _("Nothing for this request; the job was paid when it had succeeded.")


class JobNotRetryableError(DomainError):
    """Only a job that failed, expired or was canceled can be run again."""

    code = "job_not_retryable"
    http_status = 409
    title = _("This job cannot be retried")
    next_step = _("Retry jobs that have failed, expired or been canceled; else submit a new job.")


class QuoteMismatchError(DomainError):
    """The quote is for other uploads or another operation than the job to be retried."""

    code = "quote_mismatch"
    http_status = 422
    title = _("The quote is for something else")
    next_step = _("Ask for a quote with the uploads of the job, or leave out “quote_id”.")


class TooManyListenersError(DomainError):
    """As many event streams are open as this account, or this server, may have at once."""

    code = "too_many_listeners"
    http_status = 429
    title = _("Too many event streams are open")
    next_step = _("Close a stream, or poll the job instead.")
    retryable = True


class BatchNotFoundError(DomainError):
    """No such batch, or somebody else's."""

    code = "batch_not_found"
    http_status = 404
    title = _("No such batch of jobs")
    next_step = _("Check the id. You see only your own batches.")


class BatchRefusedError(DomainError):
    """A row of an atomic batch cannot be a job, so none is."""

    code = "batch_refused"
    http_status = 422
    title = _("No job of the batch was accepted")
    next_step = _(
        "Correct the rows that “errors” names, or choose “soft_fail” to run only the others."
    )


class PriceAboveLimitError(DomainError):
    """The batch would cost more than the caller wants to pay."""

    code = "price_above_limit"
    http_status = 409
    title = _("The price is above your limit")
    next_step = _("Raise “max_tokens”, or order fewer jobs.")
