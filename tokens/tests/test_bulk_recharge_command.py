"""Recharging from a file on the command line."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys

import openpyxl
import pytest
from django.core.management import CommandError, call_command

from accounts.types import Role
from tokens.models import ApprovalPolicy, CreditLot, RechargeBatch, Wallet
from tokens.tests.commands import run
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available

pytestmark = pytest.mark.django_db(transaction=True)
FILE_OPTIONS = {"mode": "soft_fail", "reason": "July"}


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def people():
    return [make_user(user_ref=f"user-{number}") for number in range(4)]


@pytest.fixture
def rows(tmp_path):
    """A file with four good rows and two bad ones."""
    path = tmp_path / "rows.csv"
    lines = ["user,amount", *(f"user-{number},5" for number in range(4)), "nobody,5", "user-0,1"]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("sync_max", [2, 1_000])
def test_a_file_is_recharged_and_its_repeat_moves_nothing(
    operator, people, rows, capsys, settings, sync_max
):
    settings.RECHARGE_SYNC_LINES_MAX = sync_max
    settings.RECHARGE_CHUNK_LINES = 2
    options = {**FILE_OPTIONS, "actor": operator.username}
    first = run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    assert first["status"] == "partially_applied"
    assert (first["lines"], first["applied"], first["failed"], first["tokens"]) == (6, 4, 2, 20)
    assert first["outcomes"] == {
        "applied": 4,
        "account_not_found": 1,
        "duplicate_row_in_batch": 1,
    }
    assert [(line["row_no"], line["code"]) for line in first["failures"]] == [
        (5, "account_not_found"),
        (6, "duplicate_row_in_batch"),
    ]
    again = run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    assert (again["is_replay"], again["batch"]) == (True, first["batch"])
    assert again["outcomes"] == first["outcomes"]
    assert [available(user) for user in people] == [5] * 4
    batch = RechargeBatch.objects.get()
    assert (batch.actor, batch.source, batch.reason) == (operator, "CSV", "July")


def test_another_key_other_options_or_another_file_is_another_recharge(
    operator, people, rows, capsys
):
    options = {**FILE_OPTIONS, "actor": operator.user_ref, "returncode": 1}
    for change in ({}, {"key": "August"}, {"reason": "August"}, {"amount": 9}, {"priority": 3}):
        run(capsys, "bulk_recharge", str(rows), **options | change)
    rows.write_text(rows.read_text() + "\n")
    run(capsys, "bulk_recharge", str(rows), **options)
    assert available(people[0]) == 30


def test_a_key_that_was_used_with_another_file_is_refused(operator, people, rows, capsys):
    options = {**FILE_OPTIONS, "actor": operator.user_ref, "key": "k"}
    run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    rows.write_text("user,amount\nuser-1,5\n")
    answer = run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    assert answer["error"]["code"] == "idempotency_key_reused"
    assert answer["error"]["next_step"]


def test_a_dry_run_judges_and_changes_nothing(operator, people, rows, capsys):
    options = {**FILE_OPTIONS, "actor": operator.user_ref}
    before = digest_of_all_tables()
    seen = run(capsys, "bulk_recharge", str(rows), dry_run=True, returncode=1, **options)
    assert digest_of_all_tables() == before
    done = run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    for name in ("status", "lines", "applied", "failed", "tokens", "failures", "content_sha256"):
        assert seen[name] == done[name]


def test_an_atomic_refusal_names_the_rows_at_fault_alone(operator, people, rows, capsys):
    options = {"mode": "atomic", "reason": "July", "actor": operator.user_ref, "returncode": 1}
    for dry_run in (True, False):
        report = run(capsys, "bulk_recharge", str(rows), dry_run=dry_run, **options)
        assert (report["status"], report["applied"]) == ("failed", 0)
        assert report["outcomes"]["rolled_back"] == 4
        assert [line["row_no"] for line in report["failures"]] == [5, 6]
    assert not CreditLot.objects.exists()


def test_failed_rows_are_written_to_be_corrected(operator, people, rows, tmp_path, capsys):
    out = tmp_path / "failed.csv"
    options = {**FILE_OPTIONS, "actor": operator.user_ref}
    report = run(capsys, "bulk_recharge", str(rows), returncode=1, failures=out, **options)
    assert report["failures_file"] == str(out)
    failed = list(csv.DictReader(out.open()))
    assert [(row["user"], row["code"]) for row in failed] == [
        ("nobody", "account_not_found"),
        ("user-0", "duplicate_row_in_batch"),
    ]
    corrected = [row for row in failed if row["user"] == "nobody"]
    out.write_text("user,amount\n" + "".join(f"user-3,{row['amount']}\n" for row in corrected))
    assert run(capsys, "bulk_recharge", str(out), **options)["status"] == "applied"


def _workbook(pairs):
    workbook, buffer = openpyxl.Workbook(), io.BytesIO()
    sheet = workbook.create_sheet(index=0)
    for row in (("user", "amount"), *pairs):
        sheet.append(row)
    workbook.save(buffer)
    return buffer.getvalue()


FORMATS = {
    "csv": lambda pairs: "\n".join(
        ["user,amount", *(f"{user},{amount}" for user, amount in pairs)]
    ).encode(),
    "ndjson": lambda pairs: b"".join(
        json.dumps({"user": user, "amount": amount}).encode() + b"\n" for user, amount in pairs
    ),
    "json": lambda pairs: json.dumps(
        [{"user": user, "amount": amount} for user, amount in pairs]
    ).encode(),
    "xlsx": _workbook,
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("is_stdin", [True, False])
def test_every_format_comes_from_a_file_or_the_standard_input(
    people, tmp_path, capsys, monkeypatch, name, is_stdin
):
    content = FORMATS[name]([("user-0", 3), ("user-1", 4)])
    path = tmp_path / f"rows.{name}"
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    report = run(
        capsys,
        "bulk_recharge",
        "-" if is_stdin else str(path),
        format=name if is_stdin else None,
        mode="atomic",
        reason="July",
        actor=make_user(role=Role.OPERATOR).user_ref,
    )
    assert (report["status"], report["source"], report["tokens"]) == ("applied", name, 7)
    assert [available(user) for user in people] == [3, 4, 0, 0]


def test_terms_apply_to_rows_without_their_own(operator, people, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("user,amount,category\nuser-0,,\nuser-1,2,promo\n")
    call_command(
        "bulk_recharge",
        str(path),
        "--expires-at=2099-01-01",
        "--category=reward",
        "--priority=7",
        "--amount=6",
        mode="atomic",
        reason="July",
        actor=operator.user_ref,
    )
    lots = CreditLot.objects.order_by("wallet__owner__user_ref")
    assert [(lot.category, lot.granted, lot.priority) for lot in lots] == [
        ("REWARD", 6, 7),
        ("PROMO", 2, 7),
    ]
    assert lots[0].expires_at == dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


def test_without_waiting_a_large_batch_is_left_to_the_workers(
    operator, people, rows, capsys, settings
):
    settings.RECHARGE_SYNC_LINES_MAX = 2
    options = {**FILE_OPTIONS, "actor": operator.user_ref}
    report = run(capsys, "bulk_recharge", str(rows), wait=False, **options)
    assert (report["status"], report["applied"]) == ("queued", 0)
    # The same command, willing to wait, takes it up.
    report = run(capsys, "bulk_recharge", str(rows), returncode=1, **options)
    assert (report["is_replay"], report["applied"]) == (True, 4)


def test_a_batch_that_needs_approval_says_so_and_is_no_failure(operator, people, rows, capsys):
    ApprovalPolicy.objects.create(name="all", rows_min=1, roles=["OPERATOR"])
    call_command("bulk_recharge", str(rows), actor=operator.user_ref, **FILE_OPTIONS)
    shown = capsys.readouterr().out
    assert "pending_approval" in shown
    assert "waits for approval" in shown
    assert not Wallet.objects.exists()


def test_the_report_for_people_has_figures_outcomes_and_the_first_failures(
    operator, people, rows, capsys
):
    with pytest.raises(CommandError, match="2 of 6 rows moved nothing"):
        call_command("bulk_recharge", str(rows), actor=operator.user_ref, **FILE_OPTIONS)
    shown = capsys.readouterr()
    assert "tokens   20\n" in shown.out
    assert "  account_not_found       1\n" in shown.out
    assert "      5  nobody  account_not_found: No active user has this reference" in shown.out
    assert "\r" not in shown.err


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["missing.csv"], "cannot be read"),
        (["-"], "--format"),
        (["{rows}", "--actor=nobody"], "No one active user"),
        (["{rows}", "--actor=user-0"], "role"),
        (["{rows}", "--reason= "], "--reason"),
        (["{rows}", f"--operator={'x' * 129}"], "--operator"),
        (["{rows}", f"--key={'x' * 256}"], "--key"),
        (["{rows}", "--dry-run", "--failures=x.csv"], "--dry-run"),
        (["{rows}", "--no-wait", "--failures=x.csv"], "--no-wait"),
        (["{txt}"], "must end in"),
        (["{empty}"], "invalid_recharge"),
    ],
)
def test_wrong_use_ends_with_2_and_stores_nothing(
    operator, people, rows, tmp_path, arguments, match
):
    (tmp_path / "rows.doc").write_text("x")
    (tmp_path / "empty.csv").write_text("user,amount\n")
    places = {"rows": rows, "txt": tmp_path / "rows.doc", "empty": tmp_path / "empty.csv"}
    filled = [argument.format(**places) for argument in arguments]
    with pytest.raises(CommandError, match=match) as failure:
        call_command(
            "bulk_recharge",
            *["--mode=atomic", "--reason=July", f"--actor={operator.user_ref}"],
            *filled,
        )
    assert failure.value.returncode == 2
    assert not RechargeBatch.objects.exists()


def test_a_name_that_means_two_accounts_is_refused(operator, people, rows):
    twin = make_user(role=Role.OPERATOR)
    twin.username = operator.user_ref
    twin.save()
    with pytest.raises(CommandError, match="No one active user"):
        call_command("bulk_recharge", str(rows), actor=operator.user_ref, **FILE_OPTIONS)


def test_a_real_process_ends_with_the_code_and_keeps_its_output_clean(operator, people, rows):
    arguments = ("--mode=soft_fail", "--reason=July", f"--actor={operator.username}")
    failed = start_command("bulk_recharge", str(rows), "--json", *arguments)
    output, errors = failed.communicate(timeout=120)
    assert (failed.returncode, json.loads(output)["applied"]) == (1, 4)
    assert "2 of 6 rows moved nothing" in errors
    misused = start_command("bulk_recharge", str(rows), "--mode=none")
    assert misused.wait(timeout=120) == 2
