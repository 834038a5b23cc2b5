from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.types import Role
from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens import selectors, services
from tokens.errors import (
    IdempotencyInProgressError,
    InvalidRechargeError,
    RechargeTooLargeError,
)
from tokens.ledger import recharge as ledger
from tokens.models import RechargeBatch, RechargeLine, Transfer, Wallet
from tokens.tests.factories import make_user, recharge
from tokens.tests.threads import in_threads
from tokens.types import RechargeItem, RechargeMode, RechargeRequest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def available(user) -> int:
    return selectors.balance(user_id=user.pk).available


def post(items, *, operator, mode, key="key"):
    return services.bulk_recharge(
        request=RechargeRequest(
            items=tuple(RechargeItem(*item) for item in items),
            mode=mode,
            operator="label",
            reason="why",
        ),
        actor_id=operator.pk,
        idempotency_key=key,
    )


def test_atomic_credits_everybody(operator):
    users = [make_user() for _ in range(5)]
    receipt = recharge([user.user_ref for user in users], 40, actor=operator)
    assert (receipt.status, receipt.applied_count, receipt.tokens_total) == ("applied", 5, 200)
    assert receipt.failures == ()
    assert [available(user) for user in users] == [40] * 5


def test_atomic_with_one_unknown_user_moves_nothing_and_records_the_refusal(operator):
    user = make_user()
    receipt = recharge([user.user_ref, "nobody"], 40, actor=operator)
    assert (receipt.status, receipt.applied_count, receipt.tokens_total) == ("failed", 0, 0)
    assert [(line.row_no, line.code) for line in receipt.failures] == [
        (1, "rolled_back"),
        (2, "account_not_found"),
    ]
    assert available(user) == 0
    assert RechargeBatch.objects.get().actor_id == operator.pk
    assert not Transfer.objects.exists()


def test_soft_fail_applies_the_good_lines_and_names_the_others_by_fixed_precedence(operator):
    good, twice = make_user(), make_user()
    receipt = post(
        [
            (good.user_ref, 5),
            ("nobody", -1),
            (twice.user_ref, 3),
            (twice.user_ref, 3),
            (make_user().user_ref, 0),
            (make_user().user_ref, 10**12),
            (make_user().user_ref, -7),
        ],
        operator=operator,
        mode=RechargeMode.SOFT_FAIL,
    )
    assert receipt.status == "partially_applied"
    assert (receipt.lines_count, receipt.applied_count, receipt.failed_count) == (7, 2, 5)
    assert [(line.row_no, line.code) for line in receipt.failures] == [
        (2, "account_not_found"),
        (4, "duplicate_row_in_batch"),
        (5, "amount_not_positive"),
        (6, "amount_out_of_range"),
        (7, "amount_not_positive"),
    ]
    assert (available(good), available(twice), receipt.tokens_total) == (5, 3, 8)


def test_soft_fail_with_no_good_line_is_failed(operator):
    receipt = recharge(["x", "y"], 5, actor=operator, mode=RechargeMode.SOFT_FAIL)
    assert (receipt.status, receipt.applied_count) == ("failed", 0)


def test_an_inactive_user_is_not_credited(operator):
    user = make_user()
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    receipt = recharge([user.user_ref], 5, actor=operator)
    assert [line.code for line in receipt.failures] == ["account_not_found"]


def test_the_same_key_replays_and_another_body_is_refused(operator):
    user = make_user()
    first = recharge([user.user_ref], 40, actor=operator, key="k")
    again = recharge([user.user_ref], 40, actor=operator, key="k")
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.batch_id == first.batch_id
    with pytest.raises(IdempotencyKeyReusedError):
        recharge([user.user_ref], 41, actor=operator, key="k")
    assert available(user) == 40


def test_a_key_belongs_to_its_principal(operator):
    user = make_user()
    recharge([user.user_ref], 40, actor=operator, key="k")
    other = recharge([user.user_ref], 40, actor=make_user(role=Role.OPERATOR), key="k")
    assert not other.is_replay
    assert available(user) == 80


def test_a_refusal_is_sticky_under_its_key(operator):
    recharge(["late"], 5, actor=operator, key="k")
    make_user(user_ref="late")
    again = recharge(["late"], 5, actor=operator, key="k")
    assert (again.is_replay, again.status) == (True, "failed")


def test_empty_and_oversized_batches_are_refused_before_anything_is_written(operator, settings):
    settings.RECHARGE_ATOMIC_LINES_MAX = 2
    with pytest.raises(InvalidRechargeError):
        recharge([], 5, actor=operator)
    with pytest.raises(RechargeTooLargeError):
        recharge(["a", "b", "c"], 5, actor=operator)
    assert not RechargeBatch.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_lines(operator):
    def queries(lines_count: int) -> int:
        refs = [make_user().user_ref for _ in range(lines_count)]
        with CaptureQueriesContext(connection) as captured:
            recharge(refs, 5, actor=operator)
        return len(captured)

    queries(1)  # opens the issuance account
    assert queries(1) == queries(200) <= 32


def test_the_service_refuses_to_run_inside_another_transaction(operator):
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        recharge(["x"], 5, actor=operator)


def test_the_same_key_in_eight_threads_credits_once(operator):
    user = make_user()
    receipts = []
    raised = in_threads(
        *[
            lambda: receipts.append(recharge([user.user_ref], 9, actor=operator, key="same"))
            for _ in range(8)
        ]
    )
    # Whoever comes while the first is at work is told so, and not made to wait.
    assert {type(error) for error in raised} <= {IdempotencyInProgressError}
    assert len(receipts) + len(raised) == 8
    assert [receipt.is_replay for receipt in receipts].count(False) == 1
    assert len({receipt.batch_id for receipt in receipts}) == 1
    assert available(user) == 9


def test_overlapping_batches_in_opposite_order_never_deadlock(operator):
    refs = [make_user().user_ref for _ in range(60)]
    raised = in_threads(
        *[lambda step=step: recharge(refs[::step], 2, actor=operator) for step in [1, -1] * 5]
    )
    assert raised == []
    assert {a.available for a in Wallet.objects.all()} == {20}


@pytest.mark.parametrize("wallets", [3, 300])
def test_wallets_are_locked_in_the_order_of_their_keys_whatever_the_plan(operator, wallets):
    """An UPDATE that met them in another order would deadlock with a batch that overlaps."""
    plans = []

    def explain(execute, sql, params, many, context):
        if sql == ledger.CREDIT_WALLETS_SQL:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN (COSTS OFF) {sql}", params)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    refs = [make_user().user_ref for _ in range(wallets)]
    with connection.execute_wrapper(explain):
        recharge(refs, 2, actor=operator)
    (plan,) = plans
    assert "Sort Key: tokens_judged.wallet_id" in plan
    assert "Index Scan using tokens_wallet_pkey on tokens_wallet" in plan
    assert "Hash" not in plan


def test_the_database_itself_refuses_a_negative_wallet_and_edited_history(operator):
    user = make_user(tokens=5)
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.filter(owner=user).update(available=-1)
    with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
        Transfer.objects.update(amount=6)
    with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
        Transfer.objects.all().delete()
    with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
        RechargeLine.objects.update(amount=6)
