"""Expected failures of the risk engine."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class RiskRuleInvalidError(DomainError):
    """A value of the rule is out of range; ``errors`` says which."""

    code = "risk_rule_invalid"
    title = _("The rule is not valid")
    next_step = _("Correct the fields named in “errors”.")


class RiskRuleNotFoundError(DomainError):
    """No rule of this name, or no such version of it."""

    code = "risk_rule_not_found"
    http_status = 404
    title = _("There is no such rule")
    next_step = _("Look its name and its versions up in the console.")


class RiskRuleStateError(DomainError):
    """A draft is tested and activated, what is active is retired, and what was retired stays so."""

    code = "risk_rule_state"
    http_status = 409
    title = _("The rule is in another state")
    next_step = _("Look at its state; draft a new version to change a rule.")


class RiskRuleUntestedError(DomainError):
    """A rule goes live only after it was played against what has happened."""

    code = "risk_rule_untested"
    http_status = 409
    title = _("The rule was never tested on history")
    next_step = _("Run the back-test of the rule, read its report, then activate it.")


class RiskRuleNeedsAnotherError(DomainError):
    """Who drafted a rule does not activate it, as long as somebody else may."""

    code = "risk_rule_needs_another"
    http_status = 403
    title = _("Somebody else has to activate this rule")
    next_step = _("Ask another member of staff to look at the back-test and activate it.")


class RiskDecisionNotFoundError(DomainError):
    """There is no such decision about the account."""

    code = "risk_decision_not_found"
    http_status = 404
    title = _("There is no such decision")
    next_step = _("List the decisions about your account and use an id from that list.")


class RiskDecisionClosedError(DomainError):
    """The decision was lifted, or its time is over."""

    code = "risk_decision_closed"
    http_status = 409
    title = _("The decision is not in force any more")
    next_step = _("There is nothing to do: the account is as free as before.")


class RiskAppealStateError(DomainError):
    """One appeal per decision, and one answer per appeal."""

    code = "risk_appeal_state"
    http_status = 409
    title = _("The appeal is in another state")
    next_step = _("Read the decision: it says whether an appeal waits or was answered.")


class RiskTextInvalidError(DomainError):
    """Words that are kept are missing, or too many."""

    code = "risk_text_invalid"
    title = _("The text is not valid")
    next_step = _("Write at least one and at most as many characters as the detail says.")
