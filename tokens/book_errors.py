"""Expected failures of breaks and of exports that workers write."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class BreakNotFoundError(DomainError):
    """No break has this number."""

    code = "break_not_found"
    http_status = 404
    title = _("There is no such break")
    next_step = _("Open it from the list of breaks.")


class BreakResolvedError(DomainError):
    """A break is resolved once; if it is found again, a new one opens."""

    code = "break_resolved"
    http_status = 409
    title = _("The break is resolved")
    next_step = _("Nothing: a run that finds it again opens a new break.")


class TooManyExportsError(DomainError):
    """So many exports of one person are waiting or being written."""

    code = "too_many_exports"
    http_status = 409
    title = _("Too many exports at once")
    next_step = _("Wait until one of your exports is ready.")
    retryable = True


class ExportNotReadyError(DomainError):
    """The file is not written yet, could not be written, or has been deleted."""

    code = "export_not_ready"
    http_status = 409
    title = _("The file is not there")
    next_step = _("Wait until the export is ready, or order it again if its file was deleted.")
