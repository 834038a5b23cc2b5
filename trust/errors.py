"""Expected failures of trust."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class ConsentRequiredError(DomainError):
    """Nobody has vouched for the face of the source, or not for this use, or no longer."""

    code = "consent_required"
    http_status = 403
    title = _("Consent for the face is missing")
    next_step = _(
        "Read the text at /api/v1/consents/text, and if it is true, attest it with "
        "POST /api/v1/consents; then ask again."
    )


class ConsentRevokedError(DomainError):
    """The consent for this face was revoked."""

    code = "consent_revoked"
    http_status = 403
    title = _("The consent for the face was revoked")
    next_step = _("Use the face only after the person has consented anew, and attest that.")


class ConsentNotFoundError(DomainError):
    """No such consent, or somebody else's."""

    code = "consent_not_found"
    http_status = 404
    title = _("No such consent")
    next_step = _("Check the id. You see only your own consents.")


class ConsentInvalidError(DomainError):
    """What is attested does not go together; ``param`` says where."""

    code = "consent_invalid"
    http_status = 422
    title = _("The consent is not complete")
    next_step = _("Correct the field that “param” names.")


class ConsentTextOutdatedError(DomainError):
    """Another version of the text is in force."""

    code = "consent_text_outdated"
    http_status = 409
    title = _("The text of the consent has changed")
    next_step = _("Read the text at /api/v1/consents/text and attest its version.")


class ContentBlockedError(DomainError):
    """These bytes were reported, and the report was upheld."""

    code = "content_blocked"
    http_status = 403
    title = _("This file is blocked")
    next_step = _("Use another file. If the block is a mistake, write to the operator.")


class TakedownInvalidError(DomainError):
    """The report does not say what is meant, or whom to answer; ``param`` says where."""

    code = "takedown_invalid"
    http_status = 422
    title = _("The report is not complete")
    next_step = _("Correct the field that “param” names.")


class TakedownNotFoundError(DomainError):
    """No report has this reference."""

    code = "takedown_not_found"
    http_status = 404
    title = _("No report has this reference")
    next_step = _("Check the reference: it was shown when the report was received.")


class TakedownDecidedError(DomainError):
    """Somebody decided the report before."""

    code = "takedown_decided"
    http_status = 409
    title = _("The report is already decided")
    next_step = _("Read the decision; a new report starts a new case.")


class ReceiptNotFoundError(DomainError):
    """No such receipt, or somebody else's."""

    code = "receipt_not_found"
    http_status = 404
    title = _("No such receipt")
    next_step = _("Check the id. You see only your own receipts.")


FILE_REFUSALS: Final = (ContentBlockedError, ConsentRevokedError)
