"""Expected failures of bringing uploads in, keeping them and removing them."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class AssetDeletedError(DomainError):
    """The upload was there; its bytes were deleted, by its owner or because its time was over."""

    code = "asset_deleted"
    http_status = 410
    title = _("The upload was deleted")
    next_step = _("Upload the file again and use the new id.")


class RangeNotSatisfiableError(DomainError):
    """The file ends before the wanted range of bytes begins; Content-Range tells its size."""

    code = "range_not_satisfiable"
    http_status = 416
    title = _("The file is shorter than that")
    next_step = _("Ask for a range inside the file, or leave the Range header out.")


class AssetInUseError(DomainError):
    """A job that has not ended needs the upload."""

    code = "asset_in_use"
    http_status = 409
    title = _("A job uses the upload")
    next_step = _("Wait until the jobs named in “job_ids” have ended, or cancel them.")
    retryable = True


class StorageQuotaError(DomainError):
    """The account keeps as many files or bytes as its plan allows."""

    code = "storage_quota_exceeded"
    http_status = 409
    title = _("Your storage is full")
    next_step = _("Delete uploads that you no longer need, or wait until some expire.")


class TooManyOpenUploadsError(DomainError):
    """The account has announced many uploads whose bytes have not come."""

    code = "too_many_open_uploads"
    http_status = 409
    title = _("Too many announced uploads")
    next_step = _("Complete or delete announced uploads, or wait until they expire.")
    retryable = True


class UploadUrlError(DomainError):
    """The address for the bytes of an upload was changed or made up."""

    code = "upload_url_invalid"
    http_status = 403
    title = _("The upload address is not valid")
    next_step = _("Use the address exactly as it was given, or announce the upload again.")


class UploadExpiredError(DomainError):
    """The time in which the bytes of an announced upload could come is over."""

    code = "upload_expired"
    http_status = 410
    title = _("The upload has expired")
    next_step = _("Announce the upload again and send its bytes to the new address.")


class UploadCompletedError(DomainError):
    """The upload is complete: its bytes never change."""

    code = "upload_completed"
    http_status = 409
    title = _("The upload is already complete")
    next_step = _("Announce a new upload for other bytes.")


class UploadIncompleteError(DomainError):
    """The bytes of an announced upload are not there yet."""

    code = "upload_incomplete"
    http_status = 409
    title = _("The bytes are not there yet")
    next_step = _("Send the bytes to the upload's address, then complete it.")
    retryable = True


class UploadMismatchError(DomainError):
    """The bytes are not the ones that were announced."""

    code = "upload_mismatch"
    http_status = 422
    title = _("The file is not the announced one")
    next_step = _("Send exactly the announced bytes, or announce the upload again.")


class ImportUrlError(DomainError):
    """The address is none that we fetch from: not https, unknown, or not public."""

    code = "import_url_refused"
    http_status = 422
    title = _("Files cannot be fetched from this address")
    next_step = _("Use an https address of a public server, without a user name in it.")


class ImportFailedError(DomainError):
    """The other server did not deliver the file."""

    code = "import_failed"
    http_status = 422
    title = _("The file could not be fetched")
    next_step = _("Check that anybody can open the address, or upload the file itself.")


class ImportTimeoutError(DomainError):
    """The other server was too slow."""

    code = "import_timed_out"
    http_status = 422
    title = _("Fetching the file took too long")
    next_step = _("Try again later, or upload the file itself.")
    retryable = True


class ImportsBusyError(DomainError):
    """As many imports run as this server does at once."""

    code = "imports_busy"
    http_status = 503
    title = _("Too many files are being fetched")
    next_step = _("Wait as many seconds as the Retry-After header says, then try again.")
    retryable = True


ADMISSION_REFUSALS: Final = (StorageQuotaError,)
IMPORT_REFUSALS: Final = (ImportUrlError, ImportFailedError, ImportTimeoutError, ImportsBusyError)


class SandboxMediaError(DomainError):
    """A live account named one of the uploads that force an outcome in the sandbox."""

    code = "sandbox_media_refused"
    http_status = 422
    title = _("This upload works in the sandbox only")
    next_step = _("Use a test key, or upload media of your own.")
