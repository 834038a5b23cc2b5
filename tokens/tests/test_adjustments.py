"""Corrections by hand: lots, bounds, keys, policies, races."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.errors import RoleRequiredError, UserNotFoundError
from accounts.types import Role
from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens import selectors, services
from tokens.exports import ExportRequest, stream
from tokens.ledger import adjustments as ledger
from tokens.models import Adjustment, AuditEvent, CreditLot, Transfer, Wallet
from tokens.tests.approvals import make_policy
from tokens.tests.corruption import corrupted
from tokens.tests.factories import make_user, recharge
from tokens.tests.recharges import available, create
from tokens.tests.test_wallets import hold
from tokens.tests.threads import in_threads
from tokens.types import Category, LotTerms
from tokens.wallet_errors import (
    AdjustmentExceedsBalanceError,
    AdjustmentNeedsApprovalError,
    BalanceMaxExceededError,
    InvalidAdjustmentError,
    ReasonMissingError,
    WalletClosedError,
)
from tokens.wallets import AdjustmentOrder

pytestmark = pytest.mark.django_db(transaction=True)
REVERSAL = "REVERSAL"


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def adjust(user, amount: int, operator, *, key: str | None = None, reason: str = "why"):
    return services.adjust_wallet(
        order=AdjustmentOrder(user.user_ref, amount, reason),
        actor_id=operator.pk,
        idempotency_key=key or uuid.uuid4().hex,
    )


def preview(user, amount: int, operator):
    return services.preview_adjustment(
        order=AdjustmentOrder(user.user_ref, amount, "why"), actor_id=operator.pk
    )


def day(days: float) -> dt.datetime:
    return timezone.now() + dt.timedelta(days=days)


def test_tokens_that_are_given_open_a_lot_of_their_own(operator):
    user = make_user(tokens=5)
    done = adjust(user, 7, operator, reason=" a picture failed twice ")
    assert (done.amount, done.available_before, done.available_after) == (7, 5, 12)
    assert (done.actor, done.reason) == (operator.user_ref, "a picture failed twice")
    (moved,) = done.transfers
    assert (moved.kind, moved.tokens, moved.available_change) == ("credit", 7, 7)
    transfer = Transfer.objects.latest("pk")
    assert (transfer.debit, transfer.credit) == ("ADJUSTMENT", "WALLET")
    lot = CreditLot.objects.latest("pk")
    assert (lot.category, lot.granted, lot.available, lot.expires_at) == ("ADJUSTED", 7, 7, None)
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.actor, event.subject) == (
        "wallet.adjusted",
        operator,
        f"wallet:{user.user_ref}",
    )
    assert event.before == {"available": 5, "held": 0}
    assert event.after == {
        "available": 12,
        "held": 0,
        "adjustment": str(done.id),
        "amount": 7,
        "reason": "a picture failed twice",
    }


def test_a_first_correction_opens_the_wallet(operator):
    user = make_user()
    adjust(user, 3, operator)
    assert available(user) == 3


def test_tokens_are_taken_in_burn_order_one_transfer_per_lot(operator):
    user = make_user()
    for amount, terms in (
        (10, LotTerms(priority=90)),
        (10, LotTerms(priority=10, expires_at=day(9))),
        (10, LotTerms(priority=10, expires_at=day(1), category=Category.PROMO)),
        (10, LotTerms(priority=1, effective_at=day(1))),
    ):
        create([(user.user_ref, amount, "", terms)], actor=operator)
    held = hold(user, 4)
    seen = preview(user, -18, operator)
    assert (seen.available_before, seen.available_after, seen.lots_count) == (26, 8, 3)
    done = adjust(user, -18, operator)
    assert [(moved.lot, moved.tokens) for moved in done.transfers] == [
        (draw.lot, draw.tokens) for draw in seen.draws
    ]
    assert [moved.tokens for moved in done.transfers] == [6, 10, 2]
    assert {moved.kind for moved in done.transfers} == {"debit"}
    balance = selectors.balance(user_id=user.pk)
    assert (balance.available, balance.held, balance.pending) == (8, 4, 10)
    with transaction.atomic():
        services.void_hold(hold_id=held)


def test_never_below_zero_and_never_what_is_held_or_pending(operator):
    user = make_user(tokens=10)
    create([(user.user_ref, 5, "", LotTerms(effective_at=day(1)))], actor=operator)
    hold(user, 4)
    for act in (adjust, preview):
        with pytest.raises(AdjustmentExceedsBalanceError) as refused:
            act(user, -7, operator)
        assert refused.value.context == {"available": 6}
    adjust(user, -6, operator)
    with pytest.raises(AdjustmentExceedsBalanceError):
        adjust(user, -1, operator)
    with pytest.raises(AdjustmentExceedsBalanceError):
        adjust(make_user(), -1, operator)


def test_a_repeat_moves_nothing_and_says_the_same(operator):
    user = make_user(tokens=5)
    first = adjust(user, 7, operator, key="k")
    adjust(user, -2, operator)
    again = adjust(user, 7, operator, key="k")
    assert again.is_replay
    assert not first.is_replay
    assert (again.id, again.available_after, again.transfers) == (
        first.id,
        first.available_after,
        first.transfers,
    )
    assert available(user) == 10
    for other in ((user, 8, "why"), (user, 7, "because"), (make_user(), 7, "why")):
        with pytest.raises(IdempotencyKeyReusedError):
            adjust(other[0], other[1], operator, key="k", reason=other[2])
    # Another principal's key is another key.
    adjust(user, 8, make_user(role=Role.ADMIN), key="k")
    assert available(user) == 18


def test_a_repeat_is_answered_whatever_has_changed_since(operator):
    user = make_user()
    first = adjust(user, 7, operator, key="k")
    make_policy(row_tokens_min=1)
    adjust_away = make_user(role=Role.ADMIN)
    adjust(user, -7, adjust_away)
    services.close_wallet(user_ref=user.user_ref, reason="gone", actor_id=operator.pk)
    assert adjust(user, 7, operator, key="k").transfers == first.transfers


def test_a_refusal_leaves_the_key_free(operator):
    user = make_user()
    with pytest.raises(AdjustmentExceedsBalanceError):
        adjust(user, -3, operator, key="k")
    recharge([user.user_ref], 3, actor=operator)
    adjust(user, -3, operator, key="k")
    assert available(user) == 0


def test_frozen_wallets_are_corrected_and_closed_ones_are_not(operator):
    user = make_user(tokens=5)
    services.freeze_wallet(user_ref=user.user_ref, reason="looking", actor_id=operator.pk)
    adjust(user, -5, operator)
    services.close_wallet(user_ref=user.user_ref, reason="done", actor_id=operator.pk)
    for act in (adjust, preview):
        with pytest.raises(WalletClosedError):
            act(user, 1, operator)


def test_the_largest_balance_counts_held_and_pending_tokens(operator):
    user = make_user(tokens=5)
    Wallet.objects.update(balance_max=10)
    hold(user, 3)
    for act in (adjust, preview):
        with pytest.raises(BalanceMaxExceededError):
            act(user, 6, operator)
    assert adjust(user, 5, operator).available_after == 7


@pytest.mark.parametrize("amount", [0, 101, -101])
def test_amounts_have_bounds(operator, settings, amount):
    settings.RECHARGE_AMOUNT_MAX = 100
    with pytest.raises(InvalidAdjustmentError):
        adjust(make_user(), amount, operator)


def test_only_the_staff_with_a_reason_and_for_known_people(operator):
    user = make_user(tokens=5)
    with pytest.raises(RoleRequiredError):
        adjust(user, 1, user)
    for reason in ("", " ", "x" * 256):
        with pytest.raises(ReasonMissingError):
            adjust(user, 1, operator, reason=reason)
    with pytest.raises(UserNotFoundError):
        services.adjust_wallet(
            order=AdjustmentOrder("nobody", 1, "why"), actor_id=operator.pk, idempotency_key="k"
        )
    assert not Adjustment.objects.exists()


@pytest.mark.parametrize(
    ("subject", "bounds", "amount"),
    [
        ("RECHARGE", {"row_tokens_min": 10}, 10),
        ("RECHARGE", {"batch_tokens_min": 10}, 10),
        ("RECHARGE", {"rows_min": 1}, 1),
        ("RECHARGE", {"maker_day_tokens_min": 10}, 10),
        (REVERSAL, {"row_tokens_min": 10}, -10),
    ],
)
def test_what_a_policy_covers_is_refused(operator, subject, bounds, amount):
    user = make_user()
    if amount < 0:
        recharge([user.user_ref], 20, actor=operator)
    make_policy(name="careful", subject=subject, **bounds)
    for act in (adjust, preview):
        with pytest.raises(AdjustmentNeedsApprovalError) as refused:
            act(user, amount, operator)
        assert refused.value.context == {"policies": ["careful"]}
    # The other direction has policies of its own.
    if amount > 1:
        adjust(user, amount - 1, operator)


def test_a_large_correction_cut_into_small_ones_reaches_the_day_s_bound(operator):
    user = make_user()
    make_policy(maker_day_tokens_min=10)
    adjust(user, 4, operator)
    recharge([user.user_ref], 4, actor=operator)
    with pytest.raises(AdjustmentNeedsApprovalError):
        adjust(user, 2, operator)
    # Nor does a batch forget what was given by hand.
    assert recharge([user.user_ref], 2, actor=operator).status == "pending_approval"
    adjust(user, 2, make_user(role=Role.OPERATOR))
    adjust(user, -5, operator)


def test_parts_at_the_same_time_see_each_other(operator):
    user = make_user()
    make_policy(maker_day_tokens_min=10)
    errors = in_threads(*[lambda: adjust(user, 3, operator)] * 6)
    assert {type(error) for error in errors} == {AdjustmentNeedsApprovalError}
    assert available(user) == 9


def test_of_many_requests_with_one_key_one_moves_tokens(operator):
    user = make_user()
    assert in_threads(*[lambda: adjust(user, 5, operator, key="k")] * 8) == []
    assert available(user) == 5
    assert Adjustment.objects.count() == 1


def test_debits_at_once_never_take_more_than_there_is(operator):
    user = make_user(tokens=20)
    errors = in_threads(*[lambda: adjust(user, -3, operator) for _ in range(10)])
    assert [type(error) for error in errors] == [AdjustmentExceedsBalanceError] * 4
    assert available(user) == 2


def test_holds_and_debits_at_once_share_what_there_is(operator):
    user = make_user(tokens=20)
    errors = in_threads(
        *[lambda: hold(user, 3)] * 5, *[lambda: adjust(user, -3, operator) for _ in range(5)]
    )
    assert len(errors) == 4
    assert available(user) == 2


def test_statement_and_journal_name_the_adjustment(operator):
    user = make_user(tokens=5)
    done = adjust(user, -2, operator)
    line = selectors.statement(user_id=user.pk, limit=1).lines[0]
    assert (line.transfer.kind, line.transfer.available_change, line.available_after) == (
        "debit",
        -2,
        3,
    )
    assert line.transfer.reference == f"adjustment:{done.id}"
    today = timezone.now().date()
    with transaction.atomic():
        journal = b"".join(stream(request=ExportRequest("journal", today, today))).decode()
    assert f"adjustment:{done.id}" in journal


def test_a_preview_has_no_effect(operator):
    user = make_user()
    seen = preview(user, 5, operator)
    assert (seen.available_before, seen.available_after, seen.draws) == (0, 5, ())
    assert not Wallet.objects.exists()
    assert not AuditEvent.objects.filter(action="wallet.adjusted").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens_adjustment SET amount = 1",
        "DELETE FROM tokens_adjustment",
        "UPDATE tokens_transfer SET adjustment_id = NULL WHERE kind = 'CREDIT'",
        (
            "INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount)"
            " SELECT 'CREDIT', wallet_id, id, 'ADJUSTMENT', 'WALLET', 1 FROM tokens_creditlot"
        ),
        (
            "INSERT INTO tokens_transfer"
            " (kind, wallet_id, lot_id, debit, credit, amount, adjustment_id)"
            " SELECT kind, wallet_id, lot_id, debit, credit, amount, adjustment_id"
            " FROM tokens_transfer WHERE kind = 'CREDIT'"
        ),
    ],
)
def test_the_database_keeps_corrections_as_they_are(operator, statement):
    adjust(make_user(), 5, operator)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_debit_that_misses_its_tokens_leaves_nothing(operator):
    user = make_user(tokens=5)
    with corrupted("UPDATE tokens_creditlot SET available = 3"):
        wallet = Wallet.objects.get(owner=user)
        row = Adjustment(
            wallet=wallet, actor=operator, amount=-5, reason="x", available_before=5,
            available_after=0, key_scope="ADJUST", idempotency_key="k",
        )  # fmt: skip
        with pytest.raises(RuntimeError), transaction.atomic():
            ledger.post(adjustment=row, wallet=wallet, user_ref=user.user_ref, now=timezone.now())
