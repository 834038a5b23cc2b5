"""The console's pages of plans, campaigns and rewards: draft, preview, activate, run, end."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from promotions.models import Campaign, RewardRule
from tests.promotions.factories import hold_everything_up
from tokens.models import AuditEvent, PlanRule, RechargeBatch
from tokens.tests.factories import make_user
from tokens.tests.recharges import available

pytestmark = pytest.mark.django_db(transaction=True)
TODAY = timezone.now().date()


def signed_in(role: Role, *, is_proven: bool = False) -> Client:
    user = make_user(role=role)
    client = Client()
    client.force_login(user)
    if is_proven:
        enrol(user)
        answer = client.post(reverse("second-factor"), {"action": "prove", "code": code_of(user)})
        assert answer.status_code == 302
    return client


def moment(days: int) -> dict[str, str]:
    at = timezone.now() + dt.timedelta(days=days)
    return {"0": f"{at:%Y-%m-%d}", "1": f"{at:%H:%M:%S}"}


def campaign_form(**values) -> dict[str, str]:
    starts, ends = moment(-1), moment(1)
    return {
        "name": "spring",
        "title": "Spring",
        "valid_days": "7",
        "user_ref_prefix": "people-",
        "tokens": "10",
        "budget": "100",
        "starts_at_0": starts["0"],
        "starts_at_1": starts["1"],
        "ends_at_0": ends["0"],
        "ends_at_1": ends["1"],
        **values,
    }


def page_of(campaign: Campaign, step: str = "change") -> str:
    return reverse(f"admin:promotions_campaign_{step}", args=[campaign.pk])


def test_a_campaign_from_draft_to_end_by_two_people():
    person = make_user(user_ref="people-1")
    hold_everything_up()
    maker, approver = (
        signed_in(Role.MAKER, is_proven=True),
        signed_in(Role.APPROVER, is_proven=True),
    )
    new = reverse("admin:promotions_campaign_add")
    wrong = maker.post(new, campaign_form(code="short"))
    assert wrong.status_code == 200
    assert approver.get(new).status_code == 403
    answer = maker.post(new, campaign_form())
    assert answer.status_code == 302, answer.content.decode()
    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.code) == ("DRAFT", None)
    planned = maker.post(page_of(campaign, "preview"), {}).content.decode()
    assert "would get tokens: 1. Tokens for them: 10." in planned
    assert maker.post(page_of(campaign, "activate"), {}).status_code == 403
    assert approver.post(page_of(campaign, "activate"), {}).status_code == 302
    ran = maker.post(page_of(campaign, "run"), {"limit": ""}, follow=True)
    assert "the batch says what became of it" in ran.content.decode()
    assert RechargeBatch.objects.get().status == "PENDING_APPROVAL"
    again = maker.post(page_of(campaign, "run"), {"limit": ""}, follow=True)
    assert "Nobody was due" in again.content.decode()
    assert approver.post(page_of(campaign, "end"), {}).status_code == 302
    refused = maker.post(page_of(campaign, "run"), {"limit": ""}).content.decode()
    assert "The campaign is over." in refused
    assert available(person) == 0
    actions = AuditEvent.objects.filter(subject="campaign:spring").order_by("pk")
    assert [event.action for event in actions] == [
        "campaign.drafted",
        "campaign.activated",
        "campaign.ended",
    ]


def test_money_moves_only_after_a_second_factor():
    maker, approver = signed_in(Role.MAKER), signed_in(Role.APPROVER)
    maker.post(reverse("admin:promotions_campaign_add"), campaign_form())
    campaign = Campaign.objects.get()
    refused = approver.post(page_of(campaign, "activate"), {}).content.decode()
    assert "Prove your second factor first." in refused
    campaign.refresh_from_db()
    assert campaign.state == "DRAFT"


def test_a_reward_rule_is_drafted_and_previewed():
    maker = signed_in(Role.MAKER)
    values = {
        "name": "busy",
        "title": "Busy",
        "valid_days": "30",
        "metric": "JOBS",
        "window": "WEEK",
        "tiers": "1, 1, 1\r\n\r\n10\uff0c5\uff0c3\r\n",
        "cap": "5",
        "total_max": "100",
        "starts_on": f"{TODAY - dt.timedelta(days=60)}",
    }
    new = reverse("admin:promotions_rewardrule_add")
    for tiers, problem in [
        ("1, 1, 1\n1, 1, 1", "Each tier begins above"),
        ("1, 1, 1\nten, 1, 1", "Line 2 is not three whole numbers."),
    ]:
        assert problem in maker.post(new, {**values, "tiers": tiers}).content.decode()
    assert maker.post(new, values).status_code == 302
    rule = RewardRule.objects.get()
    assert rule.tiers == [
        {"from": 1, "per": 1, "tokens": 1},
        {"from": 10, "per": 5, "tokens": 3},
    ]
    shown = maker.get(reverse("admin:promotions_rewardrule_change", args=[rule.pk]))
    assert "from 10 units on: 3 tokens for every full 5" in shown.content.decode()
    preview = reverse("admin:promotions_rewardrule_preview", args=[rule.pk])
    assert "Nobody is due" in maker.post(preview, {}).content.decode()
    early = maker.post(preview, {"day": f"{TODAY}"}).content.decode()
    assert "The window is not over yet." in early


def test_plan_rules_are_added_by_who_sets_policies_and_never_changed():
    new = reverse("admin:tokens_planrule_add")
    values = {
        "plan": "enterprise",
        "cadence": "CYCLE",
        "tokens": "500",
        "effective_from": f"{TODAY}",
        "total_max": "100000",
        "valid_days": "30",
        "cycle_months": "1",
        "rollover": "CAPPED",
        "rollover_max": "50",
        "reason": "contract",
    }
    assert signed_in(Role.MAKER, is_proven=True).post(new, values).status_code == 403
    assert signed_in(Role.ADMIN).post(new, values).status_code == 403
    admin = signed_in(Role.ADMIN, is_proven=True)
    past = admin.post(new, {**values, "effective_from": "2020-01-01"}, follow=True)
    assert "A rule begins today or later." in past.content.decode()
    assert admin.post(new, values).status_code == 302
    rule = PlanRule.objects.get()
    page = admin.get(reverse("admin:tokens_planrule_change", args=[rule.pk]))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert admin.get(reverse("admin:tokens_planrule_changelist")).status_code == 200
