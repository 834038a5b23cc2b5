"""Expected failures of inference."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError, Text
from inference import (  # the catalogue of errors reads this module
    face_errors,  # noqa: F401
    job_errors,  # noqa: F401
    media_errors,  # noqa: F401
)


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


class UnsupportedVideoError(DomainError):
    """The file looks like a video but is of no container or codec that we read."""

    code = "unsupported_video"
    http_status = 415
    title = _("This is not a video we can read")
    next_step = _("Save the video as MP4 with H.264 and upload it again.")


class UnreadableVideoError(DomainError):
    """The video is damaged, cut short, or breaks whoever reads it."""

    code = "unreadable_video"
    http_status = 422
    title = _("The video is damaged")
    next_step = _("Save the video again in a video program and upload the new file.")


class NoVideoStreamError(DomainError):
    """A media file without moving pictures."""

    code = "no_video_stream"
    http_status = 422
    title = _("There are no moving pictures in the file")
    next_step = _("Upload a video, or a picture as JPEG, PNG or WebP.")


class EncryptedVideoError(DomainError):
    """The pictures are encrypted; there is no key."""

    code = "encrypted_video"
    http_status = 422
    title = _("The video is encrypted")
    next_step = _("Upload a video without copy protection.")


class VideoTooLargeError(DomainError):
    """More pixels a frame than we decode."""

    code = "video_too_large"
    http_status = 422
    title = _("The frames of the video are too large")
    next_step = _("Scale the video down and upload it again.")


class VideoTooLongError(DomainError):
    """More seconds, frames, or frames a second than we take."""

    code = "video_too_long"
    http_status = 422
    title = _("The video is too long")
    next_step = _("Cut the video and upload the parts.")


VIDEO_REFUSALS: Final = (
    UnsupportedVideoError,
    UnreadableVideoError,
    NoVideoStreamError,
    EncryptedVideoError,
    VideoTooLargeError,
    VideoTooLongError,
)


class SourceNotAPictureError(DomainError):
    """A face is taken from a picture only."""

    code = "source_not_a_picture"
    http_status = 422
    title = _("The source must be a picture")
    next_step = _("Upload a picture of the face and name it as the source.")


class OperationMismatchError(DomainError):
    """A picture swap of a video, or the other way round."""

    code = "operation_mismatch"
    http_status = 422
    title = _("The operation does not fit the target")
    next_step = _("Ask for “image_swap” of a picture and “video_swap” of a video.")


class InvalidTrimError(DomainError):
    """The wanted part of the video is empty or lies behind its end."""

    code = "invalid_trim"
    http_status = 422
    title = _("There is no such part of the video")
    next_step = _("Choose a start before the end, both within the video.")


class SwapOptionsError(DomainError):
    """An engine option that does not exist, has a wrong value, or names a model not offered."""

    code = "invalid_options"
    http_status = 422
    title = _("An option of the swap is not possible")
    next_step = _("Correct or leave out the option that “param” names.")


class ResultTooLargeError(DomainError):
    """A frame enhancer would make a result larger than this deployment writes."""

    code = "result_too_large"
    http_status = 422
    title = _("The enlarged result would be too large")
    next_step = _("Choose a frame enhancer with a smaller factor, or upload a smaller target.")


class ModelNotInstalledError(DomainError):
    """An option needs a model that is described, allowed and not installed."""

    code = "model_not_installed"
    http_status = 422
    title = _("A model that an option needs is not installed here")
    next_step = _(
        "Leave out the option that “param” names, or ask the operator to install the model that "
        "“model” names."
    )


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
    PROCESS_CRASHED = "processing_crashed"
    QUEUE_TIMEOUT = "queue_timeout"
    HOLD_EXPIRED = "hold_expired"
    STOPPED_BY_OPERATOR = "stopped_by_operator"
    START_DEADLINE = "start_deadline_passed"
    INPUT_TIMEOUT = "input_timeout"
    INPUT_DELETED = "input_deleted"
    INPUT_MISMATCH = "input_mismatch"
    LABEL_FAILED = "label_failed"
    CONSENT_REVOKED = "consent_revoked"
    CONTENT_BLOCKED = "content_blocked"


_FAILURE_TEXTS: dict[str, Text] = {
    "no_face_in_source": _("There is no face in the source picture."),
    "no_face_in_target": _("There is no face in the target that could be replaced."),
    "several_faces_in_source": _("There are several faces in the source picture; one is needed."),
    "several_faces_in_target": _(
        "There are several faces in the target picture. Crop it to one, or choose the option "
        "“largest” or “all”."
    ),
    "unsupported_image": _("A picture has a format we cannot read."),
    "unreadable_image": _("A picture is damaged."),
    "image_too_large": _("A picture has too many pixels."),
    "unsupported_video": _("The video has a format we cannot read."),
    "unreadable_video": _("The video is damaged."),
    "no_video_stream": _("The file has no moving pictures."),
    "encrypted_video": _("The video is encrypted."),
    "video_too_large": _("The frames of the video are too large."),
    "video_too_long": _("The video is too long."),
    "invalid_trim": _("The wanted part of the video has no frames."),
    "invalid_output": _("The result cannot be written in the wanted format."),
    "invalid_options": _("An option of the swap is not possible."),
    "result_too_large": _("The enlarged result would be too large."),
    "faces_gone": _("A face or a picture that the job names was deleted before it ran."),
    "content_blocked_in_source": _("The source picture is not allowed here."),
    "content_blocked_in_target": _("The target is not allowed here."),
    "content_blocked_in_result": _("The result would not be allowed here."),
    FailureCode.INTERNAL_ERROR: _("Something broke on our side, several times in a row."),
    FailureCode.WORKER_LOST: _("The machine that ran the job was lost, several times in a row."),
    FailureCode.PROCESS_CRASHED: _("A picture or the video broke the program that reads it."),
    FailureCode.QUEUE_TIMEOUT: _("The job waited too long for a free machine."),
    FailureCode.HOLD_EXPIRED: _("The job took so long that its tokens had been given back."),
    FailureCode.STOPPED_BY_OPERATOR: _("An operator stopped the job."),
    FailureCode.START_DEADLINE: _("No machine began with the job before its start deadline."),
    FailureCode.INPUT_TIMEOUT: _("An upload that the job needs was never completed."),
    FailureCode.INPUT_DELETED: _("An upload that the job needs was deleted before it ran."),
    FailureCode.INPUT_MISMATCH: _("An upload is not what it was announced to be."),
    FailureCode.LABEL_FAILED: _(
        "The result could not be labelled as made by AI, and without labels nothing goes out."
    ),
    FailureCode.CONSENT_REVOKED: _("The consent for a face that the job takes was revoked."),
    FailureCode.CONTENT_BLOCKED: _("An upload or the result was reported and is blocked."),
}
_FALLBACK_TEXT = _("The pictures could not be processed.")


def failure_codes() -> tuple[str, ...]:
    """Every code that a failed job may have, in the order of the alphabet."""
    return tuple(sorted(str(code) for code in _FAILURE_TEXTS))


def failure_text(code: str) -> Text:
    """What the owner of a failed job is told: never the exception, which may name paths."""
    return _FAILURE_TEXTS.get(code, _FALLBACK_TEXT)
