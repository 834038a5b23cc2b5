from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.types import Role
from tokens import audit, services
from tokens.ledger import rollups, seal
from tokens.models import ApprovalPolicy
from tokens.services import proof
from tokens.tests.corruption import corrupted
from tokens.tests.factories import make_user, recharge
from tokens.wallets import AdjustmentOrder

pytestmark = pytest.mark.django_db(transaction=True)

# Deliberate corruptions, each past the triggers and constraints that would normally stop it. The
# check that is named must find it; others may as well.
CORRUPTIONS = [
    (
        "transfer_moves_tokens_between_the_accounts_of_its_kind",
        "UPDATE tokens_transfer SET credit = 'BREAKAGE' WHERE kind = 'SETTLE'",
    ),
    (
        "transfer_moves_tokens_between_the_accounts_of_its_kind",
        "UPDATE tokens_transfer SET debit = credit WHERE kind = 'RECHARGE'",
    ),
    (
        "wallets_and_system_accounts_sum_to_zero",
        "UPDATE tokens_transfer SET amount = amount + 1 WHERE kind = 'RECHARGE'",
    ),
    (
        "wallet_available_is_the_sum_of_its_transfers",
        "UPDATE tokens_wallet SET available = available + 1",
    ),
    ("wallet_held_is_the_sum_of_its_transfers", "UPDATE tokens_wallet SET held = held + 1"),
    (
        "wallet_held_is_the_sum_of_pending_holds",
        "UPDATE tokens_hold SET status = 'VOIDED', resolved_at = now() WHERE status = 'PENDING'",
    ),
    (
        "wallet_is_the_sum_of_its_lots",
        "UPDATE tokens_creditlot SET granted = granted + 1, available = available + 1",
    ),
    (
        "lot_is_the_sum_of_its_transfers",
        "UPDATE tokens_creditlot SET granted = granted + 1, held = held + 1",
    ),
    (
        "lot_belongs_to_the_wallet_of_its_transfers",
        "UPDATE tokens_creditlot SET wallet_id = (SELECT max(id) FROM tokens_wallet)",
    ),
    (
        "wallet_was_never_negative",
        "UPDATE tokens_transfer SET amount = 1 WHERE kind = 'RECHARGE'",
    ),
    ("wallet_was_never_negative", "UPDATE tokens_transfer SET amount = 1 WHERE kind = 'HOLD'"),
    ("lot_was_never_negative", "UPDATE tokens_transfer SET amount = 1 WHERE kind = 'RECHARGE'"),
    (
        "reversal_mirrors_its_recharge_once",
        (
            "UPDATE tokens_transfer SET reverses_id = (SELECT min(id) FROM tokens_transfer)"
            " WHERE kind = 'SETTLE'"
        ),
    ),
    (
        "hold_agrees_with_its_transfers",
        "UPDATE tokens_hold SET settled = settled - 1 WHERE status = 'SETTLED'",
    ),
    ("hold_agrees_with_its_transfers", "DELETE FROM tokens_transfer WHERE kind = 'RELEASE'"),
    (
        "transfer_concerns_the_wallet_of_its_origin",
        (
            "UPDATE tokens_hold SET wallet_id = (SELECT max(id) FROM tokens_wallet)"
            " WHERE status = 'SETTLED'"
        ),
    ),
    (
        "applied_line_has_one_transfer_of_its_amount",
        "UPDATE tokens_rechargeline SET amount = amount + 1",
    ),
    (
        "applied_line_has_one_transfer_of_its_amount",
        "DELETE FROM tokens_transfer WHERE kind = 'RECHARGE'",
    ),
    (
        "batch_agrees_with_its_lines",
        "UPDATE tokens_rechargebatch SET tokens_total = tokens_total + 1",
    ),
    ("batch_agrees_with_its_lines", "DELETE FROM tokens_rechargeline"),
    (
        "batch_total_is_in_the_journal",
        "UPDATE tokens_transfer SET amount = amount + 1 WHERE kind = 'RECHARGE'",
    ),
    (
        "adjustment_is_the_sum_of_its_transfers",
        "UPDATE tokens_adjustment SET amount = amount + 1",
    ),
    (
        "adjustment_is_the_sum_of_its_transfers",
        "UPDATE tokens_transfer SET adjustment_id = NULL WHERE kind = 'DEBIT'",
    ),
    ("adjustment_is_the_sum_of_its_transfers", "DELETE FROM tokens_transfer WHERE kind = 'CREDIT'"),
    ("closed_wallet_is_empty", "UPDATE tokens_wallet SET status = 'CLOSED'"),
    ("no_row_points_at_nothing", "DELETE FROM tokens_adjustment"),
    (
        "no_hold_is_pending_an_hour_past_its_deadline",
        "UPDATE tokens_hold SET expires_at = now() - interval '2 hours' WHERE status = 'PENDING'",
    ),
    (
        "no_expired_lot_keeps_tokens_for_a_day",
        (
            "UPDATE tokens_creditlot SET effective_at = now() - interval '9 days',"
            " expires_at = now() - interval '2 days'"
        ),
    ),
    (
        "no_batch_stands_still_for_an_hour",
        (
            "UPDATE tokens_rechargebatch SET status = 'APPLYING', lease_id = gen_random_uuid(),"
            " lease_expires_at = now() - interval '2 hours'"
        ),
    ),
    ("no_row_points_at_nothing", "DELETE FROM tokens_creditlot"),
    ("no_row_points_at_nothing", "DELETE FROM tokens_hold"),
    ("no_row_points_at_nothing", "UPDATE tokens_hold SET wallet_id = 0"),
    ("no_row_points_at_nothing", "DELETE FROM tokens_rechargebatch"),
    ("sealed_row_exists", "DELETE FROM tokens_transfer WHERE kind = 'RELEASE'"),
    ("sealed_row_exists", "DELETE FROM tokens_auditevent"),
    ("no_row_slipped_past_the_seals", "DELETE FROM tokens_sealmember"),
    ("no_row_slipped_past_the_seals", "DELETE FROM tokens_sealedevent"),
    (
        "nothing_older_than_an_hour_is_unsealed",
        (
            "DELETE FROM tokens_sealmember;"
            " UPDATE tokens_transfer SET recorded_at = now() - interval '2 hours'"
        ),
    ),
    ("seal_contents_recompute", "UPDATE tokens_transfer SET lot_id = lot_id + 1"),
    ("seal_contents_recompute", "UPDATE tokens_transfer SET effective_at = now()"),
    ("seal_contents_recompute", "UPDATE tokens_auditevent SET after = '{}'"),
    ("seal_chain_links", "UPDATE tokens_sealblock SET hash = repeat('f', 64)"),
    ("seal_chain_links", "UPDATE tokens_sealblock SET sealed_at = now() + interval '1 second'"),
    (
        "report_of_a_day_agrees_with_the_journal",
        "UPDATE tokens_journalday SET tokens = tokens + 1 WHERE kind = 'SETTLE'",
    ),
    (
        "report_of_a_day_agrees_with_the_journal",
        "UPDATE tokens_transfer SET recorded_at = recorded_at - interval '1 day'",
    ),
    (
        "report_of_consumption_agrees_with_the_journal",
        "UPDATE tokens_consumptionday SET holds_count = 2",
    ),
    ("report_of_liability_agrees_with_the_journal", "DELETE FROM tokens_liabilityday"),
    (
        "triggers_and_constraints_stand",
        "ALTER TABLE tokens_transfer DISABLE TRIGGER tokens_transfer_immutable",
    ),
    (
        "triggers_and_constraints_stand",
        "ALTER TABLE tokens_wallet DROP CONSTRAINT wallet_never_negative",
    ),
    ("triggers_and_constraints_stand", "DROP INDEX transfer_once_per_hold_kind_and_lot"),
]
# The same for a batch that waits for an approval.
APPROVAL_CORRUPTIONS = [
    (
        "approved_request_has_its_quorum",
        "UPDATE tokens_approvalrequest SET status = 'APPROVED', decided_at = now()",
    ),
    (
        "vote_is_by_another_on_the_same_content",
        (
            "INSERT INTO tokens_approvalvote"
            " (request_id, voter_id, voter_role, decision, comment, content_sha256)"
            " SELECT id, maker_id, 'OPERATOR', 'APPROVE', '', content_sha256"
            " FROM tokens_approvalrequest"
        ),
    ),
    (
        "vote_is_by_another_on_the_same_content",
        (
            "INSERT INTO tokens_approvalvote"
            " (request_id, voter_id, voter_role, decision, comment, content_sha256)"
            " SELECT r.id, u.id, 'OPERATOR', 'APPROVE', '', repeat('0', 64)"
            " FROM tokens_approvalrequest r, accounts_user u WHERE u.id <> r.maker_id"
        ),
    ),
    (
        "vote_of_a_person_has_a_second_factor",
        (
            "INSERT INTO tokens_approvalvote"
            " (request_id, voter_id, voter_role, decision, comment, content_sha256)"
            " SELECT r.id, u.id, 'OPERATOR', 'APPROVE', '', r.content_sha256"
            " FROM tokens_approvalrequest r, accounts_user u WHERE u.id <> r.maker_id"
        ),
    ),
    (
        "no_request_is_open_an_hour_past_its_deadline",
        (
            "UPDATE tokens_approvalrequest SET opened_at = now() - interval '9 hours',"
            " expires_at = now() - interval '2 hours'"
        ),
    ),
    (
        "batch_moved_only_what_was_approved",
        "UPDATE tokens_rechargebatch SET status = 'QUEUED'",
    ),
    (
        "batch_moved_only_what_was_approved",
        "UPDATE tokens_rechargebatch SET content_sha256 = repeat('0', 64)",
    ),
    ("batch_moved_only_what_was_approved", "DELETE FROM tokens_approvalrequest"),
]
CHANGE_SQL = """
INSERT INTO tokens_policychange
       (id, policy_id, is_bootstrap, after, content_sha256, maker_id, maker_factor_at, comment,
        opened_at, status, expires_at, decided_at)
SELECT gen_random_uuid(), p.id, {is_bootstrap}, {after}, repeat('0', 64), r.maker_id, now(), '',
       now() - interval '9 hours', {rest}
  FROM tokens_approvalpolicy p, tokens_approvalrequest r;
"""
AS_IT_IS = "to_jsonb(p) - ARRAY['id', 'created_at', 'updated_at']"
APPLIED = "'APPLIED', now(), clock_timestamp()"
APPROVAL_CORRUPTIONS += [
    (
        "answer_is_by_the_maker_to_a_question",
        (
            "INSERT INTO tokens_approvalvote"
            " (request_id, voter_id, voter_role, decision, comment, content_sha256)"
            " SELECT r.id, u.id, 'OPERATOR', 'ASK', 'Why?', r.content_sha256"
            " FROM tokens_approvalrequest r, accounts_user u WHERE u.id <> r.maker_id;"
            " INSERT INTO tokens_approvalanswer (question_id, author_id, comment)"
            " SELECT id, voter_id, 'x' FROM tokens_approvalvote"
        ),
    ),
    (
        "policy_change_is_decided_by_two_people",
        CHANGE_SQL.format(is_bootstrap="false", after=AS_IT_IS, rest=APPLIED),
    ),
    (
        "policy_change_is_decided_by_two_people",
        CHANGE_SQL.format(is_bootstrap="true", after=AS_IT_IS, rest=APPLIED) * 2,
    ),
    (
        "policy_is_what_its_last_change_says",
        CHANGE_SQL.format(is_bootstrap="true", after=AS_IT_IS, rest=APPLIED)  # noqa: S608
        + "UPDATE tokens_approvalpolicy SET rows_min = rows_min + 1",
    ),
    (
        "no_policy_change_is_open_an_hour_past_its_deadline",
        CHANGE_SQL.format(
            is_bootstrap="false", after=AS_IT_IS, rest="'OPEN', now() - interval '2 hours', NULL"
        ),
    ),
    (
        "unfinished_batch_keeps_its_staged_rows",
        "UPDATE tokens_rechargechunk SET rows_count = rows_count + 1",
    ),
]
GRANT_CORRUPTIONS = [
    (
        "scheduled_batch_grants_exactly_its_claims",
        "DELETE FROM tokens_scheduledgrant",
    ),
    (
        "scheduled_batch_grants_exactly_its_claims",
        "UPDATE tokens_scheduledgrant SET batch_id = gen_random_uuid()",
    ),
    (
        "scheduled_batch_grants_exactly_its_claims",
        "UPDATE tokens_scheduledgrant SET owner_id = owner_id + 1000",
    ),
    (
        "scheduled_batch_grants_exactly_its_claims",
        "UPDATE tokens_rechargebatch SET source = 'JSON'",
    ),
    (
        "scheduled_batch_grants_exactly_its_claims",
        "UPDATE tokens_scheduledgrant SET amount = amount + 1",
    ),
    (
        "scheduled_batch_grants_exactly_its_claims",
        "UPDATE tokens_scheduledgrant SET expires_at = expires_at + interval '1 day'",
    ),
]
# Found by the tests of what they watch, where the rows that they need are made.
ELSEWHERE = {
    "snapshot_opens_with_the_closing_before",
    "snapshot_agrees_with_the_journal_of_its_day",
    "snapshot_day_agrees_with_the_journal",
    "snapshots_roll_forward_to_the_wallets",
    "closed_month_is_found_again",
}


