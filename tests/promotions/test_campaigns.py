"""Campaigns: once per person, within time and budget, by two people."""

from __future__ import annotations

import datetime as dt
import json
from functools import partial

import pytest
from django.core.cache import cache
from django.db import IntegrityError
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.errors import RoleRequiredError
from accounts.models import User
from accounts.types import ROLE_SCOPES, Role
from facefusion_site.celery import app
from promotions import services
from promotions.errors import (
    CampaignBudgetError,
    CampaignCodeUnknownError,
    CampaignNotForYouError,
    CampaignOverError,
    CampaignRedeemedError,
    PromotionInvalidError,
    PromotionNotFoundError,
    PromotionStateError,
)
from promotions.models import Campaign
from tests.promotions.factories import hold_everything_up, make_campaign
from tokens.errors import MakerMayNotCheckError
from tokens.models import AuditEvent, CreditLot, RechargeBatch, ScheduledGrant, Wallet
from tokens.tests.commands import run
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def users():
    yield [make_user(user_ref=f"people-{number}") for number in range(4)]
    cache.clear()


# --- Codes ----------------------------------------------------------------------------------------
def test_a_code_gives_its_tokens_once_per_person(users):
    campaign = make_campaign(code="spring-27", tokens=25, valid_days=7)
    done = services.redeem(code=" Spring-27 ", user_id=users[0].pk)
    assert (done.tokens, done.campaign) == (25, campaign.name)
    with pytest.raises(CampaignRedeemedError):
        services.redeem(code="SPRING-27", user_id=users[0].pk)
    services.redeem(code="SPRING-27", user_id=users[1].pk)
    assert [available(user) for user in users] == [25, 25, 0, 0]
    campaign.refresh_from_db()
    assert campaign.granted == 50
    lot = CreditLot.objects.first()
    assert lot is not None
    assert (lot.category, lot.expires_at) == ("PROMO", done.expires_at)


def test_the_budget_is_never_overspent_by_people_at_once(users):
    campaign = make_campaign(code="RACE-27", tokens=10, budget=25)
    crowd = [*users, *(make_user() for _ in range(6))]
    errors = in_threads(
        *(partial(services.redeem, code="RACE-27", user_id=user.pk) for user in crowd),
        partial(services.redeem, code="RACE-27", user_id=users[0].pk),
    )
    assert {type(error) for error in errors} <= {CampaignBudgetError, CampaignRedeemedError}
    assert sum(available(user) for user in crowd) == 20
    campaign.refresh_from_db()
    assert campaign.granted == 20
    with pytest.raises(IntegrityError, match="campaign_never_over_budget"):
        Campaign.objects.update(granted=26)


def test_codes_are_told_apart_only_as_far_as_people_need(users):
    user_id = users[0].pk
    make_campaign(code="DRAFT-27", is_active=False)
    make_campaign(code="LATER-27", starts_at=timezone.now() + dt.timedelta(hours=1))
    for code in ("DRAFT-27", "LATER-27", "NOTHING", "", "x" * 64):
        with pytest.raises(CampaignCodeUnknownError):
            services.redeem(code=code, user_id=user_id)
    ended = make_campaign(code="ENDED-27")
    services.end(promotion=ended, actor_id=make_user(role=Role.OPERATOR).pk)
    make_campaign(
        code="OVER-27",
        starts_at=timezone.now() - dt.timedelta(days=2),
        ends_at=timezone.now() - dt.timedelta(seconds=1),
    )
    for code in ("ENDED-27", "OVER-27"):
        with pytest.raises(CampaignOverError):
            services.redeem(code=code, user_id=user_id)
    make_campaign(code="VIPONLY", plan="vip")
    with pytest.raises(CampaignNotForYouError):
        services.redeem(code="VIPONLY", user_id=user_id)
    assert not ScheduledGrant.objects.exists()


def test_a_frozen_wallet_does_not_use_the_code_up(users):
    make_campaign(code="FROST-27")
    Wallet.objects.create(owner=users[0], status="FROZEN")
    answer = post(users[0], "FROST-27")
    assert (answer.status_code, answer.json()["code"]) == (403, "wallet_frozen")
    Wallet.objects.update(status="ACTIVE")
    assert post(users[0], "frost-27").status_code == 201


def test_the_endpoint_counts_tries(users, settings):
    make_campaign(code="SPRING-27")
    answer = post(users[0], "SPRING-27")
    assert (answer.status_code, answer.json()["tokens"]) == (201, 10)
    again = post(users[0], "SPRING-27")
    assert (again.status_code, again.json()["code"]) == (409, "campaign_redeemed")
    assert post(users[0], "NOTHING").json()["code"] == "campaign_code_unknown"
    cache.clear()
    settings.REDEEM_RATE = "2/h"
    codes = [post(users[1], f"GUESS-{number}").status_code for number in range(3)]
    assert codes == [404, 404, 429]


def post(user, code: str):
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="codes", scopes=ROLE_SCOPES[Role.USER]
    ).key
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client.post("/api/v1/redemptions", {"code": code}, format="json")


