"""Expected failures of what operators do with workers."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class WorkerNotFoundError(DomainError):
    """There is no such worker, or it has stopped."""

    code = "worker_not_found"
    http_status = 404
    title = _("The worker was not found")
    next_step = _("Load the list of workers again and choose one that is at work.")
