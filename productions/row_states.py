"""The states that rows show, in words."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Of rows without a job, then those of jobs.
_LABELS: Final[dict[str, Promise]] = {
    "unreadable": _("Unreadable"),
    "ready": _("Ready"),
    "refused": _("Refused"),
    "awaiting_input": _("Waiting for its uploads"),
    "queued": _("Queued"),
    "running": _("Running"),
    "succeeded": _("Succeeded"),
    "failed": _("Failed"),
    "blocked": _("Blocked"),
    "canceled": _("Canceled"),
    "expired": _("Expired"),
}
ROW_STATES: Final = tuple(_LABELS)


def state_label(state: str) -> Promise:
    """A state of a row for people."""
    return _LABELS[state]
