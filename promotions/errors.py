"""Expected failures of promotions."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class CampaignCodeUnknownError(DomainError):
    """No campaign has this code, or it has not begun: which of them is not said."""

    code = "campaign_code_unknown"
    http_status = 404
    title = _("This code is not known")
    next_step = _("Check the spelling, and from when on the code is valid.")


class CampaignOverError(DomainError):
    """The campaign has ended."""

    code = "campaign_over"
    http_status = 409
    title = _("The campaign is over")
    next_step = _("Look for another campaign; this code gives nothing any more.")


class CampaignBudgetError(DomainError):
    """All tokens of the campaign were given away."""

    code = "campaign_budget_spent"
    http_status = 409
    title = _("All tokens of the campaign were given away")
    next_step = _("Look for another campaign; trying again does not help.")


class CampaignRedeemedError(DomainError):
    """One per person."""

    code = "campaign_redeemed"
    http_status = 409
    title = _("You have had the tokens of this campaign")
    next_step = _("Read your statement: they were credited before.")


class CampaignNotForYouError(DomainError):
    """The account is not in the segment of the campaign, or is a sandbox."""

    code = "campaign_not_for_you"
    http_status = 403
    title = _("The campaign is not for your account")
    next_step = _("Ask the operator which accounts the campaign is for.")


class PromotionInvalidError(DomainError):
    """A value is out of range; ``errors`` says which."""

    code = "promotion_invalid"
    title = _("The promotion is not valid")
    next_step = _("Correct the fields named in “errors”.")


class PromotionNotFoundError(DomainError):
    """No campaign or rule of this name."""

    code = "promotion_not_found"
    http_status = 404
    title = _("There is no such promotion")
    next_step = _("Look its short name up in the console.")


class PromotionStateError(DomainError):
    """A draft grants nothing, what was activated is not activated again, what ended stays so."""

    code = "promotion_state"
    http_status = 409
    title = _("The promotion is in another state")
    next_step = _("Look at its state: drafts are activated, active ones run and end.")
