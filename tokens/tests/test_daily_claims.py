"""Tokens that free accounts claim: once a day, wherever they say they are."""

from __future__ import annotations

import datetime as dt
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.errors import TimeZoneUnknownError
from accounts.types import ROLE_SCOPES, Role
from tokens import services
from tokens.grant_errors import DailyClaimTakenError, DailyClaimUnavailableError
from tokens.models import CreditLot, RechargeBatch, ScheduledGrant, Wallet
from tokens.tests.factories import make_user
from tokens.tests.recharges import available
from tokens.tests.test_plan_calendar import ZONES
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
User = get_user_model()
# Lots end by the database's clock: what is claimed must not have ended by now.
START = timezone.now().replace(hour=10, minute=0) + dt.timedelta(days=2)


def api(user) -> APIClient:
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="claims", scopes=ROLE_SCOPES[Role.USER]
    ).key
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


@pytest.fixture
def user():
    yield make_user()
    cache.clear()


def test_a_free_account_claims_once_a_day_and_the_tokens_end_with_it(user):
    zone = ZoneInfo("Asia/Shanghai")
    first = services.claim_daily(user_id=user.pk, time_zone=zone.key, now=START)
    today = START.astimezone(zone).date()
    midnight = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), tzinfo=zone)
    assert (first.claimed, first.expires_at, first.available_at) == (5, midnight, midnight)
    lot = CreditLot.objects.get()
    assert (lot.category, lot.granted, lot.expires_at) == ("PLAN", 5, midnight)
    last_second = midnight - dt.timedelta(seconds=1)
    with pytest.raises(DailyClaimTakenError) as refusal:
        services.claim_daily(user_id=user.pk, now=last_second)
    assert refusal.value.context["available_at"] == midnight.astimezone(dt.UTC).isoformat()
    assert not services.daily_claim(user_id=user.pk, now=last_second).is_available
    assert services.daily_claim(user_id=user.pk, now=midnight).is_available
    assert services.claim_daily(user_id=user.pk, now=midnight).claimed == 5
    assert available(user) == 10
    assert ScheduledGrant.objects.filter(owner=user, rule="daily_claim").count() == 2


def test_moving_through_all_time_zones_gives_one_claim(user):
    for name in ("Etc/GMT+12", "UTC", "Asia/Shanghai", "Pacific/Kiritimati", "Etc/GMT+12"):
        try:
            services.claim_daily(user_id=user.pk, time_zone=name, now=START)
        except DailyClaimTakenError:
            user.refresh_from_db()
            assert user.time_zone == name
    assert available(user) == 5


def test_claims_at_once_give_one(user):
    claim = partial(services.claim_daily, user_id=user.pk, now=START)
    errors = in_threads(*[partial(claim, time_zone=zone) for zone in ("UTC", "Asia/Tokyo") * 3])
    assert {type(error) for error in errors} == {DailyClaimTakenError}
    assert (len(errors), available(user), RechargeBatch.objects.count()) == (5, 5, 1)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(-600, 40 * 60), ZONES), min_size=4, max_size=8),
)
def test_no_two_claimed_days_share_a_moment(db, steps):
    user = make_user()
    moment = START
    for minutes, zone in steps:
        moment = max(START - dt.timedelta(days=1), moment + dt.timedelta(minutes=minutes))
        standing = services.daily_claim(user_id=user.pk, now=moment)
        try:
            services.claim_daily(user_id=user.pk, time_zone=zone, now=moment)
        except DailyClaimTakenError:
            assert not (standing.is_available and standing.time_zone == zone)
    claims = ScheduledGrant.objects.filter(owner=user).order_by("period")
    for earlier, later in pairwise(claims):
        assert earlier.expires_at is not None
        assert later.expires_at is not None
        # Days of 23 hours are the shortest of those zones.
        assert later.expires_at - earlier.expires_at >= dt.timedelta(hours=23)
    assert available(user) == 5 * len(claims)


@pytest.mark.parametrize("plan", ["vip", "enterprise", "custom"])
def test_other_plans_have_nothing_to_claim(user, plan):
    User.objects.filter(pk=user.pk).update(plan=plan)
    assert services.daily_claim(user_id=user.pk).tokens == 0
    with pytest.raises(DailyClaimUnavailableError):
        services.claim_daily(user_id=user.pk)


def test_a_sandbox_has_nothing_to_claim(user):
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="test", scopes=ROLE_SCOPES[Role.USER], is_test=True
    ).key
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    answer = client.post("/api/v1/daily-claim")
    assert (answer.status_code, answer.json()["code"]) == (403, "daily_claim_unavailable")


def test_switched_off_and_unknown_zones_are_refused(user, settings):
    with pytest.raises(TimeZoneUnknownError):
        services.claim_daily(user_id=user.pk, time_zone="Mars/Olympus")
    settings.FREE_CLAIM_TOKENS = 0
    with pytest.raises(DailyClaimUnavailableError):
        services.claim_daily(user_id=user.pk)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "FROZEN"}, "wallet_frozen"),
        ({"status": "CLOSED"}, "wallet_closed"),
        ({"balance_max": 4}, "exceeds_max_balance"),
    ],
)
def test_a_wallet_that_takes_nothing_does_not_use_the_day_up(user, changes, code):
    wallet = Wallet.objects.create(owner=user, **changes)
    answer = api(user).post("/api/v1/daily-claim")
    assert answer.json()["code"] == code
    if code != "wallet_closed":
        Wallet.objects.filter(pk=wallet.pk).update(status="ACTIVE", balance_max=None)
        assert services.claim_daily(user_id=user.pk).claimed == 5


def test_the_endpoint(user, settings):
    client = api(user)
    before = client.get("/api/v1/daily-claim").json()
    assert (before["tokens"], before["is_available"], before["time_zone"]) == (5, True, "UTC")
    answer = client.post("/api/v1/daily-claim", {"time_zone": "Asia/Shanghai"}, format="json")
    assert answer.status_code == 201
    assert (answer.json()["claimed"], answer.json()["time_zone"]) == (5, "Asia/Shanghai")
    again = client.post("/api/v1/daily-claim")
    assert (again.status_code, again.json()["code"]) == (409, "daily_claim_taken")
    assert again.json()["available_at"]
    wrong = client.post("/api/v1/daily-claim", {"time_zone": "../etc/passwd"}, format="json")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "time_zone_unknown")
    settings.CLAIM_RATE = "1/h"
    cache.clear()
    codes = [client.post("/api/v1/daily-claim").status_code for _ in range(2)]
    assert codes == [409, 429]


def test_the_button_on_the_start_page(user, client):
    client.force_login(user)
    page = client.get("/").content.decode()
    assert "Claim 5 free tokens" in page
    page = client.post("/claim", {"time_zone": "Asia/Shanghai"}, follow=True).content.decode()
    assert "5 tokens are yours until midnight." in page
    assert "(Asia/Shanghai)" in page
    assert "Claim 5 free tokens" not in page
    again = client.post("/claim", {"time_zone": ""}, follow=True).content.decode()
    assert "were claimed before" in again
    User.objects.filter(pk=user.pk).update(plan="vip")
    assert "free tokens" not in client.get("/").content.decode()
