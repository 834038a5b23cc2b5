from __future__ import annotations

import csv
import datetime as dt
import io
import json

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.types import Role
from tokens import books, exports, services
from tokens.books import Basis
from tokens.errors import UnknownExportError
from tokens.exports import ExportRequest
from tokens.ledger import seal
from tokens.models import Account
from tokens.services import proof, reconciliation
from tokens.tests.factories import make_user
from tokens.types import Operation

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


def age(*, days: float, column: str) -> None:
    """Let one of the two times of everything so far be ``days`` earlier."""
    statements = {
        "recorded_at": (
            "UPDATE tokens_transfer SET recorded_at = recorded_at - %s * interval '1 day'"
        ),
        "effective_at": (
            "UPDATE tokens_transfer SET effective_at = effective_at - %s * interval '1 day'"
        ),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tokens_transfer DISABLE TRIGGER USER")
        cursor.execute(statements[column], [days])
        cursor.execute("ALTER TABLE tokens_transfer ENABLE TRIGGER USER")


@pytest.fixture
def user():
    """100 tokens written 2 days ago that count since 10 days ago; 30 of 40 spent today."""
    owner = make_user(tokens=100, user_ref="alice")
    age(days=2, column="recorded_at")
    age(days=10, column="effective_at")
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=owner.pk,
            amount=40,
            reference="=cmd|' /C calc'!A1",
            expires_at=timezone.now() + DAY,
            operation=Operation.IMAGE_SWAP,
        )
        services.settle_hold(hold_id=hold, amount=30)
        services.refund_hold(hold_id=hold, amount=4, note="bad result")
        services.place_hold(
            owner_id=owner.pk, amount=6, reference="open", expires_at=timezone.now() + DAY
        )
    seal.seal_all()
    return owner


def ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


@pytest.mark.parametrize(
    ("basis", "days", "available", "held"),
    [
        (Basis.EFFECTIVE, 11, 0, 0),
        (Basis.EFFECTIVE, 9, 100, 0),
        (Basis.RECORDED, 9, 0, 0),
        (Basis.RECORDED, 1, 100, 0),
        (Basis.RECORDED, 0, 68, 6),
        (Basis.EFFECTIVE, 0, 68, 6),
    ],
)
def test_a_balance_at_a_moment_depends_on_the_time_that_counts(user, basis, days, available, held):
    balance = books.wallet_at(user_id=user.pk, at=ago(days), basis=basis)
    assert (balance.available, balance.held) == (available, held)
    assert balance.total == available + held


def test_a_balance_at_the_moment_itself_counts_the_transfer(user):
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(recorded_at) FROM tokens_transfer")
        (moment,) = cursor.fetchone()
    before = moment - dt.timedelta(microseconds=1)
    assert books.wallet_at(user_id=user.pk, at=moment, basis=Basis.RECORDED).available == 100
    assert books.wallet_at(user_id=user.pk, at=before, basis=Basis.RECORDED).available == 0


def test_nobody_has_nothing():
    owner = make_user()
    assert books.wallet_at(user_id=owner.pk, at=ago(0), basis=Basis.EFFECTIVE).total == 0


@pytest.mark.parametrize("basis", list(Basis))
def test_accounts_sum_to_zero_with_and_without_snapshots(user, basis):
    fresh = books.accounts_at(at=timezone.now(), basis=basis)
    assert fresh == {
        **dict.fromkeys(Account.values, 0),
        "WALLET": 68,
        "HELD": 6,
        "CONSUMED": 30,
        "REFUND": -4,
        "ISSUANCE_PAID": -100,
    }
    assert sum(fresh.values()) == 0
    reconciliation.reconcile()
    assert books.accounts_at(at=timezone.now(), basis=basis) == fresh


def test_business_time_starts_from_the_last_closed_month():
    admin = make_user(role=Role.ADMIN)
    make_user(tokens=100)
    age(days=45, column="recorded_at")
    age(days=45, column="effective_at")
    make_user(tokens=5)
    reconciliation.reconcile()
    expected = books.accounts_at(at=timezone.now(), basis=Basis.EFFECTIVE)
    reconciliation.close_month(month=ago(45).date().replace(day=1), actor_id=admin.pk)
    assert books.accounts_at(at=timezone.now(), basis=Basis.EFFECTIVE) == expected
    assert books.accounts_at(at=ago(40), basis=Basis.EFFECTIVE)["WALLET"] == 100
    assert books.accounts_at(at=ago(50), basis=Basis.EFFECTIVE)["WALLET"] == 0


