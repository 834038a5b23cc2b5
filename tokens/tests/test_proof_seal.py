from __future__ import annotations

import json
from threading import Event, Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from tokens import audit
from tokens.ledger import seal, statements
from tokens.models import ReconRun, SealBlock, SealMember, Transfer
from tokens.services import proof
from tokens.tests.corruption import corrupted
from tokens.tests.factories import credit_one, make_user, recharge

pytestmark = pytest.mark.django_db(transaction=True)


def broken() -> set[str]:
    return {violation.name for violation in audit.find_violations()}


@pytest.fixture
def chain():
    """Three blocks of two transfers each."""
    actor = make_user()
    recharge([make_user().user_ref for _ in range(6)], 5, actor=actor)
    while True:
        with transaction.atomic():
            count = seal.seal(block_rows=2)
        if count.is_done:
            break
    assert list(SealBlock.objects.order_by("number").values_list("transfers_count")) == [(2,)] * 3
    return actor


def test_a_run_seals_everything_once(chain):
    assert SealMember.objects.count() == Transfer.objects.count() == 6
    assert seal.count_unsealed() == 0
    again = seal.seal_all()
    assert (again.blocks, again.transfers) == (0, 0)
    assert SealBlock.objects.count() == 3


def test_each_block_names_the_one_before(chain):
    first, second, third = SealBlock.objects.order_by("number")
    assert first.previous_hash == seal.GENESIS
    assert (second.previous_hash, third.previous_hash) == (first.hash, second.hash)


def test_a_long_journal_is_sealed_in_several_runs():
    actor = make_user()
    refs = [make_user().user_ref for _ in range(2)]
    for _ in range(5):
        recharge(refs, 1, actor=actor)
    runs: list[seal.SealCount] = []
    while not runs or not runs[-1].is_done:
        with transaction.atomic():
            runs.append(seal.seal(run_rows=3))
    # Rows of one writer stay together, so a run ends at two or four of the ten.
    assert [run.transfers for run in runs if run.transfers] == [2, 2, 2, 2, 2]
    assert audit.find_violations() == []


def test_a_writer_larger_than_a_run_is_sealed_as_a_whole():
    recharge([make_user().user_ref for _ in range(5)], 1, actor=make_user())
    with transaction.atomic():
        count = seal.seal(run_rows=2)
    assert count.transfers == 5


def test_what_an_older_open_writer_commits_late_is_not_skipped():
    actor, early, late = make_user(), make_user(), make_user()
    written, may_commit = Event(), Event()

    def write_slowly() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # The writer's number, and the transfer's, are older than those of the next ones.
                cursor.execute("SELECT pg_current_xact_id()")
                cursor.execute("SELECT nextval(pg_get_serial_sequence('tokens_transfer', 'id'))")
                written.set()
                assert may_commit.wait(30)
                credit_one()
        finally:
            connection.close()

    recharge([early.user_ref], 1, actor=actor)
    writer = Thread(target=write_slowly)
    writer.start()
    assert written.wait(30)
    recharge([late.user_ref], 1, actor=actor)
    before = seal.seal_all()
    # The younger recharge is committed and visible, yet it waits with the open writer.
    assert before.transfers == 1
    assert seal.count_unsealed() == 1
    may_commit.set()
    writer.join()
    after = seal.seal_all()
    assert after.transfers == 2
    assert seal.count_unsealed() == 0
    assert audit.find_violations() == []


def test_two_runs_at_once_make_one_chain(chain):
    recharge([make_user().user_ref], 1, actor=chain)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            seal.seal_all()
        except BaseException as error:  # noqa: BLE001  handed to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert SealBlock.objects.count() == 4
    assert audit.find_violations() == []


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (
            (
                "UPDATE tokens_transfer SET amount = 6 WHERE id IN"
                " (SELECT min(id) FROM tokens_transfer)"
            ),
            "seal_contents_recompute",
        ),
        (
            "DELETE FROM tokens_transfer WHERE id = (SELECT min(id) FROM tokens_transfer)",
            "seal_contents_recompute",
        ),
        (
            (
                "WITH gone AS (DELETE FROM tokens_sealmember WHERE transfer_id ="
                " (SELECT min(id) FROM tokens_transfer) RETURNING transfer_id)"
                " DELETE FROM tokens_transfer WHERE id IN (SELECT transfer_id FROM gone)"
            ),
            "seal_contents_recompute",
        ),
        # A row that is added to an old block.
        (
            (
                "WITH forged AS (INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit,"
                " credit, amount) SELECT 'CREDIT', wallet_id, id, 'ADJUSTMENT', 'WALLET', 1"
                " FROM tokens_creditlot LIMIT 1 RETURNING id)"
                " INSERT INTO tokens_sealmember (transfer_id, block_id) SELECT id, 1 FROM forged"
            ),
            "seal_contents_recompute",
        ),
        # A row that pretends to be old and sealed no longer.
        (
            (
                "INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount,"
                " recorded_xid) SELECT 'CREDIT', wallet_id, id, 'ADJUSTMENT', 'WALLET', 1,"
                " '3'::xid8 FROM tokens_creditlot LIMIT 1"
            ),
            "no_row_slipped_past_the_seals",
        ),
        # Two rows exchange their places.
        (
            (
                "UPDATE tokens_transfer t SET id = -t.id WHERE id IN (SELECT transfer_id FROM"
                " tokens_sealmember WHERE block_id = 1)"
            ),
            "sealed_row_exists",
        ),
        (
            (
                "UPDATE tokens_transfer t SET wallet_id = o.wallet_id, lot_id = o.lot_id,"
                " recharge_line_id = NULL FROM tokens_transfer o WHERE t.id <> o.id AND t.id IN"
                " (SELECT transfer_id FROM tokens_sealmember WHERE block_id = 1) AND o.id IN"
                " (SELECT transfer_id FROM tokens_sealmember WHERE block_id = 1)"
            ),
            "seal_contents_recompute",
        ),
        # Blocks exchange their contents, or their places in the chain.
        (
            "UPDATE tokens_sealmember SET block_id = 3 - block_id WHERE block_id IN (1, 2)",
            "seal_contents_recompute",
        ),
        (
            (
                "UPDATE tokens_sealblock SET number = 10 WHERE number = 1;"
                " UPDATE tokens_sealblock SET number = 1 WHERE number = 2;"
                " UPDATE tokens_sealblock SET number = 2 WHERE number = 10"
            ),
            "seal_chain_links",
        ),
        ("DELETE FROM tokens_sealblock WHERE number = 2", "seal_chain_links"),
        ("UPDATE tokens_sealblock SET horizon = horizon + 1 WHERE number = 2", "seal_chain_links"),
    ],
)
def test_tampering_is_named(chain, statement, name):
    assert broken() == set()
    with corrupted(statement):
        assert name in broken()


