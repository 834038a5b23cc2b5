"""The daily tokens of the VIP plan: once per account and day, whatever happens."""

from __future__ import annotations

import datetime as dt
import json
import time
from functools import partial

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts import services as accounts_services
from accounts.errors import UserExistsError
from accounts.types import Role
from facefusion_site.celery import app
from tokens import scheduled_tasks, services
from tokens.checks import check_grants
from tokens.errors import GrantAmountError, GrantDayError, GrantTotalError
from tokens.models import (
    ApprovalPolicy,
    AuditEvent,
    CreditLot,
    RechargeBatch,
    ScheduledGrant,
    Wallet,
)
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available, codes, read, work
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def make_vip(*, plan="vip", joined_at=LONG_AGO):
    user = make_user()
    user.plan = plan
    user.date_joined = joined_at
    user.save()
    return user


@pytest.fixture
def vips():
    return [make_vip() for _ in range(3)]


@pytest.fixture
def never_expires(settings):
    """Days of long ago can be granted: their tokens must not have expired by now."""
    settings.VIP_GRANT_VALID_DAYS = 0


def test_active_vip_accounts_get_their_tokens_and_nobody_else(vips):
    others = [make_vip(plan=plan) for plan in ("free", "enterprise", "custom")]
    vips[2].is_active = False
    vips[2].save()
    granted = services.grant_vip()
    assert granted.receipt is not None
    assert (granted.receipt.status, granted.receipt.source) == ("applied", "schedule")
    assert (granted.receipt.lines_count, granted.receipt.tokens_total) == (2, 20)
    assert [available(user) for user in (*vips, *others)] == [10, 10, 0, 0, 0, 0]
    assert (granted.remaining_count, granted.unfinished) == (0, ())
    lot = CreditLot.objects.first()
    assert lot is not None
    assert lot.category == "PLAN"
    today = timezone.now().astimezone(dt.UTC).date()
    assert lot.expires_at == dt.datetime.combine(
        today + dt.timedelta(days=31), dt.time(), tzinfo=dt.UTC
    )


def test_a_second_run_of_the_day_grants_nothing(vips):
    services.grant_vip()
    again = services.grant_vip()
    assert again.receipt is None
    assert [available(user) for user in vips] == [10, 10, 10]
    assert RechargeBatch.objects.count() == 1


def test_who_joins_the_plan_later_in_the_day_is_granted_by_the_next_run(vips):
    services.grant_vip()
    late = make_vip(joined_at=timezone.now())
    again = services.grant_vip(amount=7)
    assert again.receipt is not None
    assert again.receipt.lines_count == 1
    assert [available(user) for user in (*vips, late)] == [10, 10, 10, 7]


def test_leaving_and_joining_the_plan_again_earns_nothing_twice(vips):
    services.grant_vip()
    for plan in ("free", "vip"):
        vips[0].plan = plan
        vips[0].save()
        services.grant_vip()
    assert available(vips[0]) == 10


def test_hosts_that_run_at_once_grant_each_account_once(vips):
    many = [*vips, *(make_vip() for _ in range(30))]
    assert in_threads(*[services.grant_vip] * 8) == []
    assert [available(user) for user in many] == [10] * 33
    assert ScheduledGrant.objects.count() == 33
    assert RechargeBatch.objects.count() == 1


def test_runs_at_once_with_limits_share_the_accounts(vips):
    many = [*vips, *(make_vip() for _ in range(13))]
    assert in_threads(*[partial(services.grant_vip, limit=2)] * 8) == []
    assert [available(user) for user in many] == [10] * 16
    assert RechargeBatch.objects.count() == 8


def test_processes_that_run_at_once_grant_each_account_once(vips):
    many = [*vips, *(make_vip() for _ in range(40))]
    # Three batches' worth of lines each would be staged and applied by whoever gets the lease.
    small = {"RECHARGE_SYNC_LINES_MAX": "5", "RECHARGE_CHUNK_LINES": "4"}
    running = [start_command("grant_vip", "--json", **small) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ended
    reports = [json.loads(output) for output, _errors in ended]
    assert sum(report["claimed"] for report in reports) == 43
    assert [available(user) for user in many] == [10] * 43
    assert RechargeBatch.objects.get().status == "APPLIED"


def test_a_run_across_midnight_stays_on_its_day(vips, never_expires):
    before, after = utc("2026-03-05T23:59:59.999"), utc("2026-03-06T00:00:00")
    first = services.grant_vip(now=before)
    assert first.day == dt.date(2026, 3, 5)
    assert services.grant_vip(now=before).receipt is None
    assert services.grant_vip(now=after).receipt is not None
    assert services.grant_vip(now=after, day=first.day).receipt is None
    assert [available(user) for user in vips] == [20, 20, 20]


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Asia/Shanghai", "2026-03-05T15:59:59", "2026-03-05"),
        ("Asia/Shanghai", "2026-03-05T16:00:00", "2026-03-06"),
        # Clocks in Santiago skip the first hour of this day.
        ("America/Santiago", "2024-09-08T03:59:59", "2024-09-07"),
        ("America/Santiago", "2024-09-08T04:00:00", "2024-09-08"),
        # A day of 25 hours in Berlin.
        ("Europe/Berlin", "2024-10-26T22:00:00", "2024-10-27"),
        ("Europe/Berlin", "2024-10-27T22:59:59", "2024-10-27"),
        ("Europe/Berlin", "2024-10-27T23:00:00", "2024-10-28"),
    ],
)
def test_days_begin_where_the_settings_say(vips, never_expires, settings, zone, moment, day):
    settings.GRANT_TIME_ZONE = zone
    granted = services.grant_vip(now=utc(moment))
    assert granted.day.isoformat() == day
    assert ScheduledGrant.objects.filter(period=day).count() == 3


