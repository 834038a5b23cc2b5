"""Tokens for each period of a subscription: once, whatever clocks, hosts and plans do."""

from __future__ import annotations

import datetime as dt
import json
import signal
import time
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.types import Plan, Role
from facefusion_site.celery import app
from tokens import services
from tokens.errors import GrantAmountError, GrantDayError
from tokens.grant_errors import PlanRuleInvalidError
from tokens.ledger import plan_cycles
from tokens.models import AuditEvent, CreditLot, PlanRule, RechargeBatch, ScheduledGrant
from tokens.plan_selectors import allowance
from tokens.plans import Allowance, Cadence, add_months, cycle_of
from tokens.tests.commands import run
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
User = get_user_model()
grant = partial(services.grant_plan_cycle, plan=Plan.ENTERPRISE)


def today() -> dt.date:
    return timezone.now().date()


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)


def subscribe(*, since: dt.date | None = None, plan: str = "enterprise"):
    user = make_user()
    user.plan = plan
    user.plan_since = since or today()
    user.save()
    return user


def make_rule(**values) -> PlanRule:
    """A rule that was in force all the time: past days can be written by tests only."""
    return PlanRule.objects.create(
        **{
            "plan": "enterprise",
            "cadence": "CYCLE",
            "tokens": 100,
            "effective_from": dt.date(2000, 1, 1),
            "total_max": 1_000_000,
            "reason": "contract",
            "created_by": make_user(),
            **values,
        }
    )


@pytest.fixture
def rule():
    return make_rule(rollover="FULL")


# --- Once per account and period ------------------------------------------------------------------
def test_a_subscription_gets_its_tokens_once_a_period(rule):
    users = [subscribe() for _ in range(3)]
    others = [subscribe(plan=plan) for plan in ("free", "vip", "custom")]
    first = grant()
    assert first.receipt is not None
    assert (first.receipt.lines_count, first.receipt.tokens_total) == (3, 300)
    assert grant().receipt is None
    next_period = add_months(today(), 1)
    assert grant(now=noon(next_period - dt.timedelta(days=1))).receipt is None
    assert grant(now=noon(next_period)).receipt is not None
    assert [available(user) for user in (*users, *others)] == [200] * 3 + [0] * 3


def test_tokens_end_with_their_period(rule):
    make_rule(rollover="NONE", cycle_months=3)
    begun = today() - dt.timedelta(days=40)
    subscribe(since=begun)
    grant()
    lot = CreditLot.objects.get()
    assert lot.category == "PLAN"
    assert lot.expires_at == dt.datetime.combine(add_months(begun, 3), dt.time(), tzinfo=dt.UTC)


def test_moving_the_first_day_or_leaving_and_coming_back_gives_nothing_twice(rule):
    user = subscribe(since=today() - dt.timedelta(days=10))
    grant()
    for since in (today(), today() - dt.timedelta(days=20)):
        user.plan_since = since
        user.save()
        grant()
    User.objects.filter(pk=user.pk).update(plan="free")
    User.objects.filter(pk=user.pk).update(plan="enterprise")
    user.refresh_from_db()
    assert user.plan_since == today()
    grant()
    assert available(user) == 100


def test_a_writer_that_knows_nothing_of_the_first_day_leaves_it(rule):
    user = subscribe(since=dt.date(2024, 1, 31))
    user.plan_since = None
    user.save()
    user.refresh_from_db()
    assert user.plan_since == dt.date(2024, 1, 31)


def test_hosts_and_limits_at_once_grant_each_subscription_once(rule):
    users = [subscribe() for _ in range(12)]
    assert in_threads(*[grant] * 3, *[partial(grant, limit=2)] * 3) == []
    assert [available(user) for user in users] == [100] * 12
    assert ScheduledGrant.objects.count() == 12


def test_processes_at_once_grant_once_and_a_killed_one_is_made_up_for(rule):
    users = [subscribe() for _ in range(30)]
    small = {"RECHARGE_SYNC_LINES_MAX": "1", "RECHARGE_CHUNK_LINES": "2"}
    running = [start_command("grant_plan_cycle", "--json", **small) for _ in range(2)]
    give_up_at = time.monotonic() + 60
    while not RechargeBatch.objects.exists() and time.monotonic() < give_up_at:
        time.sleep(0.02)
    running[0].send_signal(signal.SIGKILL)
    for process in running:
        process.communicate(timeout=120)
    RechargeBatch.objects.filter(status="APPLYING").update(lease_expires_at=timezone.now())
    last = start_command("grant_plan_cycle", "--json", **small)
    output, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert json.loads(output)["remaining"] == 0
    assert [available(user) for user in users] == [100] * 30
    assert RechargeBatch.objects.get().status == "APPLIED"