@pytest.fixture
def ledger():
    """A settled and a pending hold, corrections, an audit event, and all of it sealed."""
    user = make_user(tokens=10)
    corrected, operator = make_user(tokens=1), make_user(role=Role.OPERATOR)
    for amount in (2, -1):
        services.adjust_wallet(
            order=AdjustmentOrder(corrected.user_ref, amount, "test"),
            actor_id=operator.pk,
            idempotency_key=str(amount),
        )
    with transaction.atomic():
        settled = services.place_hold(
            owner_id=user.pk, amount=4, reference="settled", expires_at=timezone.now()
        )
        services.settle_hold(hold_id=settled, amount=3)
        services.place_hold(
            owner_id=user.pk, amount=2, reference="pending", expires_at=timezone.now()
        )
        proof.record_event(
            actor_id=user.pk, action="test.done", subject="test:1", before=None, after={"a": 1}
        )
    seal.seal_all()
    rollups.fold_all()
    return user


def test_there_is_a_corruption_for_every_check():
    found_here = {
        name for name, _statement in (*CORRUPTIONS, *APPROVAL_CORRUPTIONS, *GRANT_CORRUPTIONS)
    }
    assert found_here | ELSEWHERE == set(audit.NAMES)


@pytest.mark.parametrize(("name", "statement"), CORRUPTIONS)
def test_every_check_finds_its_corruption(ledger, name, statement):
    assert audit.find_violations() == []
    with corrupted(statement, is_guarded=statement.startswith(("ALTER", "DROP"))):
        assert name in {violation.name for violation in audit.find_violations()}


