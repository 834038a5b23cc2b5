"""The tokens that a key may set aside in one day of UTC."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import services
from accounts.errors import ApiKeyBudgetExceededError
from accounts.models import ApiKeySpending
from accounts.tests.test_key_protection import PASSWORD, issue


@pytest.fixture
def user(db):
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


class TestBudgets:
    def test_a_budget_is_exact_and_starts_anew_each_day(self, user):
        key_id = issue(user, daily_token_budget=10).id
        services.spend_key_budget(key_id=key_id, tokens=7)
        with pytest.raises(ApiKeyBudgetExceededError) as refused:
            services.spend_key_budget(key_id=key_id, tokens=4)
        assert refused.value.context == {
            "needed": 4,
            "daily_token_budget": 10,
            "spent_today": 7,
        }
        services.spend_key_budget(key_id=key_id, tokens=3)
        ApiKeySpending.objects.update(day=timezone.now().date() - dt.timedelta(days=1))
        services.spend_key_budget(key_id=key_id, tokens=10)

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
    def test_the_day_turns_at_midnight_utc_wherever_the_server_is(self, user, zone):
        key_id = issue(user, daily_token_budget=10).id
        with connection.cursor() as cursor:
            # Found before the built-in one, so that the statements under test meet this clock.
            cursor.execute("CREATE SCHEMA clock")
            cursor.execute("SET LOCAL search_path = clock, pg_catalog, public")
            cursor.execute("SELECT set_config('TimeZone', %s, true)", [zone])

        def at(moment: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql"
                    f" AS $$ SELECT timestamptz '{moment}' $$"
                )

        at("2026-06-01T23:59:59.999Z")
        services.spend_key_budget(key_id=key_id, tokens=7)
        with pytest.raises(ApiKeyBudgetExceededError) as refused:
            services.spend_key_budget(key_id=key_id, tokens=4)
        at("2026-06-02T00:00:00Z")
        services.spend_key_budget(key_id=key_id, tokens=10)
        services.give_back_key_budget(key_id=key_id, tokens=2)

        assert refused.value.context["spent_today"] == 7
        days = ApiKeySpending.objects.order_by("day").values_list("day", "tokens")
        assert list(days) == [(dt.date(2026, 6, 1), 7), (dt.date(2026, 6, 2), 8)]

    def test_a_first_job_above_the_budget_is_refused(self, user):
        key_id = issue(user, daily_token_budget=0).id
        with pytest.raises(ApiKeyBudgetExceededError):
            services.spend_key_budget(key_id=key_id, tokens=1)
        assert not ApiKeySpending.objects.exists()

    def test_without_a_budget_nothing_is_counted(self, user):
        services.spend_key_budget(key_id=issue(user).id, tokens=10**9)
        services.spend_key_budget(key_id=None, tokens=10**9)
        assert not ApiKeySpending.objects.exists()

    def test_what_was_not_set_aside_is_given_back(self, user):
        key_id = issue(user, daily_token_budget=10).id
        services.spend_key_budget(key_id=key_id, tokens=9)
        services.give_back_key_budget(key_id=key_id, tokens=4)
        assert ApiKeySpending.objects.get().tokens == 5

    def test_a_rotation_does_not_double_the_budget(self, user):
        first = issue(user, daily_token_budget=10)
        services.spend_key_budget(key_id=first.id, tokens=8)
        second = services.rotate_api_key(key_id=first.id, user_id=user.pk, grace_s=60)
        with pytest.raises(ApiKeyBudgetExceededError):
            services.spend_key_budget(key_id=second.id, tokens=3)


@pytest.mark.django_db(transaction=True)
def test_a_budget_is_exact_when_many_spend_at_once():
    user = services.register_user(username="mia", password=PASSWORD)
    key_id = issue(user, daily_token_budget=10).id

    def spend(_number):
        try:
            with transaction.atomic():
                services.spend_key_budget(key_id=key_id, tokens=3)
        except ApiKeyBudgetExceededError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(spend, range(24)))
    assert outcomes.count(True) == 3
    assert ApiKeySpending.objects.get().tokens == 9
