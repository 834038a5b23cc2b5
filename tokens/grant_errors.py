"""Expected failures of claims and of the rules of plans."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class DailyClaimUnavailableError(DomainError):
    """The account's plan has no tokens to claim, or the account is a sandbox."""

    code = "daily_claim_unavailable"
    http_status = 403
    title = _("Your plan has no tokens to claim")
    next_step = _("Read GET /daily-claim: “tokens” is 0 where there are none to claim.")


class DailyClaimTakenError(DomainError):
    """The tokens of this day were claimed before; ``available_at`` says when there are new ones."""

    code = "daily_claim_taken"
    http_status = 409
    title = _("The tokens of this day were claimed before")
    next_step = _("Come back at “available_at”. Another time zone makes no second day.")


class PlanRuleInvalidError(DomainError):
    """A value of the rule is out of range, or its day is over."""

    code = "plan_rule_invalid"
    title = _("The rule of the plan is not valid")
    next_step = _("Correct the fields named in “errors”; a rule begins today or later.")
