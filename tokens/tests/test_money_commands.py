"""The commands that move money: what they print, how they end, and that they can be repeated."""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import signal
import time

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import OutputWrapper
from django.db import connection, transaction
from django.utils import timezone

from accounts.types import Role
from facefusion_site.common.progress import Progress
from tokens import services
from tokens.management.money import MoneyCommand
from tokens.models import CreditLot, RechargeBatch, Transfer, Wallet
from tokens.tests.commands import run
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available, create
from tokens.tests.test_grants import make_vip
from tokens.types import Category, LotTerms

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def people():
    return [make_user(user_ref=f"user-{number}") for number in range(4)]


# --- grant_vip ------------------------------------------------------------------------------------
def test_the_grant_command_reports_and_repeats(capsys, settings):
    users = [make_vip() for _ in range(5)]
    settings.RECHARGE_SYNC_LINES_MAX = 2
    before = digest_of_all_tables()
    planned = run(capsys, "grant_vip", dry_run=True)
    assert digest_of_all_tables() == before
    assert (planned["dry_run"], planned["accounts"], planned["tokens"]) == (True, 5, 50)
    done = run(capsys, "grant_vip", limit=3)
    assert (done["claimed"], done["accounts"], done["tokens"]) == (3, 3, 30)
    assert (done["failed"], done["remaining"], done["outcomes"]) == (0, 2, {"applied": 3})
    assert done["batches"] == [str(RechargeBatch.objects.get().pk)]
    rest = run(capsys, "grant_vip")
    assert (rest["claimed"], rest["remaining"]) == (2, 0)
    nothing = run(capsys, "grant_vip")
    assert (nothing["claimed"], nothing["batches"]) == (0, [])
    assert done.keys() == planned.keys() == nothing.keys()
    assert [available(user) for user in users] == [10] * 5
    call_command("grant_vip")
    assert "Every VIP account has had its tokens" in capsys.readouterr().out


def test_the_grant_command_finishes_what_an_earlier_run_has_left(capsys, settings):
    user = make_vip()
    make_vip()
    settings.RECHARGE_SYNC_LINES_MAX = 1
    services.grant_vip()
    assert available(user) == 0
    report = run(capsys, "grant_vip")
    assert (report["claimed"], report["accounts"]) == (0, 2)
    assert available(user) == 10


def test_the_grant_command_fails_where_an_account_was_not_granted(capsys):
    Wallet.objects.create(owner=make_vip(), status="FROZEN")
    report = run(capsys, "grant_vip", returncode=1)
    assert report["outcomes"] == {"account_frozen": 1}


def test_the_grant_command_refuses_wrong_days_and_too_much(capsys, settings):
    make_vip()
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    answer = run(capsys, "grant_vip", date=tomorrow, returncode=2)
    assert answer["error"]["code"] == "grant_day_refused"
    settings.VIP_GRANT_TOTAL_MAX = 9
    answer = run(capsys, "grant_vip", returncode=1)
    assert answer["error"]["code"] == "grant_total_exceeded"
    assert answer["error"]["tokens_total"] == 10


# --- expire_tokens --------------------------------------------------------------------------------
@pytest.fixture
def overdue(operator, people):
    """Lots of two categories that have ended, and one that has not."""
    for user, category in zip(people, ("paid", "promo", "promo", "plan"), strict=True):
        terms = LotTerms(category=Category(category))
        create([(user.user_ref, 5, "", terms)], actor=operator)
    past = timezone.now() - dt.timedelta(hours=1)
    ended = CreditLot.objects.exclude(category="PLAN")
    ended.update(effective_at=past - dt.timedelta(days=1), expires_at=past)


def test_the_expiry_command_counts_then_expires_by_category(overdue, people, capsys):
    before = digest_of_all_tables()
    planned = run(capsys, "expire_tokens", dry_run=True)
    assert digest_of_all_tables() == before
    by_category = {"paid": {"lots": 1, "tokens": 5}, "promo": {"lots": 2, "tokens": 10}}
    assert planned["by_category"] == by_category
    assert (planned["lots"], planned["tokens"], planned["left_lots"]) == (3, 15, 3)
    done = run(capsys, "expire_tokens")
    assert (done["by_category"], done["left_lots"]) == (by_category, 0)
    assert done.keys() == planned.keys()
    assert run(capsys, "expire_tokens")["lots"] == 0
    assert [available(user) for user in people] == [0, 0, 0, 5]


def test_the_expiry_command_ends_at_its_limit(overdue, capsys):
    done = run(capsys, "expire_tokens", limit=1)
    assert (done["lots"], done["left_lots"]) == (1, 2)
    call_command("expire_tokens", limit=1)
    shown = capsys.readouterr().out
    assert "1 lots with 5 tokens have expired." in shown
    assert "1 overdue lots are left" in shown


def test_processes_expire_once_and_one_killed_in_the_middle_leaves_no_trace(overdue, people):
    def outcome(process) -> tuple[int, int]:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return json.loads(output)["lots"], json.loads(output)["left_lots"]

    with transaction.atomic():
        with connection.cursor() as cursor:
            # The first process locks the wallets, gets as far as the journal, and waits there.
            cursor.execute("LOCK TABLE tokens_transfer IN EXCLUSIVE MODE")
        killed = start_command("expire_tokens", "--json")
        give_up_at = time.monotonic() + 60
        while not is_waiting_for_the_journal() and time.monotonic() < give_up_at:
            time.sleep(0.02)
        assert is_waiting_for_the_journal()
        assert outcome(start_command("expire_tokens", "--json")) == (0, 3)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
    assert outcome(start_command("expire_tokens", "--json")) == (3, 0)
    assert [available(user) for user in people] == [0, 0, 0, 5]
    assert Transfer.objects.filter(kind="EXPIRE").count() == 3


def is_waiting_for_the_journal() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE relation = 'tokens_transfer'::regclass AND NOT granted"
        )
        return bool(cursor.fetchone()[0])


# --- All of them ----------------------------------------------------------------------------------
NAMES = sorted(
    name
    for name, app_name in get_commands().items()
    if app_name == "tokens" and isinstance(load_command_class("tokens", name), MoneyCommand)
)


def test_no_command_of_the_money_is_left_out():
    assert {
        "bulk_recharge",
        "expire_tokens",
        "grant_vip",
        "ledger_export",
        "ledger_month",
        "ledger_verify",
        "reconcile",
        "seal_ledger",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_all_of_them_have_the_same_options(name):
    parser = load_command_class("tokens", name).create_parser("manage.py", name)
    for option in ("--dry-run", "--json"):
        action = parser._option_string_actions[option]  # no other way to ask
        assert isinstance(action, argparse._StoreTrueAction)
        assert action.help


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_over_itself_and_gone_in_the_end():
    terminal = Terminal()
    bar = Progress(OutputWrapper(terminal), total=4)
    bar.step("half", 2)
    bar.move_to("all", 4)
    bar.finish()
    shown = terminal.getvalue()
    assert "\n" not in shown
    assert f"[{'#' * 15}{'.' * 15}] 2/4 half" in shown
    assert shown.endswith("4/4 all\r\x1b[2K")


def test_a_bar_is_silent_where_nobody_watches():
    file = io.StringIO()
    bar = Progress(OutputWrapper(file))
    bar.step("x")
    bar.finish()
    assert not file.getvalue()
