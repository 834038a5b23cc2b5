"""Expected failures of rate cards."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class InvalidRateCardError(DomainError):
    """The card cannot be."""

    code = "invalid_rate_card"
    http_status = 422
    title = _("The rate card is not valid")
    next_step = _("Correct the fields named in “errors” and propose it again.")


class RateCardNotFoundError(DomainError):
    """No such card."""

    code = "rate_card_not_found"
    http_status = 404
    title = _("Rate card not found")
    next_step = _("Take the version of a card from the list of rate cards.")


class RateCardClosedError(DomainError):
    """Decided before."""

    code = "rate_card_closed"
    http_status = 409
    title = _("The rate card is decided")
    next_step = _("Read the card to see what became of it; propose another one for other prices.")


class RateCardOutdatedError(DomainError):
    """Another card came into force since, or the decision names another content."""

    code = "rate_card_outdated"
    http_status = 409
    title = _("The prices have changed since this card was proposed")
    next_step = _("Read the card and the prices in force again; then propose it anew.")


class TrialRunningError(DomainError):
    """One card is tried at a time."""

    code = "price_trial_running"
    http_status = 409
    title = _("Another rate card is on trial")
    next_step = _("End the trial of the other card first.")
