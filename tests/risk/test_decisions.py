"""Decisions: what each action does, how it ends, who may lift it, appeals, what never changes."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.errors import RoleRequiredError
from accounts.freeze_types import FreezeKind
from accounts.models import AccountFreeze, User
from accounts.types import Plan, Role
from inference.tests import factories
from risk import selectors, services
from risk.errors import (
    RiskAppealStateError,
    RiskDecisionClosedError,
    RiskDecisionNotFoundError,
    RiskTextInvalidError,
)
from risk.models import RiskDecision
from risk.types import Action, Appeal, Verdict
from tests.risk.conftest import crossing, make_rule
from tokens import services as tokens_services
from tokens.models import AuditEvent, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    return factories.make_user(tokens=5)


def spend_freeze(**values):
    return make_rule(
        action=Action.FREEZE, freeze_kind=FreezeKind.SPEND, notice="Write to us.", **values
    )


def decided(rule, user) -> RiskDecision:
    found = services.decide(rule_id=rule.pk, crossing=crossing(user))
    assert found is not None
    return found


def test_a_freeze_is_placed_once_explains_itself_and_ends_by_itself(user):
    rule = spend_freeze()
    decision = decided(rule, user)
    freeze = AccountFreeze.objects.get(pk=str(decision.freeze_id))
    assert (freeze.kind, freeze.source) == ("spend", f"rule:{rule.name}:1")
    assert freeze.notice == "Write to us."
    assert Wallet.objects.get(owner=user).status == "FROZEN"
    evidence = decision.evidence
    assert (evidence["value"], evidence["threshold"], evidence["window_s"]) == (9, 3, 600)
    assert evidence["references"] == ["swap_job:1"]
    assert AuditEvent.objects.filter(action="risk.decided").count() == 1
    assert services.decide(rule_id=rule.pk, crossing=crossing(user)) is None
    later = timezone.now() + dt.timedelta(seconds=rule.action_s + 1)
    assert services.sweep(now=later).expired_count == 1
    decision.refresh_from_db()
    assert decision.closed_at is not None
    assert decision.closed_by is None


def test_slowing_halves_limits_until_the_last_decision_has_ended(user, analyst):
    short, long = (make_rule(action=Action.SLOW, action_s=s) for s in (100, 200))
    one, other = (decided(rule, user) for rule in (short, long))
    user.refresh_from_db()
    assert user.slowed_until == other.expires_at
    lift = {"reason": "a mistake", "verdict": Verdict.HONEST, "actor_id": analyst.pk}
    services.lift_decision(decision_id=other.pk, **lift)
    user.refresh_from_db()
    assert user.slowed_until == one.expires_at
    services.lift_decision(decision_id=one.pk, **lift)
    user.refresh_from_db()
    assert user.slowed_until is None


def test_a_lifted_account_is_free_and_only_new_doings_count(user, analyst):
    rule = spend_freeze()
    decision = decided(rule, user)
    services.lift_decision(
        decision_id=decision.pk, reason="a class", verdict=Verdict.HONEST, actor_id=analyst.pk
    )
    assert User.objects.get(pk=user.pk).frozen_kinds == []
    assert services.decide(rule_id=rule.pk, crossing=crossing(user, back_s=100)) is None
    assert services.decide(rule_id=rule.pk, crossing=crossing(user, back_s=-1)) is not None
    record = next(it for it in selectors.rule_records() if it.rule == rule)
    assert (record.decisions_count, record.honest_count, record.wrong_percent) == (2, 1, 100)


def test_staff_sandboxes_exempt_plans_and_retired_rules_are_left_alone(user, analyst):
    from accounts import services as accounts_services  # noqa: PLC0415

    rule = spend_freeze(exempt_plans=[Plan.ENTERPRISE])
    User.objects.filter(pk=user.pk).update(plan=Plan.ENTERPRISE)
    assert services.decide(rule_id=rule.pk, crossing=crossing(user)) is None
    assert services.decide(rule_id=rule.pk, crossing=crossing(analyst)) is None
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="t", scopes=["jobs:read"], is_test=True
    )
    assert key.key.startswith("ffk_test_")
    sandbox = User.objects.get(sandbox_of=user)
    assert services.decide(rule_id=rule.pk, crossing=crossing(sandbox)) is None
    User.objects.filter(pk=user.pk).update(plan=Plan.FREE)
    services.retire_rule(rule_id=rule.pk, actor_id=analyst.pk)
    assert services.decide(rule_id=rule.pk, crossing=crossing(user)) is None


def test_a_closed_wallet_is_looked_at_instead(user):
    empty = factories.make_user()
    tokens_services.close_wallet(
        user_ref=empty.user_ref, reason="gone", actor_id=factories.make_user(role=Role.ADMIN).pk
    )
    decision = decided(spend_freeze(), empty)
    assert (decision.action, decision.freeze_id) == (Action.REVIEW, None)


def test_an_appeal_is_made_once_and_answered_once(user, analyst):
    decision = decided(spend_freeze(), user)
    ask = {"decision_id": decision.pk, "user_id": user.pk}
    with pytest.raises(RiskTextInvalidError) as refused:
        services.appeal(**ask, text="  ")
    assert refused.value.code == "risk_text_invalid"
    with pytest.raises(RiskDecisionNotFoundError) as missing:
        services.appeal(**ask | {"user_id": analyst.pk}, text="mine?")
    assert missing.value.code == "risk_decision_not_found"
    services.appeal(**ask, text="It was a birthday.")
    assert AccountFreeze.objects.get(pk=str(decision.freeze_id)).appeal == "open"
    assert selectors.waiting_count() == 1
    with pytest.raises(RiskAppealStateError) as again:
        services.appeal(**ask, text="Again.")
    assert again.value.code == "risk_appeal_state"

    def answer(actor) -> None:
        services.answer_appeal(
            decision_id=decision.pk, text="You are right.", is_granted=True, actor_id=actor.pk
        )

    with pytest.raises(RoleRequiredError):
        answer(user)
    answer(analyst)
    decision.refresh_from_db()
    assert (decision.appeal, decision.verdict) == (Appeal.GRANTED, Verdict.HONEST)
    assert decision.closed_at is not None
    assert User.objects.get(pk=user.pk).frozen_kinds == []
    with pytest.raises(RiskAppealStateError):
        answer(analyst)
    with pytest.raises(RiskDecisionClosedError) as closed:
        services.lift_decision(
            decision_id=decision.pk, reason="x", verdict=Verdict.OPEN, actor_id=analyst.pk
        )
    assert closed.value.code == "risk_decision_closed"


def test_a_rejected_appeal_leaves_the_freeze(user, analyst):
    decision = decided(spend_freeze(), user)
    services.appeal(decision_id=decision.pk, user_id=user.pk, text="No!")
    services.answer_appeal(
        decision_id=decision.pk, text="It stays.", is_granted=False, actor_id=analyst.pk
    )
    assert User.objects.get(pk=user.pk).frozen_kinds == ["spend"]
    decision.refresh_from_db()
    assert (decision.verdict, decision.closed_at) == (Verdict.ABUSE, None)


def test_a_review_is_closed_by_its_verdict(user, analyst):
    decision = decided(make_rule(), user)
    assert selectors.waiting_count() == 1
    services.judge_decision(
        decision_id=decision.pk, verdict=Verdict.HONEST, reason="a school", actor_id=analyst.pk
    )
    assert selectors.waiting_count() == 0
    with pytest.raises(RiskDecisionNotFoundError):
        services.judge_decision(
            decision_id=uuid.uuid4(), verdict=Verdict.ABUSE, reason="?", actor_id=analyst.pk
        )


@pytest.mark.parametrize(
    "change", [{"evidence": {}}, {"action": "allow"}, {"expires_at": None}, {"rule_name": "x"}]
)
def test_decisions_are_never_rewritten(user, change):
    decision = decided(spend_freeze(), user)
    with pytest.raises(DatabaseError, match="never rewritten"), transaction.atomic():
        RiskDecision.objects.filter(pk=decision.pk).update(**change)
    with pytest.raises(DatabaseError, match="stay"), transaction.atomic():
        RiskDecision.objects.filter(pk=decision.pk).delete()
