from __future__ import annotations

import datetime as dt
import json
from threading import Event, Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.types import Role
from tokens import audit, closing, services
from tokens.errors import (
    AdministratorRequiredError,
    MonthBusyError,
    MonthNotClosableError,
    MonthNotClosedError,
)
from tokens.handlers import reconcile_ledger
from tokens.ledger import months, seal, snapshots
from tokens.models import AuditEvent, BalanceSnapshot, MonthClose, ReconRun, SnapshotDay, Transfer
from tokens.services import reconciliation
from tokens.tests.corruption import corrupted
from tokens.tests.factories import credit_one, make_user
from tokens.types import LotTerms, RechargeItem, RechargeMode, RechargeRequest

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


def age(*, days: int) -> None:
    """Let everything that has happened so far have happened ``days`` earlier."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tokens_transfer DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE tokens_transfer SET recorded_at = recorded_at - %(days)s * interval '1 day',"
            " effective_at = effective_at - %(days)s * interval '1 day'",
            {"days": days},
        )
        cursor.execute("ALTER TABLE tokens_transfer ENABLE TRIGGER USER")


def spend(user, *, held: int, settled: int, reference: str) -> None:
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=user.pk,
            amount=held,
            reference=reference,
            expires_at=timezone.now() + DAY,
        )
        services.settle_hold(hold_id=hold, amount=settled)


def broken() -> set[str]:
    return {violation.name for violation in audit.find_violations()}


def figures(account: str) -> list[tuple[int, int, int, int]]:
    rows = BalanceSnapshot.objects.filter(account=account).order_by("day", "wallet")
    return list(rows.values_list("opening", "credited", "debited", "closing"))


@pytest.fixture
def week():
    """Three days ago 100 tokens came in, two days ago 30 were spent, today 5."""
    user = make_user(tokens=100)
    age(days=1)
    spend(user, held=40, settled=30, reference="job:1")
    age(days=2)
    spend(user, held=5, settled=5, reference="job:2")
    seal.seal_all()
    return user


def test_each_day_opens_with_the_closing_before(week):
    _proof, done = reconciliation.reconcile()
    assert len(done["snapshot_days"]) == 3
    assert figures("WALLET") == [(0, 100, 0, 100), (100, 10, 40, 70)]
    assert figures("HELD") == [(0, 40, 40, 0)]
    assert figures("CONSUMED") == [(0, 30, 0, 30)]
    assert figures("ISSUANCE_PAID") == [(0, 0, 100, -100)]
    assert broken() == set()


def test_a_quiet_day_is_counted_and_has_no_balances(week):
    reconciliation.reconcile()
    quiet = SnapshotDay.objects.latest("day")
    assert (quiet.transfers_count, quiet.balances.count()) == (0, 0)


def test_a_second_run_adds_only_new_days(week):
    reconciliation.reconcile()
    _proof, done = reconciliation.reconcile()
    assert done["snapshot_days"] == []
    assert len(snapshots.due_days(now=timezone.now() + 2 * DAY)) == 2


def test_today_is_not_complete():
    make_user(tokens=1)
    assert snapshots.due_days(now=timezone.now()) == []


def test_a_day_waits_for_the_writers_that_it_left_open(week):
    open_since_then, may_end = Event(), Event()

    def hold_open() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()")
                open_since_then.set()
                may_end.wait(30)
        finally:
            connection.close()

    writer = Thread(target=hold_open)
    writer.start()
    assert open_since_then.wait(30)
    # Seen from tomorrow, today has ended; the writer began today.
    count = snapshots.take_due(now=timezone.now() + DAY)
    may_end.set()
    writer.join()
    assert len(count.days) == 3
    assert count.waits_for == timezone.now().date()
    assert snapshots.take_due(now=timezone.now() + DAY).waits_for is None


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (
            (
                "UPDATE tokens_balancesnapshot SET opening = opening + 1, closing = closing + 1"
                " WHERE opening > 0"
            ),
            "snapshot_opens_with_the_closing_before",
        ),
        (
            "UPDATE tokens_balancesnapshot SET credited = credited + 1, closing = closing + 1",
            "snapshot_agrees_with_the_journal_of_its_day",
        ),
        (
            "DELETE FROM tokens_balancesnapshot WHERE account = 'CONSUMED'",
            "snapshot_agrees_with_the_journal_of_its_day",
        ),
        (
            "DELETE FROM tokens_transfer WHERE kind = 'SETTLE'",
            "snapshot_agrees_with_the_journal_of_its_day",
        ),
        (
            "UPDATE tokens_snapshotday SET transfers_count = transfers_count + 1",
            "snapshot_day_agrees_with_the_journal",
        ),
        (
            (
                "UPDATE tokens_transfer SET recorded_at = recorded_at - interval '1 day'"
                " WHERE kind = 'SETTLE'"
            ),
            "snapshot_day_agrees_with_the_journal",
        ),
        (
            "UPDATE tokens_wallet SET available = available + 1",
            "snapshots_roll_forward_to_the_wallets",
        ),
        (
            "UPDATE tokens_balancesnapshot SET closing = closing + 1 WHERE account = 'WALLET'",
            "snapshots_roll_forward_to_the_wallets",
        ),
    ],
)
def test_a_false_snapshot_is_named(week, statement, name):
    reconciliation.reconcile()
    with corrupted(statement):
        assert name in broken()


def test_snapshots_are_append_only(week):
    reconciliation.reconcile()
    with pytest.raises(DatabaseError, match="immutable"):
        BalanceSnapshot.objects.update(closing=0)


def test_the_command_lists_due_days_then_reconciles(week, capsys):
    call_command("reconcile", dry_run=True, json=True)
    report = json.loads(capsys.readouterr().out)
    assert len(report["due_days"]) == 3
    assert not SnapshotDay.objects.exists()
    call_command("reconcile")
    assert f"snapshot_days: {', '.join(report['due_days'])}" in capsys.readouterr().out
    assert SnapshotDay.objects.count() == 3


def test_the_daily_task_writes_the_statement(week, settings, tmp_path):
    settings.LEDGER_STATEMENTS_DIR = tmp_path
    reconcile_ledger()
    assert ReconRun.objects.get().status == "PASSED"
    assert len(list(tmp_path.glob("ledger-*.json"))) == 1


@pytest.mark.corrupts_books
def test_a_run_that_finds_something_is_kept_and_fails(week, capsys):
    reconciliation.reconcile()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tokens_wallet SET available = available + 1")
    with pytest.raises(CommandError, match="not proven"):
        call_command("reconcile")
    assert "BROKEN  snapshots_roll_forward_to_the_wallets" in capsys.readouterr().out
    run = ReconRun.objects.latest("started_at")
    assert run.status == "FAILED"
    assert "wallet_is_the_sum_of_its_lots" in {item["name"] for item in run.violations}


# --- Months ---------------------------------------------------------------------------------------


@pytest.fixture
def admin():
    return make_user(role=Role.ADMIN)


@pytest.fixture
def last_month(admin):
    """100 tokens that came in last month, reconciled; the first day of that month."""
    user = make_user(tokens=100)
    first = timezone.now().replace(day=1)
    month = (first - DAY).replace(day=1).date()
    age(days=(timezone.now().date() - month).days - 3)
    reconciliation.reconcile()
    assert user.pk
    return month


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)


def test_a_closed_month_takes_no_transfer_and_keeps_its_figures(last_month, admin):
    closed = reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert closed.totals is not None
    assert closed.totals["WALLET"] == {"credited": 100, "debited": 0, "closing": 100}
    with pytest.raises(DatabaseError, match="are closed") as refusal:
        credit_one(effective_at=noon(last_month))
    assert getattr(refusal.value.__cause__, "sqlstate", None) == "TK002"
    with pytest.raises(DatabaseError, match="are closed"):
        credit_one(effective_at=noon(last_month - DAY))
    credit_one(effective_at=noon(closing.month_after(last_month)))
    assert AuditEvent.objects.filter(action="ledger_month.closed", actor=admin).count() == 1


def test_a_recharge_dated_into_a_closed_month_takes_effect_now(last_month, admin):
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    user = make_user()
    started = timezone.now()
    receipt = services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user.user_ref, 5),),
            mode=RechargeMode.ATOMIC,
            operator="",
            reason="late invoice",
            terms=LotTerms(effective_at=noon(last_month)),
        ),
        actor_id=admin.pk,
        idempotency_key="late",
    )
    assert receipt.applied_count == 1
    transfer = Transfer.objects.get(wallet__owner=user)
    assert started <= transfer.effective_at <= timezone.now()


def test_the_first_open_moment_follows_closing_and_reopening(last_month, admin):
    assert months.open_from() is None
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    end = snapshots.day_bounds(closing.month_after(last_month))[0]
    assert months.open_from() == end
    credit_one(effective_at=end)
    reconciliation.reopen_month(month=last_month, actor_id=admin.pk, reason="late invoice")
    assert months.open_from() is None


def test_reopening_lets_transfers_in_again_and_is_kept(last_month, admin):
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    reconciliation.reopen_month(month=last_month, actor_id=admin.pk, reason="late invoice")
    credit_one(effective_at=noon(last_month))
    again = reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert again.totals is not None
    assert again.totals["WALLET"]["closing"] == 101
    assert MonthClose.objects.filter(month=last_month).count() == 2
    event = AuditEvent.objects.get(action="ledger_month.reopened")
    assert event.after is not None
    assert event.after["reason"] == "late invoice"


def test_closing_twice_is_closing_once(last_month, admin):
    first = reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert reconciliation.close_month(month=last_month, actor_id=admin.pk) == first


def test_closing_completes_what_was_cut_short(last_month, admin):
    with transaction.atomic():
        MonthClose.objects.create(month=last_month, closed_by=admin)
    closed = reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert closed.totals is not None
    assert closed.totals["WALLET"]["closing"] == 100


def test_only_an_administrator_closes_and_reopens(last_month):
    operator = make_user(role=Role.OPERATOR)
    with pytest.raises(AdministratorRequiredError):
        reconciliation.close_month(month=last_month, actor_id=operator.pk)
    with pytest.raises(AdministratorRequiredError):
        reconciliation.reopen_month(month=last_month, actor_id=operator.pk, reason="x")


def test_a_running_or_unreconciled_month_stays_open(last_month, admin):
    this_month = closing.month_after(last_month)
    with pytest.raises(MonthNotClosableError, match="not ended"):
        reconciliation.close_month(month=this_month, actor_id=admin.pk)
    with pytest.raises(MonthNotClosableError, match="Reconcile first"):
        reconciliation.close_month(
            month=this_month, actor_id=admin.pk, now=noon(closing.month_after(this_month))
        )


def test_months_are_closed_and_reopened_in_order(last_month, admin):
    this_month = closing.month_after(last_month)
    later = noon(closing.month_after(this_month))
    snapshots.take_due(now=later)
    with pytest.raises(MonthNotClosableError, match="month before"):
        reconciliation.close_month(month=this_month, actor_id=admin.pk, now=later)
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    reconciliation.close_month(month=this_month, actor_id=admin.pk, now=later)
    with pytest.raises(MonthNotClosedError, match="later months"):
        reconciliation.reopen_month(month=last_month, actor_id=admin.pk, reason="x")


def test_an_open_month_cannot_be_reopened(admin):
    with pytest.raises(MonthNotClosedError, match="not closed"):
        reconciliation.reopen_month(month=dt.date(2026, 1, 1), actor_id=admin.pk, reason="x")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens_monthclose SET totals = '{}'",
        "UPDATE tokens_monthclose SET month = month - interval '1 month'",
        "DELETE FROM tokens_monthclose",
    ],
)
def test_the_figures_of_a_closed_month_are_fixed(last_month, admin, statement):
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    with pytest.raises(DatabaseError, match="closed month"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens_transfer SET amount = amount + 1",
        "UPDATE tokens_transfer SET effective_at = effective_at - interval '2 months'",
        "UPDATE tokens_monthclose SET totals = '{}'",
    ],
)
def test_a_closed_month_that_changed_is_named(last_month, admin, statement):
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert broken() == set()
    with corrupted(statement):
        assert "closed_month_is_found_again" in broken()


def test_closing_waits_for_writers_and_gives_up_without_a_trace(last_month, admin, monkeypatch):
    monkeypatch.setattr(months, "LOCK_WAIT", "200ms")
    writing, may_end = Event(), Event()

    def write() -> None:
        try:
            with transaction.atomic():
                Transfer.objects.filter(pk=0).delete()
                with connection.cursor() as cursor:
                    cursor.execute("LOCK TABLE tokens_transfer IN ROW EXCLUSIVE MODE")
                writing.set()
                may_end.wait(30)
        finally:
            connection.close()

    writer = Thread(target=write)
    writer.start()
    assert writing.wait(30)
    with pytest.raises(MonthBusyError):
        reconciliation.close_month(month=last_month, actor_id=admin.pk)
    may_end.set()
    writer.join()
    assert not MonthClose.objects.exists()
    assert reconciliation.close_month(month=last_month, actor_id=admin.pk).totals


def test_tokens_that_expired_in_a_closed_month_expire_in_the_first_open_one(last_month, admin):
    user = make_user(tokens=7)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tokens_creditlot SET effective_at = %(then)s - interval '1 day',"
            " expires_at = %(then)s"
            " WHERE wallet_id = (SELECT id FROM tokens_wallet WHERE owner_id = %(owner)s)",
            {"then": noon(last_month), "owner": user.pk},
        )
    reconciliation.close_month(month=last_month, actor_id=admin.pk)
    assert services.expire_lots().tokens == 7
    posted = Transfer.objects.get(kind="EXPIRE")
    assert posted.effective_at == noon(closing.month_after(last_month)) - dt.timedelta(hours=12)


def test_the_month_command_closes_and_reopens(last_month, admin, capsys):
    name = f"{last_month:%Y-%m}"
    call_command("ledger_month", "close", name, actor=admin.user_ref, dry_run=True)
    assert not MonthClose.objects.exists()
    call_command("ledger_month", "close", name, actor=admin.user_ref, json=True)
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["totals"]["WALLET"]["closing"] == 100
    with pytest.raises(CommandError, match="--reason"):
        call_command("ledger_month", "reopen", name, actor=admin.user_ref)
    call_command("ledger_month", "reopen", name, actor=admin.user_ref, reason="late invoice")
    assert MonthClose.objects.get().reopened_by == admin