@pytest.mark.parametrize(
    ("valid_days", "expires_at"),
    [(1, "2024-09-08T04:00:00"), (2, "2024-09-09T03:00:00"), (0, None)],
)
def test_tokens_end_with_a_whole_day_also_where_clocks_change(settings, valid_days, expires_at):
    settings.GRANT_TIME_ZONE = "America/Santiago"
    settings.VIP_GRANT_VALID_DAYS = valid_days
    planned = services.preview_vip_grant(now=utc("2024-09-06T12:00:00"))
    assert planned.expires_at == (None if expires_at is None else utc(expires_at))


def test_a_missed_day_is_made_up_for_and_its_tokens_live_as_long(vips):
    now = timezone.now()
    missed = now.date() - dt.timedelta(days=7)
    late = services.grant_vip(now=now, day=missed)
    today = services.grant_vip(now=now)
    assert (late.day, late.expires_at) == (missed, today.expires_at)
    assert [available(user) for user in vips] == [20, 20, 20]
    assert services.grant_vip(now=now, day=missed).receipt is None


def test_who_had_not_joined_by_then_gets_nothing_for_a_missed_day(vips):
    now = timezone.now()
    today = now.date()
    new = make_vip(joined_at=now)
    services.grant_vip(now=now, day=today - dt.timedelta(days=1))
    assert [available(user) for user in (*vips, new)] == [10, 10, 10, 0]


@pytest.mark.parametrize("days", [1, -8])
def test_days_ahead_and_days_long_over_are_refused(vips, days):
    day = timezone.now().date() + dt.timedelta(days=days)
    for service in (services.grant_vip, services.preview_vip_grant):
        with pytest.raises(GrantDayError):
            service(day=day)
    assert not ScheduledGrant.objects.exists()


def test_a_frozen_and_a_closed_wallet_leave_their_outcome_and_can_be_retried(vips):
    for user, status in zip(vips, ("FROZEN", "CLOSED"), strict=False):
        Wallet.objects.create(owner=user, status=status)
    granted = services.grant_vip()
    assert granted.receipt is not None
    assert granted.receipt.status == "partially_applied"
    assert codes(granted.receipt) == ["account_frozen", "account_closed", "applied"]
    assert services.grant_vip().receipt is None
    Wallet.objects.filter(owner=vips[0]).update(status="ACTIVE")
    again = services.retry_failures(
        batch_id=granted.receipt.batch_id,
        actor_id=make_user(role=Role.OPERATOR).pk,
        idempotency_key="again",
    )
    assert codes(again) == ["applied", "account_closed"]
    assert available(vips[0]) == 10


