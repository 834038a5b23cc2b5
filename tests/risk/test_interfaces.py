"""The appeal over HTTP, and the console's pages: list, evidence, lift, answer, rules."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.freeze_types import FreezeKind
from accounts.models import User
from accounts.types import Role
from inference.tests import factories
from risk import services
from risk.models import RiskDecision, RiskRule
from risk.starting_rules import STARTING_RULES
from risk.types import Action, RuleState, Signal
from tests.risk.conftest import crossing, make_rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    return factories.make_user(tokens=3)


@pytest.fixture
def decision(user) -> RiskDecision:
    rule = make_rule(
        title="Too much", action=Action.FREEZE, freeze_kind=FreezeKind.API, notice="Slow down."
    )
    made = services.decide(rule_id=rule.pk, crossing=crossing(user))
    assert made is not None
    return made


@pytest.fixture
def console(analyst) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


def test_who_is_frozen_out_of_the_api_appeals_on_the_site(user, decision):
    by_token = APIClient()
    token = RefreshToken.for_user(user).access_token
    by_token.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert by_token.get("/api/v1/risk/decisions").data["code"] == "api_frozen"
    client = APIClient()
    client.force_login(user)
    (told,) = client.get("/api/v1/risk/decisions").data["items"]
    assert (told["notice"], told["freeze_kind"], told["appeal"]) == ("Slow down.", "api", "none")
    assert "evidence" not in told
    page = f"/api/v1/risk/decisions/{told['id']}/appeal"
    answer = client.post(page, {"text": "A loop in our program; repaired."}, format="json")
    assert (answer.status_code, answer.data["appeal"]) == (200, "open")
    assert client.post(page, {"text": "And?"}, format="json").data["code"] == "risk_appeal_state"
    assert client.post(page, {}, format="json").data["code"] == "invalid_request"


def test_what_rules_of_the_product_say_is_told_in_both_languages(user):
    told = next(rule for rule in STARTING_RULES if rule["name"] == "probing")
    rule = make_rule(
        title=told["title"],
        notice=told["notice"],
        action=Action.FREEZE,
        freeze_kind=FreezeKind.SPEND,
    )
    services.decide(rule_id=rule.pk, crossing=crossing(user))
    client = APIClient()
    client.force_login(user)
    (seen,) = client.get("/api/v1/risk/decisions", headers={"accept-language": "zh-CN"}).data[
        "items"
    ]
    assert seen["notice"].startswith("您的程序")
    studio = client.get("/studio/", headers={"accept-language": "zh-CN"}).content.decode()
    assert "您的程序请求了许多不属于您或不存在的内容。" in studio
    (seen,) = client.get("/api/v1/risk/decisions", headers={"accept-language": "en"}).data["items"]
    assert seen["notice"] == told["notice"]


def test_the_console_explains_answers_and_lifts(user, decision, console):
    services.appeal(decision_id=decision.pk, user_id=user.pk, text="It was a birthday.")
    listed = console.get(reverse("admin:risk_riskdecision_changelist")).content.decode()
    assert user.user_ref in listed
    page = console.get(reverse("admin:risk_riskdecision_change", args=[decision.pk]))
    text = page.content.decode()
    assert "Too much. Measured:" in text
    assert "It was a birthday." in text
    answer = reverse("admin:risk_riskdecision_answer_appeal", args=[decision.pk])
    assert console.get(answer).status_code == 200
    console.post(answer, {"is_granted": "yes", "text": "You are right."})
    decision.refresh_from_db()
    assert (decision.appeal, decision.verdict) == ("granted", "honest")
    assert User.objects.get(pk=user.pk).frozen_kinds == []
    lift = reverse("admin:risk_riskdecision_lift", args=[decision.pk])
    again = console.post(lift, {"verdict": "honest", "reason": "x"})
    assert "has ended" in again.content.decode()
    record = console.get(reverse("admin:risk_riskrule_record")).content.decode()
    assert "100 %" in record


def test_a_rule_is_drafted_tested_and_activated_in_the_console(console):
    values = {
        "name": "from-console",
        "title": "From the console",
        "signal": Signal.BLOCKED,
        "window_s": 3600,
        "threshold": 4,
        "exempt_plans": ["enterprise"],
        "floor": 1,
        "action": Action.REVIEW,
        "freeze_kind": "",
        "action_s": 3600,
        "notice": "",
    }
    add = reverse("admin:risk_riskrule_add")
    assert console.post(add, values | {"window_s": 5}).status_code == 200
    assert console.post(add, values).status_code == 302
    rule = RiskRule.objects.get(name="from-console")
    assert rule.exempt_plans == ["enterprise"]
    steps = {
        name: reverse(f"admin:risk_riskrule_{name}", args=[rule.pk])
        for name in ("backtest", "activate", "retire")
    }
    assert "never tested" in console.post(steps["activate"]).content.decode()
    assert "would have made: 0" in console.post(steps["backtest"], {"days": "3"}).content.decode()
    other = Client()
    other.force_login(factories.make_user(role=Role.OWNER))
    assert "You drafted this rule" in console.post(steps["activate"]).content.decode()
    other.post(steps["activate"])
    assert RiskRule.objects.get(pk=rule.pk).state == RuleState.ACTIVE
    console.post(steps["retire"])
    assert RiskRule.objects.get(pk=rule.pk).state == RuleState.RETIRED
