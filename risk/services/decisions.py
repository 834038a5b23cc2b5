"""Decisions: made by rules, looked at and lifted by people, appealed by accounts."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts_services
from accounts.freeze_types import AppealState
from risk import decisions, selectors, subjects
from risk.errors import (
    RiskAppealStateError,
    RiskDecisionClosedError,
    RiskDecisionNotFoundError,
    RiskTextInvalidError,
)
from risk.models import RiskDecision, RiskRule
from risk.models.decisions import REASON_LENGTH_MAX, TEXT_LENGTH_MAX
from risk.services.rules import require_analyst
from risk.types import Action, Appeal, Crossing, RuleState, Verdict

_EXPIRED: Final = "its time was over"


@transaction.atomic
def decide(*, rule_id: int, crossing: Crossing) -> RiskDecision | None:
    """Act on what a rule found about an account. Owns its transaction, or joins the caller's.

    Locks the account. Members of staff, sandboxes and exempt plans are left alone; so is an account
    about which the rule has decided, for whatever happened before that ended.

    Returns:
        The decision; None where nothing was to be decided.
    """
    rule = RiskRule.objects.filter(pk=rule_id, state=RuleState.ACTIVE).first()
    if rule is None or not subjects.is_subject(rule=rule, user_id=crossing.user_id):
        return None
    accounts_services.lock_account(user_id=crossing.user_id)
    window = dt.timedelta(seconds=rule.window_s)
    last = selectors.last_moments(rule_name=rule.name, since=crossing.at - window)
    decided_until = last.get(crossing.user_id)
    # Only what came after the last decision counts, also of the activities beside the newest one.
    if decided_until is not None and crossing.since <= decided_until:
        return None
    return decisions.make(rule=rule, crossing=crossing)


@transaction.atomic
def lift_decision(
    *, decision_id: uuid.UUID, reason: str, verdict: Verdict, actor_id: int
) -> RiskDecision:
    """End a decision and what it did to the account. Owns its transaction, or joins the caller's.

    Args:
        decision_id: which.
        reason: 1 to 255 characters, kept with it and in the audit trail.
        verdict: what it was found to be; OPEN where nobody knows yet.
        actor_id: a member of staff whose role may freeze accounts.

    Raises:
        RoleRequiredError: the actor may not.
        RiskTextInvalidError: no reason, or a longer one.
        RiskDecisionNotFoundError: there is no such decision.
        RiskDecisionClosedError: it has ended.
    """
    require_analyst(actor_id)
    words = _words(reason, length_max=REASON_LENGTH_MAX, param="reason")
    decision = _locked(decision_id)
    if decision.closed_at is not None:
        raise RiskDecisionClosedError(_("This decision has ended already."))
    if verdict is not Verdict.OPEN:
        decision.verdict = verdict
    decisions.close(decision=decision, actor_id=actor_id, reason=words, is_early=True)
    return decision


@transaction.atomic
def judge_decision(
    *, decision_id: uuid.UUID, verdict: Verdict, reason: str, actor_id: int
) -> RiskDecision:
    """Say whether a decision was right, for the reports on rules; ends a review.

    Owns its transaction, or joins the caller's. What was done to the account stays; lifting is a
    step of its own.

    Raises:
        RoleRequiredError: the actor may not freeze accounts.
        RiskTextInvalidError: no reason, or a longer one.
        RiskDecisionNotFoundError: there is no such decision.
    """
    require_analyst(actor_id)
    words = _words(reason, length_max=REASON_LENGTH_MAX, param="reason")
    decision = _locked(decision_id)
    if decision.action == Action.REVIEW and decision.closed_at is None:
        decision.verdict = verdict
        decisions.close(decision=decision, actor_id=actor_id, reason=words, is_early=True)
        return decision
    before = decisions.state(decision)
    decision.verdict = verdict
    decision.save(update_fields=["verdict"])
    decisions.record(decision, "risk.judged", actor_id=actor_id, before=before)
    return decision


@transaction.atomic
def appeal(*, decision_id: uuid.UUID, user_id: int, text: str) -> RiskDecision:
    """Object to a decision about one's own account, once. Owns or joins a transaction.

    Raises:
        RiskTextInvalidError: no words, or more than 2000 characters.
        RiskDecisionNotFoundError: there is no such decision about the account.
        RiskDecisionClosedError: it has ended.
        RiskAppealStateError: the account has objected before.
    """
    words = _words(text, length_max=TEXT_LENGTH_MAX, param="text")
    selectors.decision_about(user_id=user_id, decision_id=decision_id)
    decision = _locked(decision_id)
    if decision.closed_at is not None:
        raise RiskDecisionClosedError(_("This decision has ended already."))
    if decision.appeal != Appeal.NONE:
        raise RiskAppealStateError(
            _("You have objected to this decision before."), appeal=decision.appeal
        )
    before = decisions.state(decision)
    decision.appeal = Appeal.OPEN
    decision.appeal_text = words
    decision.appealed_at = timezone.now()
    decision.save()
    decisions.record(decision, "risk.appealed", actor_id=user_id, before=before)
    _mirror(decision, AppealState.OPEN, reason="appealed", actor_id=None)
    return decision


@transaction.atomic
def answer_appeal(
    *, decision_id: uuid.UUID, is_granted: bool, text: str, actor_id: int
) -> RiskDecision:
    """Answer an appeal; granting it ends the decision. Owns or joins a transaction.

    Args:
        decision_id: which.
        is_granted: whether the account was right.
        text: 1 to 2000 characters, which the account is told.
        actor_id: a member of staff whose role may freeze accounts.

    Raises:
        RoleRequiredError: the actor may not.
        RiskTextInvalidError: no words, or more.
        RiskDecisionNotFoundError: there is no such decision.
        RiskAppealStateError: no appeal waits for an answer.
    """
    require_analyst(actor_id)
    words = _words(text, length_max=TEXT_LENGTH_MAX, param="text")
    decision = _locked(decision_id)
    if decision.appeal != Appeal.OPEN:
        raise RiskAppealStateError(_("No appeal waits for an answer."), appeal=decision.appeal)
    before = decisions.state(decision)
    decision.appeal = Appeal.GRANTED if is_granted else Appeal.REJECTED
    decision.verdict = Verdict.HONEST if is_granted else Verdict.ABUSE
    decision.answer = words
    decision.answered_at = timezone.now()
    decision.answered_by_id = actor_id
    decision.save()
    decisions.record(decision, "risk.appeal_answered", actor_id=actor_id, before=before)
    state = AppealState.GRANTED if is_granted else AppealState.REJECTED
    _mirror(decision, state, reason="answered", actor_id=actor_id)
    if is_granted and decision.closed_at is None:
        decisions.close(
            decision=decision, actor_id=actor_id, reason="appeal granted", is_early=True
        )
    return decision


def expire_decisions(*, now: dt.datetime | None = None, limit: int = 1000) -> int:
    """End decisions whose time is over, each in a transaction of its own; returns how many."""
    due = RiskDecision.objects.filter(closed_at=None, expires_at__lte=now or timezone.now())
    count = 0
    for decision_id in list(due.order_by("expires_at").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            decision = _locked(decision_id)
            if decision.closed_at is None:
                decisions.close(decision=decision, actor_id=None, reason=_EXPIRED, is_early=False)
                count += 1
    return count


def _locked(decision_id: uuid.UUID) -> RiskDecision:
    """A decision, under the lock on its account, which comes before that on its row."""
    user_id = RiskDecision.objects.filter(pk=decision_id).values_list("user_id", flat=True).first()
    if user_id is None:
        raise RiskDecisionNotFoundError(_("No decision has this id."))
    accounts_services.lock_account(user_id=user_id)
    return RiskDecision.objects.select_related("rule", "user").get(pk=decision_id)


def _words(text: str, *, length_max: int, param: str) -> str:
    words = text.strip()
    if not 1 <= len(words) <= length_max:
        raise RiskTextInvalidError(
            _("Write 1 to %(max)d characters.") % {"max": length_max}, param=param
        )
    return words


def _mirror(
    decision: RiskDecision, state: AppealState, *, reason: str, actor_id: int | None
) -> None:
    """Say the same of the freeze, which other pages show."""
    if decision.freeze_id is not None:
        accounts_services.set_appeal(
            freeze_id=decision.freeze_id, state=state, reason=reason, actor_id=actor_id
        )