# --- Calendar: the database says what the functions say -------------------------------------------
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    anchors=st.lists(st.dates(dt.date(2020, 1, 1), dt.date(2024, 12, 31)), min_size=1, max_size=30),
    day=st.dates(dt.date(2025, 1, 1), dt.date(2032, 12, 31)),
    months=st.sampled_from([1, 3, 12]),
)
def test_statement_and_function_agree_on_periods(db, anchors, day, months):
    users = [
        User(username=f"{day}-{number}", password="!", plan="enterprise", plan_since=anchor)
        for number, anchor in enumerate(anchors)
    ]
    User.objects.filter(plan="enterprise").delete()
    User.objects.bulk_create(users)
    due = plan_cycles.due(
        rule="plan_cycle:enterprise",
        plan="enterprise",
        allowance=Allowance(tokens=5, total_max=1, cycle_months=months),
        day=day,
        now=noon(day),
        zone="Asia/Shanghai",
    )
    with connection.cursor() as cursor:
        cursor.execute(due.sql, due.parameters)
        found = {row[0]: row[2:] for row in cursor.fetchall()}
    for user, anchor in zip(users, anchors, strict=True):
        begins, ends = cycle_of(anchor=anchor, day=day, months=months)
        midnight = dt.datetime.combine(ends, dt.time(), tzinfo=dt.UTC) - dt.timedelta(hours=8)
        assert found[user.pk] == (begins, 5, midnight)
    User.objects.filter(plan="enterprise").delete()


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    back=st.integers(0, 800),
    jumps=st.lists(st.integers(-40, 70), min_size=4, max_size=8),
)
def test_no_two_periods_overlap_however_the_clock_jumps(rule, back, jumps):
    """One account, hosts whose clocks jump days ahead and back, and a run at each stop."""
    anchor = today() - dt.timedelta(days=back)
    user = subscribe(since=anchor)
    day = today()
    visited = set()
    for jump in (0, *jumps):
        day = max(anchor, day + dt.timedelta(days=jump))
        visited.add(cycle_of(anchor=anchor, day=day, months=1)[0])
        grant(now=noon(day))
    periods = ScheduledGrant.objects.filter(owner=user).values_list("period", flat=True)
    assert sorted(periods) == sorted(visited)
    assert available(user) == 100 * len(visited)


# --- What is left of a period ---------------------------------------------------------------------
@pytest.mark.parametrize(("left", "rolled"), [(40, 20), (15, 15), (0, 0)])
@pytest.mark.parametrize("is_swept", [True, False])
def test_what_is_left_is_given_again_up_to_the_limit(left, rolled, is_swept):
    make_rule(rollover="CAPPED", rollover_max=20)
    user = subscribe()
    grant()
    if left < 100:
        spend(user, 100 - left)
    ended = timezone.now() - dt.timedelta(seconds=1)
    CreditLot.objects.update(effective_at=ended - dt.timedelta(days=1), expires_at=ended)
    # Not the claim's own end: it is history. The sweep goes by the lot.
    if is_swept:
        services.expire_lots(now=timezone.now())
    granted = grant(now=noon(add_months(today(), 1)))
    assert granted.receipt is not None
    assert granted.receipt.tokens_total == 100 + rolled


def test_a_retried_grant_rolls_over_too():
    make_rule(rollover="CAPPED", rollover_max=20)
    user = subscribe()
    operator = make_user(role=Role.OPERATOR)
    services.freeze_wallet(user_ref=user.user_ref, actor_id=operator.pk, reason="test")
    failed = grant().receipt
    assert failed is not None
    services.unfreeze_wallet(user_ref=user.user_ref, actor_id=operator.pk, reason="test")
    services.retry_failures(batch_id=failed.batch_id, actor_id=operator.pk, idempotency_key="again")
    ended = timezone.now() - dt.timedelta(seconds=1)
    CreditLot.objects.update(effective_at=ended - dt.timedelta(days=1), expires_at=ended)
    granted = grant(now=noon(add_months(today(), 1))).receipt
    assert granted is not None
    assert granted.tokens_total == 120