@pytest.mark.parametrize(
    "statement", ["DELETE FROM tokens_sealblock", "UPDATE tokens_sealmember SET block_id = 1"]
)
def test_seals_are_append_only(chain, statement):
    with pytest.raises(DatabaseError, match="immutable"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_statement_is_found_again_after_the_chain_has_grown(chain, tmp_path):
    path = statements.write(folder=tmp_path)
    assert path is not None
    recharge([make_user().user_ref], 1, actor=chain)
    seal.seal_all()
    document = json.loads(path.read_text())
    assert document["statement"]["transfers"] == 6
    assert proof.find_statement_faults(document) == []
    call_command("ledger_verify", statement=[path])


def test_a_statement_names_what_contradicts_it(chain):
    document = proof.make_statement()
    assert document is not None
    forged = {**document, "statement": {**document["statement"], "tokens_moved": 1}}
    assert proof.find_statement_faults(forged) == ["signature_wrong"]
    assert proof.find_statement_faults({**document, "key_id": "x"}) == ["other_key"]
    assert proof.find_statement_faults({}) == ["malformed"]
    # A chain that was cut at its end, or made anew, is intact in itself: only statements tell.
    with corrupted(
        "DELETE FROM tokens_transfer WHERE id IN (SELECT transfer_id FROM tokens_sealmember"
        " WHERE block_id = 3); DELETE FROM tokens_sealmember WHERE block_id = 3;"
        " DELETE FROM tokens_sealblock WHERE number = 3"
    ):
        assert not {"seal_chain_links", "seal_contents_recompute"} & broken()
        assert proof.find_statement_faults(document) == ["block_missing"]
    with corrupted("UPDATE tokens_sealblock SET hash = repeat('0', 64) WHERE number = 3"):
        assert proof.find_statement_faults(document) == ["block_differs"]


def test_another_key_is_said_to_be_another_key(chain, settings):
    document = proof.make_statement()
    assert document is not None
    settings.LEDGER_STATEMENT_KEY = "another key " * 5
    assert proof.find_statement_faults(document) == ["other_key"]


def test_there_is_no_statement_of_nothing(tmp_path):
    assert proof.make_statement() is None
    assert proof.write_statement(folder=tmp_path) is None


def test_the_seal_command_counts_then_seals_then_states(capsys, tmp_path):
    recharge([make_user().user_ref], 1, actor=make_user())
    call_command("seal_ledger", dry_run=True, json=True)
    assert json.loads(capsys.readouterr().out) == {"unsealed_transfers": 1}
    assert not SealBlock.objects.exists()
    call_command("seal_ledger", json=True, statements=tmp_path)
    report = json.loads(capsys.readouterr().out)
    assert (report["blocks"], report["transfers"]) == (1, 1)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_verify_reports_proven_books_and_keeps_the_outcome(chain, capsys):
    call_command("ledger_verify")
    assert "The books balance. Sealed up to block 3." in capsys.readouterr().out
    call_command("ledger_verify", json=True, dry_run=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["checks"], report["violations"]) == (len(audit.NAMES), [])
    run = ReconRun.objects.get()
    assert (run.kind, run.status, run.summary["head_block"]) == ("VERIFY", "PASSED", 3)


@pytest.mark.corrupts_books
def test_verify_fails_and_names_the_rows(chain, capsys):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tokens_wallet SET available = 99")
    with pytest.raises(CommandError, match="not proven") as failure:
        call_command("ledger_verify")
    assert failure.value.returncode == 1
    assert "BROKEN  wallet_available_is_the_sum_of_its_transfers: 6" in capsys.readouterr().out
    run = ReconRun.objects.get()
    assert run.status == "FAILED"
    named = {item["name"]: item["count"] for item in run.violations}
    assert named["wallet_available_is_the_sum_of_its_transfers"] == 6


def test_verify_refuses_a_forged_statement(chain, tmp_path, capsys):
    path = tmp_path / "statement.json"
    path.write_text('{"statement": {"block": 1}, "key_id": "x"}')
    with pytest.raises(CommandError, match="not proven"):
        call_command("ledger_verify", statement=[path], dry_run=True)
    assert "other_key" in capsys.readouterr().out


def test_verify_cannot_write(chain):
    seen: list[str] = []

    def try_to_write(name: str) -> None:
        if not seen:
            seen.append(name)
            with pytest.raises(DatabaseError, match="read-only"):
                Transfer.objects.filter(pk=0).update(amount=1)
            # The failed statement ended the transaction; the verification cannot go on.
            raise InterruptedError

    with pytest.raises(InterruptedError):
        proof.verify_ledger(progress=try_to_write)
    assert seen
