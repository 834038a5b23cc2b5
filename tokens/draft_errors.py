"""Expected failures of recharges in preparation and of named user segments."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class DraftNotFoundError(DomainError):
    """No such draft, or somebody else's."""

    code = "recharge_draft_not_found"
    http_status = 404
    title = _("No such recharge draft")
    next_step = _("Check the address; you see only drafts of your own.")


class DraftStateError(DomainError):
    """The draft is being checked, cannot be read, or was submitted before."""

    code = "recharge_draft_state"
    http_status = 409
    title = _("The draft does not allow this now")
    next_step = _("Look at the draft: it says what it waits for.")


class DraftChangedError(DomainError):
    """The content that was signed is not the content that the draft has now."""

    code = "recharge_draft_changed"
    http_status = 409
    title = _("The draft has changed meanwhile")
    next_step = _("Look at the preview again, then submit it.")


class DraftHasFaultsError(DomainError):
    """All lines or none were asked for, and some lines would fail."""

    code = "recharge_draft_has_faults"
    http_status = 422
    title = _("Some rows of the draft would fail")
    next_step = _("Correct the rows, or let good lines go through.")


class SegmentNotFoundError(DomainError):
    """No such segment in use."""

    code = "user_segment_not_found"
    http_status = 404
    title = _("No such user segment")
    next_step = _("Choose one of the list.")


class SegmentInvalidError(DomainError):
    """The name is taken, or the filter has no condition."""

    code = "user_segment_invalid"
    http_status = 422
    title = _("The segment cannot be saved")
    next_step = _("Choose another name, and name at least one condition.")


class MixedBandsError(DomainError):
    """Requests of different bands, or none, were to be approved at once."""

    code = "approval_bands_mixed"
    http_status = 422
    title = _("These requests cannot be approved together")
    next_step = _("Choose requests of one band only, or decide them one by one.")