# --- Segments -------------------------------------------------------------------------------------
def test_a_segment_is_granted_once_and_newcomers_by_the_next_run(users):
    campaign = make_campaign(user_ref_prefix="people-")
    outsider = make_user(user_ref="other-1")
    first = services.run_campaign(campaign=campaign)
    assert first.receipt is not None
    assert (first.receipt.lines_count, first.receipt.status) == (4, "applied")
    assert services.run_campaign(campaign=campaign).receipt is None
    late = make_user(user_ref="people-late")
    services.run_campaign(campaign=campaign)
    assert [available(user) for user in (*users, late, outsider)] == [10] * 5 + [0]


def test_the_oldest_come_first_where_the_budget_ends(users):
    campaign = make_campaign(user_ref_prefix="people-", budget=29)
    granted = services.run_campaign(campaign=campaign)
    assert granted.remaining_count == 2
    assert [available(user) for user in users] == [10, 10, 0, 0]
    campaign.refresh_from_db()
    with pytest.raises(CampaignBudgetError):
        services.run_campaign(campaign=campaign)


def test_runs_and_processes_at_once_stay_within_the_budget(users):
    campaign = make_campaign(user_ref_prefix="people-", budget=35)
    running = [start_command("run_campaign", "--json") for _ in range(2)]
    errors = in_threads(
        *[lambda: services.run_campaign(campaign=Campaign.objects.get(pk=campaign.pk))] * 3
    )
    assert {type(error) for error in errors} <= {CampaignBudgetError}
    for process in running:
        output, stderr = process.communicate(timeout=120)
        assert json.loads(output)["dry_run"] is False, stderr
    assert [available(user) for user in users] == [10, 10, 10, 0]
    campaign.refresh_from_db()
    assert campaign.granted == 30


def test_policies_hold_the_batch_of_a_segment_up(users):
    hold_everything_up()
    maker = make_user(role=Role.MAKER)
    campaign = make_campaign(maker=maker, user_ref_prefix="people-")
    granted = services.run_campaign(campaign=campaign)
    assert granted.receipt is not None
    assert granted.receipt.status == "pending_approval"
    assert RechargeBatch.objects.get().actor == maker
    # Claimed is claimed: another run makes no second batch while the first one waits.
    assert services.run_campaign(campaign=campaign).receipt is None
    assert available(users[0]) == 0


# --- Two people -----------------------------------------------------------------------------------
def test_who_drafted_a_campaign_does_not_activate_it_while_policies_are_in_force(users):
    operator = make_user(role=Role.OPERATOR)
    first = make_campaign(maker=operator, is_active=False)
    services.activate(promotion=first, actor_id=operator.pk)
    hold_everything_up()
    second = make_campaign(maker=operator, is_active=False)
    with pytest.raises(MakerMayNotCheckError):
        services.activate(promotion=second, actor_id=operator.pk)
    with pytest.raises(RoleRequiredError):
        services.activate(promotion=second, actor_id=make_user(role=Role.MAKER).pk)
    with pytest.raises(PromotionStateError):
        services.run_campaign(campaign=second)
    services.activate(promotion=second, actor_id=make_user(role=Role.APPROVER).pk)
    with pytest.raises(PromotionStateError):
        services.activate(promotion=second, actor_id=make_user(role=Role.APPROVER).pk)
    events = AuditEvent.objects.filter(subject=f"campaign:{second.name}").order_by("pk")
    assert [event.action for event in events] == ["campaign.drafted", "campaign.activated"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "Not Short!"}, "#/name"),
        ({"code": "short"}, "#/code"),
        ({"tokens": 0}, "#/tokens"),
        ({"ends_at": timezone.now() - dt.timedelta(days=9)}, "#"),
    ],
)
def test_drafts_that_make_no_sense_are_refused(wrong, field):
    with pytest.raises(PromotionInvalidError) as refusal:
        make_campaign(**wrong)
    assert field in {fault["pointer"] for fault in refusal.value.errors}


def test_who_may_not_recharge_drafts_nothing(users):
    with pytest.raises(RoleRequiredError):
        make_campaign(maker=users[0])


# --- Command and schedule -------------------------------------------------------------------------
def test_the_command_previews_and_runs(users, capsys):
    campaign = make_campaign(user_ref_prefix="people-", budget=35)
    User.objects.filter(pk=users[0].pk).update(is_active=False)
    before = digest_of_all_tables()
    planned = run(capsys, "run_campaign", dry_run=True)
    assert digest_of_all_tables() == before
    assert (planned["accounts"], planned["tokens"]) == (3, 30)
    done = run(capsys, "run_campaign", campaign=campaign.name, limit=2)
    assert (done["claimed"], done["remaining"], done["outcomes"]) == (2, 1, {"applied": 2})
    refused = run(capsys, "run_campaign", campaign="nobody", returncode=1)
    assert refused["error"]["code"] == PromotionNotFoundError.code
    services.end(promotion=campaign, actor_id=make_user(role=Role.OPERATOR).pk)
    over = run(capsys, "run_campaign", campaign=campaign.name, returncode=1)
    assert over["rules"][0]["error"]["code"] == "campaign_over"
    assert run(capsys, "run_campaign")["rules"] == []


def test_the_schedule_runs_segments_and_leaves_codes_alone(users):
    make_campaign(user_ref_prefix="people-")
    make_campaign(code="PEOPLE-COME")
    make_campaign(is_active=False)
    app.loader.import_default_modules()
    for _ in range(2):
        app.tasks["promotions.run_campaigns"]()
    assert [available(user) for user in users] == [10] * 4