def test_a_batch_whose_worker_is_lost_is_finished_by_the_next_run(vips, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 1
    first = services.grant_vip()
    assert first.receipt is not None
    assert first.receipt.status == "queued"
    second = services.grant_vip()
    assert (second.receipt, second.unfinished) == (None, (first.receipt.batch_id,))
    seen: list[int] = []
    done = services.follow_batch(batch_id=first.receipt.batch_id, progress=seen.append)
    assert (done.status, seen[0], seen[-1]) == ("applied", 0, 3)
    assert services.grant_vip().unfinished == ()


def test_following_waits_for_a_living_worker_and_replaces_a_silent_one(vips, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 1
    granted = services.grant_vip()
    assert granted.receipt is not None
    RechargeBatch.objects.update(
        status="APPLYING",
        lease_id="0" * 32,
        lease_expires_at=timezone.now() + dt.timedelta(seconds=2),
    )
    started = time.monotonic()
    done = services.follow_batch(batch_id=granted.receipt.batch_id, poll_s=0.1)
    assert done.status == "applied"
    assert time.monotonic() - started > 1


def test_the_day_has_a_limit_that_several_runs_share(vips, settings, caplog):
    settings.VIP_GRANT_TOTAL_MAX = 29
    with pytest.raises(GrantTotalError) as refusal:
        services.grant_vip()
    assert refusal.value.context["tokens_total"] == 30
    assert not ScheduledGrant.objects.exists()
    assert "tokens.grant.refused" in caplog.text
    services.grant_vip(limit=2)
    with pytest.raises(GrantTotalError):
        services.grant_vip()
    with pytest.raises(GrantTotalError):
        services.preview_vip_grant()
    assert [available(user) for user in vips] == [10, 10, 0]
    scheduled_tasks.grant_vip()
    assert ScheduledGrant.objects.count() == 2


def test_a_limit_takes_the_oldest_accounts_and_says_what_is_left(vips):
    granted = services.grant_vip(limit=2)
    assert granted.remaining_count == 1
    assert [available(user) for user in vips] == [10, 10, 0]
    rest = services.grant_vip(limit=2)
    assert rest.receipt is not None
    assert (rest.receipt.lines_count, rest.remaining_count) == (1, 0)


def test_a_batch_is_never_larger_than_its_mode_allows(vips, settings):
    settings.RECHARGE_SOFT_FAIL_LINES_MAX = 2
    assert services.grant_vip(limit=50).remaining_count == 1


@pytest.mark.parametrize("arguments", [{"amount": 0}, {"amount": -1}, {"limit": 0}])
def test_nothing_to_give_is_refused(vips, arguments):
    with pytest.raises(GrantAmountError):
        services.grant_vip(**arguments)


def test_no_policy_holds_a_scheduled_grant_up(vips):
    ApprovalPolicy.objects.create(name="all", rows_min=1, roles=["OPERATOR"])
    granted = services.grant_vip()
    assert granted.receipt is not None
    assert granted.receipt.status == "applied"
    batch = RechargeBatch.objects.get()
    assert batch.actor.username == "system/scheduler"
    event = AuditEvent.objects.get(subject=f"recharge_batch:{batch.pk}")
    assert event.actor == batch.actor
    assert event.after is not None
    assert event.after["source"] == "schedule"


def test_the_account_of_the_platform_can_do_nothing_by_itself():
    user_id = accounts_services.system_user()
    assert accounts_services.system_user() == user_id
    account = type(make_user()).objects.get(pk=user_id)
    assert (account.is_active, account.role, account.has_usable_password()) == (
        False,
        Role.USER,
        False,
    )
    with pytest.raises(UserExistsError):
        accounts_services.register_user(username="system/other", password=None)


@pytest.mark.parametrize("sync_max", [1, 1_000])
def test_a_dry_run_has_no_effect(vips, settings, sync_max):
    settings.RECHARGE_SYNC_LINES_MAX = sync_max
    Wallet.objects.create(owner=vips[1], status="FROZEN")
    before = digest_of_all_tables()
    planned = services.preview_vip_grant(limit=2)
    assert digest_of_all_tables() == before
    assert planned.preview is not None
    assert (planned.due_count, planned.preview.lines_count) == (3, 2)
    assert planned.preview.outcomes == {"applied": 1, "account_frozen": 1}
    services.grant_vip()
    assert services.preview_vip_grant().preview is None


@pytest.mark.parametrize("statement", ["UPDATE {} SET period = period - 1", "DELETE FROM {}"])
def test_claims_are_kept_as_they_were_written(vips, statement):
    services.grant_vip()
    with pytest.raises(DatabaseError, match="immutable"), connection.cursor() as cursor:
        cursor.execute(statement.format("tokens_scheduledgrant"))


def test_the_schedule_runs_it(vips, settings):
    name = str(django_settings.CELERY_BEAT_SCHEDULE["grant-vip"]["task"])
    app.loader.import_default_modules()
    assert name in app.tasks
    settings.VIP_GRANT_TOKENS = 0
    app.tasks[name]()
    assert not ScheduledGrant.objects.exists()
    settings.VIP_GRANT_TOKENS = 4
    app.tasks[name]()
    assert [available(user) for user in vips] == [4, 4, 4]


def test_wrong_settings_are_found_at_the_start(settings):
    assert check_grants() == []
    settings.GRANT_TIME_ZONE = "Mars/Olympus"
    settings.VIP_GRANT_TOKENS = -1
    settings.GRANT_MISSED_RUNS = "sometimes"
    found = [fault.id for fault in check_grants()]
    assert found == ["tokens.E002", "tokens.E003", "tokens.E005"]


def test_two_thousand_accounts_take_seconds():
    user = make_vip()
    user.__class__.objects.bulk_create(
        user.__class__(username=f"many-{n}", password="!", plan="vip", date_joined=LONG_AGO)
        for n in range(2_000)
    )
    started = time.monotonic()
    granted = services.grant_vip()
    assert granted.receipt is not None
    done = work(granted.receipt)
    assert (done.status, done.applied_count) == ("applied", 2_001)
    assert read(done).tokens_total == 20_010
    assert time.monotonic() - started < 20
