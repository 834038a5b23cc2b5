"""Staged rows of finished batches are thrown away after a while, and nothing else is."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from accounts.types import Role
from tokens import services
from tokens.approval_review import review
from tokens.approvals import VoteDecision
from tokens.checks import check_purge
from tokens.models import ApprovalRequest, AuditEvent, RechargeBatch, RechargeChunk, RechargeLine
from tokens.services import housekeeping
from tokens.tasks import purge_staged_rows
from tokens.tests.approvals import ballot, make_policy, make_staff
from tokens.tests.factories import make_user
from tokens.tests.recharges import create, read, work
from tokens.tests.threads import in_threads
from tokens.types import RechargeMode, ReversalOrder, ReversalPolicy

pytestmark = pytest.mark.django_db(transaction=True)
KEPT = "staged rows are kept"


@pytest.fixture(autouse=True)
def _stage_everything(settings):
    settings.RECHARGE_SYNC_LINES_MAX = 0
    settings.RECHARGE_CHUNK_LINES = 2


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def finished(operator, *, days, rows=3):
    """A soft-fail batch that ended so many days ago."""
    receipt = create([(make_user().user_ref, 5) for _row in range(rows)], actor=operator)
    work(receipt)
    age(receipt.batch_id, days=days)
    return receipt


def age(batch_id, *, days):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tokens_rechargebatch SET finished_at = now() - %s * interval '1 day'"
            " WHERE id = %s",
            [days, batch_id],
        )


def staged(receipt):
    return RechargeChunk.objects.filter(batch_id=receipt.batch_id).count()


def delete_by_hand(receipt):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM tokens_rechargechunk WHERE batch_id = %s", [receipt.batch_id])


def test_old_rows_go_and_their_lines_stay(operator):
    old, young = finished(operator, days=31), finished(operator, days=29)
    waiting = create([(make_user().user_ref, 5)], actor=operator)
    before = read(old)
    purge_staged_rows()
    assert (staged(old), staged(young), staged(waiting)) == (0, 2, 1)
    assert read(old) == before
    assert RechargeLine.objects.filter(batch_id=old.batch_id).count() == 3
    assert len(review(batch_id=old.batch_id).outliers) == 3
    event = AuditEvent.objects.get(action="recharge_batch.staged_rows_purged")
    assert (event.subject, event.before) == (
        f"recharge_batch:{old.batch_id}",
        {"chunks": 2, "rows": 3},
    )
    purge_staged_rows()
    assert AuditEvent.objects.filter(action="recharge_batch.staged_rows_purged").count() == 1
    assert work(waiting).status == "applied"
    # What the lines know is enough to take the batch back.
    order = ReversalOrder(
        mode=RechargeMode.ATOMIC, policy=ReversalPolicy.REFUSE, reason="wrong campaign"
    )
    reversal = services.reverse_batch(
        batch_id=old.batch_id, order=order, actor_id=operator.pk, idempotency_key="r"
    )
    assert work(reversal).status == "applied"


def test_runs_at_once_purge_once(operator):
    for _batch in range(3):
        finished(operator, days=31)
    assert in_threads(*[purge_staged_rows] * 4) == []
    assert not RechargeChunk.objects.exists()
    assert AuditEvent.objects.filter(action="recharge_batch.staged_rows_purged").count() == 3


def test_the_digest_of_an_approved_batch_still_holds():
    make_policy(batch_tokens_min=1)
    maker, checker = make_staff()
    receipt = create([(make_user().user_ref, 5)], actor=maker)
    request = ApprovalRequest.objects.get()
    services.vote_on_batch(request_id=request.pk, voter_id=checker.pk, ballot=ballot(request))
    assert work(receipt).status == "applied"
    age(receipt.batch_id, days=31)
    assert housekeeping.purge_staged_rows().rows == 1
    batch = RechargeBatch.objects.get()
    assert batch.content_sha256 == request.content_sha256 == receipt.content_sha256


@pytest.mark.parametrize("end", ["rejected", "stopped"])
def test_a_batch_that_moved_nothing_is_purged_too(end):
    make_policy(batch_tokens_min=1)
    maker, checker = make_staff()
    receipt = create([(make_user().user_ref, 5)], actor=maker)
    request = ApprovalRequest.objects.get()
    if end == "stopped":
        services.stop_batch(batch_id=receipt.batch_id, actor_id=maker.pk)
    else:
        no = ballot(request, VoteDecision.REJECT)
        services.vote_on_batch(request_id=request.pk, voter_id=checker.pk, ballot=no)
    assert read(receipt).status == end
    age(receipt.batch_id, days=31)
    assert housekeeping.purge_staged_rows().rows == 1
    assert read(receipt).failures[0].code == "not_attempted"


# --- What the database insists on -----------------------------------------------------------------


def test_a_batch_that_goes_on_keeps_its_rows(operator):
    waiting = create([(make_user().user_ref, 5)], actor=operator)
    with pytest.raises(IntegrityError, match=KEPT):
        delete_by_hand(waiting)
    services.pause_batch(batch_id=waiting.batch_id, actor_id=operator.pk)
    with pytest.raises(IntegrityError, match=KEPT):
        delete_by_hand(waiting)


def test_a_batch_that_ended_this_week_keeps_its_rows(operator, settings):
    receipt = finished(operator, days=6.9)
    with pytest.raises(IntegrityError, match=KEPT):
        delete_by_hand(receipt)
    settings.RECHARGE_CHUNK_KEEP_DAYS = 6
    assert [fault.id for fault in check_purge()] == ["tokens.E004"]
    with pytest.raises(IntegrityError, match=KEPT):
        housekeeping.purge_staged_rows()
    age(receipt.batch_id, days=7.1)
    settings.RECHARGE_CHUNK_KEEP_DAYS = 7
    assert check_purge() == []
    assert housekeeping.purge_staged_rows().rows == 3


@pytest.mark.corrupts_books
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tokens_rechargechunk SET state = 'PENDING' WHERE seq = 1",
        "DELETE FROM tokens_rechargeline WHERE row_no = 3",
    ],
)
def test_a_row_without_its_line_is_kept(operator, damage):
    receipt = finished(operator, days=31)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tokens_rechargeline DISABLE TRIGGER USER")
        cursor.execute(damage)
        cursor.execute("ALTER TABLE tokens_rechargeline ENABLE TRIGGER USER")
    with pytest.raises(IntegrityError, match=KEPT):
        delete_by_hand(receipt)
    assert staged(receipt) == 2


def test_what_is_staged_still_does_not_change(operator):
    receipt = finished(operator, days=31)
    with pytest.raises(IntegrityError, match="immutable"):
        RechargeChunk.objects.update(payload=[])
    assert staged(receipt) == 2


# --- The command ----------------------------------------------------------------------------------


def run(*options):
    out = io.StringIO()
    call_command("purge_staged_rows", *options, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_command_says_what_it_would_do_then_does_it(operator):
    receipt = finished(operator, days=31)
    counted = {"keep_days": 30, "batches": 1, "chunks": 2, "rows": 3}
    assert json.loads(run("--dry-run", "--json")) == {"dry_run": True, **counted}
    assert (staged(receipt), AuditEvent.objects.filter(actor=None).count()) == (2, 1)
    assert json.loads(run("--json")) == {"dry_run": False, **counted}
    assert staged(receipt) == 0
    assert "rows" in run()