@pytest.mark.parametrize(("name", "statement"), APPROVAL_CORRUPTIONS)
def test_every_check_of_approvals_finds_its_corruption(name, statement):
    ApprovalPolicy.objects.create(name="all", rows_min=1, roles=["OPERATOR"])
    maker, other = make_user(role=Role.OPERATOR), make_user(role=Role.OPERATOR)
    receipt = recharge([other.user_ref], 5, actor=maker)
    assert receipt.status == "pending_approval"
    assert audit.find_violations() == []
    with corrupted(statement):
        assert name in {violation.name for violation in audit.find_violations()}


@pytest.mark.parametrize(("name", "statement"), GRANT_CORRUPTIONS)
def test_the_check_of_scheduled_grants_finds_its_corruption(name, statement):
    for _ in range(2):
        member = make_user()
        member.plan = "vip"
        member.save()
    services.grant_vip()
    assert audit.find_violations() == []
    with corrupted(statement):
        assert name in {violation.name for violation in audit.find_violations()}


def test_a_violation_counts_all_and_shows_some(ledger):
    for _ in range(21):
        make_user(tokens=1)
    with corrupted("UPDATE tokens_wallet SET available = available + 1"):
        (violation, *_others) = [
            violation
            for violation in audit.find_violations()
            if violation.name == "wallet_available_is_the_sum_of_its_transfers"
        ]
    assert violation.count == 23
    assert len(violation.sample) == 20
