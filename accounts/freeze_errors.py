"""Expected failures around freezes of accounts."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class ApiFrozenError(DomainError):
    """Staff or a rule keep the account from the API; ``notice`` and ``until`` say more."""

    code = "api_frozen"
    http_status = 403
    title = _("The account may not use the API for now")
    next_step = _("Sign in on the site and read why; then answer to support, naming your user_ref.")


class LoginFrozenError(DomainError):
    """Staff or a rule keep the account from signing in; ``notice`` and ``until`` say more."""

    code = "login_frozen"
    http_status = 403
    title = _("The account may not sign in for now")
    next_step = _("Write to support from the account's e-mail address, naming your user_ref.")


class UploadFrozenError(DomainError):
    """Staff or a rule keep the account from uploading; ``notice`` and ``until`` say more."""

    code = "upload_frozen"
    http_status = 403
    title = _("The account may not upload for now")
    next_step = _("Use what is uploaded already, or write to support, naming your user_ref.")


class FreezeNotFoundError(DomainError):
    """There is no such freeze."""

    code = "freeze_not_found"
    http_status = 404
    title = _("There is no such freeze")
    next_step = _("List the freezes of the account and use an id from that list.")


class FreezeEndedError(DomainError):
    """The freeze was lifted, or its time was over."""

    code = "freeze_ended"
    http_status = 409
    title = _("The freeze has ended")
    next_step = _("Place a new one if the account must be frozen again.")


class FreezeInvalidError(DomainError):
    """A freeze as asked for: without a reason, with too long a text, or with an end in the past."""

    code = "freeze_invalid"
    title = _("The freeze is not valid")
    next_step = _("Give a reason of 1 to 255 characters, and an end in the future or none.")


class FreezeNeedsAnotherError(DomainError):
    """Who froze an account with many tokens is not the one to lift it again."""

    code = "freeze_needs_another"
    http_status = 403
    title = _("Somebody else has to lift this freeze")
    next_step = _("Ask another member of staff to look at it and lift it.")


class NoteInvalidError(DomainError):
    """A note without words, or with too many."""

    code = "note_invalid"
    title = _("The note is not valid")
    next_step = _("Write 1 to 4000 characters.")
