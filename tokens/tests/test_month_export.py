"""A month of the books, of everybody or of one account: command, HTTP and console."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.types import Role
from tokens import exports, services
from tokens.books import month_days
from tokens.errors import UnknownExportError
from tokens.exports import ExportRequest
from tokens.ledger import seal
from tokens.tests.factories import make_user, recharge
from tokens.types import Operation

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = "2026-10"


def spend(user, amount, *, at, operation=Operation.IMAGE_SWAP):
    """A settled hold whose transfers were written at a moment of the past."""
    with transaction.atomic(), connection.cursor() as cursor:
        hold = services.place_hold(
            owner_id=user.pk,
            amount=amount,
            reference=f"{user.user_ref} {at}",
            expires_at=timezone.now() + dt.timedelta(hours=1),
            operation=operation,
        )
        services.settle_hold(hold_id=hold, amount=amount)
        cursor.execute("ALTER TABLE tokens_transfer DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE tokens_transfer SET recorded_at = %s, effective_at = %s WHERE hold_id = %s",
            [at, at, hold],
        )
        cursor.execute("ALTER TABLE tokens_transfer ENABLE TRIGGER USER")


@pytest.fixture
def accounts():
    """Two accounts that spent on the first and the last moment of October, and around it."""
    alice, bob = make_user(user_ref="alice"), make_user(user_ref="bob")
    recharge(["alice", "bob"], 100, actor=make_user(role=Role.OPERATOR))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tokens_transfer DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE tokens_transfer SET recorded_at = '2026-09-01Z', effective_at = '2026-09-01Z'"
        )
        cursor.execute("ALTER TABLE tokens_transfer ENABLE TRIGGER USER")
    spend(alice, 1, at="2026-09-30T23:59:59.999999Z")
    spend(alice, 2, at="2026-10-01T00:00:00Z")
    spend(alice, 3, at="2026-10-01T10:00:00Z")
    spend(alice, 4, at="2026-10-31T23:59:59.999999Z", operation=Operation.VIDEO_SWAP)
    spend(bob, 5, at="2026-10-15T12:00:00Z")
    spend(bob, 6, at="2026-11-01T00:00:00Z")
    seal.seal_all()
    return alice, bob


ALICE = [
    ("2026-10-01", "alice", "image_swap", "5", "0", "5"),
    ("2026-10-31", "alice", "video_swap", "4", "0", "4"),
]
BOB = [("2026-10-15", "bob", "image_swap", "5", "0", "5")]


def rows(text: str) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in csv.DictReader(io.StringIO(text))]


def operator_api():
    api = APIClient()
    api.force_authenticate(make_user(role=Role.OPERATOR))
    return api


def body(reply) -> str:
    return b"".join(reply.streaming_content).decode()


def test_the_command_writes_the_consumption_of_a_month(accounts, tmp_path, capsys):
    path = tmp_path / "october.csv"
    call_command("ledger_export", "consumption", "--month", MONTH, output=path, json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["from"], report["to"]) == ("2026-10-01", "2026-10-31")
    assert rows(path.read_text()) == [ALICE[0], *BOB, ALICE[1]]
    call_command(
        "ledger_export", "consumption", "--month", MONTH, "--user", "alice", output=path, json=True
    )
    assert json.loads(capsys.readouterr().out)["user"] == "alice"
    assert rows(path.read_text()) == ALICE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["consumption", "--month", "2026-13"], "is not YYYY-MM"),
        (["consumption", "--month", "26-10"], "is not YYYY-MM"),
        (["consumption", "--user", "nobody"], "user_not_found"),
        (["audit", "--user", "alice"], "unknown_export"),
        (["journal", "--month", "9999-12"], "unknown_export"),
    ],
)
def test_the_command_refuses_what_it_cannot_export(accounts, options, text):
    with pytest.raises(CommandError, match=text):
        call_command("ledger_export", *options)


def test_a_month_is_exported_over_http(accounts):
    api = operator_api()
    url = "/api/v1/exports/consumption"
    reply = api.get(url, {"month": MONTH})
    assert "consumption-2026-10-01-2026-10-31.csv" in reply["Content-Disposition"]
    assert rows(body(reply)) == [ALICE[0], *BOB, ALICE[1]]
    assert rows(body(api.get(url, {"month": MONTH, "user": "bob"}))) == BOB
    same = api.get(url, {"first": "2026-10-01", "last": "2026-10-31", "user": "bob"})
    assert rows(body(same)) == BOB


@pytest.mark.parametrize("name", exports.OWNED_NAMES)
def test_every_export_of_an_account_shows_nobody_else(accounts, name):
    text = body(operator_api().get(f"/api/v1/exports/{name}", {"month": MONTH, "user": "alice"}))
    found = {row["user"] for row in csv.DictReader(io.StringIO(text))}
    # Days have rows once they were reconciled, which nothing here does.
    assert found == (set() if name == "daily" else {"alice"})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "invalid_request"),
        ({"month": "2026-13"}, "invalid_request"),
        ({"month": "0000-01"}, "invalid_request"),
        ({"month": "9999-12"}, "invalid_request"),
        ({"month": MONTH, "first": "2026-10-01"}, "invalid_request"),
        ({"first": "2026-10-01"}, "invalid_request"),
        ({"first": "2026-10-02", "last": "2026-10-01"}, "invalid_request"),
        ({"first": "2026-10-02", "last": "9999-12-31"}, "invalid_request"),
        ({"month": MONTH, "user": "nobody"}, "user_not_found"),
        ({"month": MONTH, "user": "\x00"}, "invalid_request"),
    ],
)
def test_what_cannot_be_exported_is_a_problem(query, code):
    reply = operator_api().get("/api/v1/exports/consumption", query)
    assert reply.json()["code"] == code


def test_an_export_that_is_not_about_accounts_is_refused_for_one(accounts):
    first, last = month_days(dt.date(2026, 10, 9))
    for name in set(exports.NAMES) - set(exports.OWNED_NAMES):
        with pytest.raises(UnknownExportError):
            exports.stream(request=ExportRequest(name, first, last, owner_id=accounts[0].pk))


def test_the_console_offers_the_files_of_a_month(accounts, client):
    client.force_login(make_user(role=Role.OPERATOR))
    url = reverse("admin:tokens_monthclose_exports")
    assert 'type="month"' in client.get(url).content.decode()
    page = client.get(url, {"month": MONTH, "basis": "recorded"}).content.decode()
    assert all(f"{name}.csv" in page for name in exports.NAMES)
    page = client.get(url, {"month": MONTH, "basis": "recorded", "user": "alice"}).content.decode()
    assert "audit.csv" not in page
    link = f"/api/v1/exports/consumption?month={MONTH}&user=alice&basis=recorded"
    assert link.replace("&", "&amp;") in page
    assert rows(body(client.get(link))) == ALICE
    for bad, text in (
        ({"month": "October"}, "Write the month as YYYY-MM."),
        ({"month": MONTH, "user": "nobody"}, "No user has this user_ref."),
    ):
        page = client.get(url, {"basis": "recorded", **bad}).content.decode()
        assert text in page
        assert "consumption.csv" not in page


def test_users_see_no_exports(client):
    client.force_login(make_user())
    assert client.get(reverse("admin:tokens_monthclose_exports")).status_code == 302