def spend(user, tokens: int) -> None:
    hold_id = services.place_hold(
        owner_id=user.pk,
        amount=tokens,
        reference=f"test:{user.pk}",
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    services.settle_hold(hold_id=hold_id, amount=tokens)


# --- Rules ----------------------------------------------------------------------------------------
def test_the_rule_in_force_is_the_latest_that_has_begun():
    admin = make_user()
    values = {
        "plan": "vip",
        "cadence": "DAILY",
        "total_max": 1_000,
        "valid_days": 3,
        "reason": "more for the same",
    }

    def in_force(day):
        return allowance(plan=Plan.VIP, cadence=Cadence.DAILY, day=day).tokens

    tomorrow = today() + dt.timedelta(days=1)
    assert in_force(tomorrow) == 10
    for tokens in (12, 14):
        services.add_plan_rule(
            values={**values, "tokens": tokens, "effective_from": tomorrow}, actor_id=admin.pk
        )
    assert (in_force(today()), in_force(tomorrow)) == (10, 14)
    event = AuditEvent.objects.filter(action="plan_rule.added").latest("pk")
    assert event.after is not None
    assert (event.actor_id, event.after["tokens"]) == (admin.pk, 14)
    vip = subscribe(plan="vip")
    granted = services.grant_vip(now=noon(tomorrow))
    assert granted.amount == 14
    assert granted.expires_at == dt.datetime.combine(
        tomorrow + dt.timedelta(days=4), dt.time(), tzinfo=dt.UTC
    )
    assert available(vip) == 14


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"effective_from": dt.date(2020, 1, 1)}, "#/effective_from"),
        ({"rollover": "CAPPED"}, "#"),
        ({"rollover": "FULL", "cadence": "DAILY"}, "#"),
        ({"total_max": 0}, "#"),
        ({"cycle_months": 2}, "#/cycle_months"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong, field):
    values = {
        "plan": "enterprise",
        "cadence": "CYCLE",
        "tokens": 5,
        "effective_from": today(),
        "total_max": 100,
        "reason": "test",
        **wrong,
    }
    with pytest.raises(PlanRuleInvalidError) as refusal:
        services.add_plan_rule(values=values, actor_id=make_user().pk)
    assert field in {fault["pointer"] for fault in refusal.value.errors}


@pytest.mark.parametrize("statement", ["UPDATE {} SET tokens = 1", "DELETE FROM {}"])
def test_rules_are_kept_as_they_were_written(rule, statement):
    with pytest.raises(DatabaseError, match="immutable"), connection.cursor() as cursor:
        cursor.execute(statement.format("tokens_planrule"))


def test_plans_without_a_rule_and_days_out_of_reach_are_refused(rule):
    with pytest.raises(GrantAmountError):
        services.grant_plan_cycle(plan=Plan.CUSTOM)
    for days in (1, -8):
        with pytest.raises(GrantDayError):
            grant(day=today() + dt.timedelta(days=days))


# --- Command and schedule -------------------------------------------------------------------------
def test_the_command_previews_runs_and_says_what_was_refused(rule, capsys):
    users = [subscribe() for _ in range(3)]
    make_rule(plan="custom", total_max=50)
    subscribe(plan="custom")
    before = digest_of_all_tables()
    planned = run(capsys, "grant_plan_cycle", dry_run=True, limit=2, returncode=1)
    assert digest_of_all_tables() == before
    assert (planned["accounts"], planned["tokens"], planned["remaining"]) == (2, 200, 1)
    done = run(capsys, "grant_plan_cycle", returncode=1)
    enterprise, custom = done["rules"]
    assert (enterprise["rule"], enterprise["claimed"]) == ("plan_cycle:enterprise", 3)
    assert enterprise["batches"] == [
        {"batch": str(RechargeBatch.objects.get().pk), "status": "applied"}
    ]
    assert custom["error"]["code"] == "grant_total_exceeded"
    again = run(capsys, "grant_plan_cycle", plan="enterprise")
    assert (again["claimed"], again["batches"]) == (0, [])
    assert done.keys() == planned.keys() == again.keys()
    assert [available(user) for user in users] == [100] * 3


def test_the_schedule_runs_every_plan_and_goes_on_after_a_refusal(rule):
    make_rule(plan="vip", cadence="CYCLE", total_max=1)
    users = [subscribe(), subscribe(plan="vip")]
    app.loader.import_default_modules()
    app.tasks["tokens.grant_plan_cycles"]()
    assert [available(user) for user in users] == [100, 0]


@pytest.mark.parametrize(("policy", "tokens"), [("catch_up", 50), ("report", 20)])
def test_days_that_the_schedule_missed_are_caught_up_or_reported(settings, policy, tokens):
    settings.GRANT_MISSED_RUNS = policy
    user = subscribe(plan="vip")
    User.objects.update(date_joined=timezone.now() - dt.timedelta(days=30))
    services.grant_vip(day=today() - dt.timedelta(days=4))
    missed = [today() - dt.timedelta(days=days) for days in (3, 2, 1)]
    assert services.missed_grant_days() == missed
    app.loader.import_default_modules()
    for _ in range(2):
        app.tasks["tokens.grant_vip"]()
    assert available(user) == tokens
    assert services.missed_grant_days() == ([] if policy == "catch_up" else missed)