def test_days_show_opening_in_out_and_closing(user):
    reconciliation.reconcile()
    first, last = ago(2).date(), ago(1).date()
    rows = [row for row in books.account_days(first=first, last=last) if row.account == "WALLET"]
    assert [(row.opening, row.credited, row.debited, row.closing) for row in rows] == [
        (0, 100, 0, 100),
        (100, 0, 0, 100),
    ]
    for row in books.account_days(first=first, last=last):
        assert row.opening + row.credited - row.debited == row.closing


def test_consumption_is_told_apart_by_operation_and_day(user):
    today = timezone.now().date()
    (row,) = books.consumption(first=today, last=today, basis=Basis.EFFECTIVE)
    assert (row.user_ref, row.operation) == ("alice", "image_swap")
    assert (row.charged, row.refunded, row.net) == (30, 4, 26)
    yesterday = today - DAY
    assert books.consumption(first=yesterday, last=yesterday, basis=Basis.EFFECTIVE) == []
    other = make_user()
    assert books.consumption(first=today, last=today, basis=Basis.RECORDED, owner_id=other.pk) == []


def read(name: str, **changes) -> list[dict[str, str]]:
    today = timezone.now().date()
    given = {"name": name, "first": today - 20 * DAY, "last": today}
    text = b"".join(exports.stream(request=ExportRequest(**{**given, **changes}))).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_the_journal_is_exported_in_order_with_iso_times_and_seals(user):
    rows = read("journal")
    assert [int(row["id"]) for row in rows] == sorted(int(row["id"]) for row in rows)
    assert rows[0]["kind"] == "RECHARGE"
    assert rows[0]["reference"].startswith("recharge_batch:")
    assert dt.datetime.fromisoformat(rows[0]["recorded_at"]).tzinfo is not None
    assert {row["seal"] for row in rows} == {"1"}
    assert {row["user"] for row in rows} == {"alice"}


def test_a_reference_that_looks_like_a_formula_is_exported_as_text(user):
    references = {row["reference"] for row in read("journal")}
    assert "'=cmd|' /C calc'!A1" in references
    assert not any(text.startswith(("=", "+", "-", "@")) for text in references)


@pytest.mark.parametrize(
    ("name", "basis", "days", "expected"),
    [
        ("balances", Basis.RECORDED, 0, [("alice", "68", "6")]),
        ("balances", Basis.RECORDED, 1, [("alice", "100", "0")]),
        ("balances", Basis.RECORDED, 5, []),
        ("balances", Basis.EFFECTIVE, 5, [("alice", "100", "0")]),
    ],
)
def test_balances_are_those_at_the_end_of_the_last_day(user, name, basis, days, expected):
    rows = read(name, basis=basis, last=ago(days).date())
    assert [(row["user"], row["available"], row["held"]) for row in rows] == expected


def test_every_export_has_as_many_rows_as_it_counts(user):
    with transaction.atomic():
        proof.record_event(
            actor_id=user.pk, action="a", subject="=1+1", before=None, after={"b": 1}
        )
    reconciliation.reconcile()
    today = timezone.now().date()
    for name in exports.NAMES:
        request = ExportRequest(name, today - 20 * DAY, today)
        rows = read(name)
        assert len(rows) == exports.count_rows(request=request) > 0, name
    (event,) = [row for row in read("audit") if row["action"] == "a"]
    assert (event["subject"], event["after"]) == ("'=1+1", '{"b": 1}')
    daily = {(row["day"], row["account"]): row for row in read("daily")}
    assert daily[ago(2).date().isoformat(), "WALLET"]["closing"] == "100"
    (spent,) = read("consumption")
    assert (spent["operation"], spent["net"]) == ("image_swap", "26")


def test_an_export_of_another_name_or_a_reversed_range_is_refused(user):
    today = timezone.now().date()
    with pytest.raises(UnknownExportError):
        exports.stream(request=ExportRequest("passwords", today, today))
    with pytest.raises(UnknownExportError):
        exports.count_rows(request=ExportRequest("journal", today, today - DAY))


def test_the_command_counts_then_writes_a_whole_file(user, tmp_path, capsys):
    first = ago(5).date().isoformat()
    call_command("ledger_export", "journal", "--from", first, dry_run=True, json=True)
    assert json.loads(capsys.readouterr().out)["rows"] == 6
    path = tmp_path / "journal.csv"
    call_command("ledger_export", "journal", "--from", first, output=path, json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == path.stat().st_size
    assert len(path.read_text().splitlines()) == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.csv"]
