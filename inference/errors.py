"""Expected failures of inference."""

from __future__ import annotations

from enum import StrEnum

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError, Text


class UploadTooLargeError(DomainError):
    """The file has more bytes than an upload may have."""

    code = "upload_too_large"
    http_status = 413
    title = _("The file is too large")
    next_step = _("Send a smaller file, for example a JPEG instead of a PNG.")


class ImageTooLargeError(DomainError):
    """The picture's header announces more pixels than we decode."""

    code = "image_too_large"
    http_status = 422
    title = _("The picture has too many pixels")
    next_step = _("Scale the picture down and upload it again.")


class UnsupportedImageError(DomainError):
    """The file is no picture of a format we read, whatever its name says."""

    code = "unsupported_image"
    http_status = 415
    title = _("This is not a picture we can read")
    next_step = _("Upload a JPEG, PNG or WebP file.")


class UnreadableImageError(DomainError):
    """The format is right, the content is damaged or cut short."""

    code = "unreadable_image"
    http_status = 422
    title = _("The picture is damaged")
    next_step = _("Save the picture again in an image program and upload the new file.")


class AssetNotFoundError(DomainError):
    """No such upload, or somebody else's."""

    code = "asset_not_found"
    http_status = 404
    title = _("No such upload")
    next_step = _("Check the id. You see only your own uploads.")


class QuoteNotFoundError(DomainError):
    """No such quote, or somebody else's."""

    code = "quote_not_found"
    http_status = 404
    title = _("No such quote")
    next_step = _("Check the id. You see only your own quotes.")


class QuoteExpiredError(DomainError):
    """The quote's time is over; its price is no longer promised."""

    code = "quote_expired"
    http_status = 409
    title = _("The quote has expired")
    next_step = _("Ask for a new quote and submit the job with it.")


class QuoteRedeemedError(DomainError):
    """Another job was already paid with this quote."""

    code = "quote_redeemed"
    http_status = 409
    title = _("The quote was already used")
    next_step = _("Ask for a new quote for each job.")


class JobNotFoundError(DomainError):
    """No such job, or somebody else's."""

    code = "job_not_found"
    http_status = 404
    title = _("No such job")
    next_step = _("Check the id. You see only your own jobs.")


class JobNotFinishedError(DomainError):
    """The job has no result yet."""

    code = "job_not_finished"
    http_status = 409
    title = _("The job is not finished")
    next_step = _("Poll the job until its state is “succeeded”, then fetch the result.")
    retryable = True


class JobFailedError(DomainError):
    """The job failed, so there will never be a result; nothing was charged."""

    code = "job_failed"
    http_status = 410
    title = _("The job failed")
    next_step = _("Read the job's error, correct the input and submit a new job.")


class JobFinishedError(DomainError):
    """The job has already ended, so it cannot be run again or stopped."""

    code = "job_finished"
    http_status = 409
    title = _("The job has already ended")
    next_step = _("Submit a new job.")


class FailureCode(StrEnum):
    """Why a job failed, besides the pipeline's own codes about the pictures."""

    INTERNAL_ERROR = "internal_error"
    WORKER_LOST = "worker_lost"
    QUEUE_TIMEOUT = "queue_timeout"
    HOLD_EXPIRED = "hold_expired"
    STOPPED_BY_OPERATOR = "stopped_by_operator"


_FAILURE_TEXTS: dict[str, Text] = {
    "no_face_in_source": _("There is no face in the source picture."),
    "no_face_in_target": _("There is no face in the target picture."),
    "several_faces_in_source": _("There are several faces in the source picture; one is needed."),
    "several_faces_in_target": _(
        "There are several faces in the target picture. Crop it to one, or choose the option "
        "“largest” or “all”."
    ),
    "unsupported_image": _("A picture has a format we cannot read."),
    "unreadable_image": _("A picture is damaged."),
    "image_too_large": _("A picture has too many pixels."),
    FailureCode.INTERNAL_ERROR: _("Something broke on our side, several times in a row."),
    FailureCode.WORKER_LOST: _("The machine that ran the job was lost, several times in a row."),
    FailureCode.QUEUE_TIMEOUT: _("The job waited too long for a free machine."),
    FailureCode.HOLD_EXPIRED: _("The job took so long that its tokens had been given back."),
    FailureCode.STOPPED_BY_OPERATOR: _("An operator stopped the job."),
}
_FALLBACK_TEXT = _("The pictures could not be processed.")


def failure_text(code: str) -> Text:
    """What the owner of a failed job is told: never the exception, which may name paths."""
    return _FAILURE_TEXTS.get(code, _FALLBACK_TEXT)
