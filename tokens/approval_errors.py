"""Expected failures of answers to questions and of policy changes."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class OnlyTheMakerError(DomainError):
    """Answering and recalling belong to whoever made it."""

    code = "only_the_maker"
    http_status = 403
    title = _("Only the maker may do this")
    next_step = _("Leave it to the person named as “maker”.")


class QuestionNotFoundError(DomainError):
    """The request has no question with this id."""

    code = "approval_question_not_found"
    http_status = 404
    title = _("No such question")
    next_step = _("Take the id of a vote “ask” from the approval request.")


class AlreadyAnsweredError(DomainError):
    """One answer per question, and it is not changed."""

    code = "already_answered"
    http_status = 409
    title = _("The question is answered already")
    next_step = _("Read the answer; the approver can ask again.")


class PolicyChangeNotFoundError(DomainError):
    """No such policy change."""

    code = "policy_change_not_found"
    http_status = 404
    title = _("No such policy change")
    next_step = _("Check the id; the list of policy changes shows all of them.")


class PolicyChangeClosedError(DomainError):
    """It was applied, rejected, recalled or expired before."""

    code = "policy_change_closed"
    http_status = 409
    title = _("The policy change is already decided")
    next_step = _("Read the change: it says who decided it and when.")


class PolicyChangeExpiredError(DomainError):
    """Its time has run out."""

    code = "policy_change_expired"
    http_status = 409
    title = _("The policy change has expired")
    next_step = _("Propose the change again.")


class PolicyChangeOpenError(DomainError):
    """A policy has one open change at a time, so that nobody decides on an old state."""

    code = "policy_change_open"
    http_status = 409
    title = _("Another change of this policy waits")
    next_step = _("Have the waiting change decided or recalled first.")


class PolicyChangedMeanwhileError(DomainError):
    """The decision names another content, or the policy is not what it was any more."""

    code = "policy_changed_meanwhile"
    http_status = 409
    title = _("This is not the change you looked at")
    next_step = _("Read the change again. If the policy itself has moved, propose it anew.")
