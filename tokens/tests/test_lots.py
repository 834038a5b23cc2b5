from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tokens import handlers, selectors, services, tasks
from tokens.errors import (
    HoldResolvedError,
    InsufficientTokensError,
    RefundRefusedError,
    WalletFrozenError,
)
from tokens.models import CreditLot, Hold, HoldEvent, Transfer, Wallet
from tokens.tests.factories import make_user
from tokens.tests.test_holds import hold, numbers, settle, void
from tokens.types import (
    Category,
    LotTerms,
    OverrunPolicy,
    RechargeItem,
    RechargeMode,
    RechargeRequest,
)

pytestmark = pytest.mark.django_db(transaction=True)
DAY = dt.timedelta(days=1)


def grant(user, amount: int, **terms) -> CreditLot:
    """A lot of its own."""
    services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user.user_ref, amount),),
            mode=RechargeMode.ATOMIC,
            operator="test",
            reason="test",
            terms=LotTerms(**terms),
        ),
        actor_id=user.pk,
        idempotency_key=uuid.uuid4().hex,
    )
    return CreditLot.objects.latest("pk")


def age(lot: CreditLot) -> None:
    """Let a lot's time be over."""
    past = timezone.now() - dt.timedelta(seconds=1)
    CreditLot.objects.filter(pk=lot.pk).update(effective_at=past - DAY, expires_at=past)


def taken(hold_id, kind="HOLD"):
    rows = Transfer.objects.filter(hold_id=hold_id, kind=kind).order_by("pk")
    return [(row.lot_id, row.amount) for row in rows]


def test_lots_burn_by_priority_then_expiry_then_age():
    user, now = make_user(), timezone.now()
    never = grant(user, 1)
    late = grant(user, 1, expires_at=now + 9 * DAY)
    soon = grant(user, 1, expires_at=now + DAY)
    first = grant(user, 1, priority=0)
    old = grant(user, 1)
    order = [first.pk, soon.pk, late.pk, never.pk, old.pk]
    assert [lot.id for lot in selectors.lots(user_id=user.pk)] == [f"lot_{pk}" for pk in order]
    assert taken(hold(user, 5)) == [(pk, 1) for pk in order]


def test_a_hold_takes_part_of_a_lot_and_the_settle_spends_in_the_same_order():
    user = make_user()
    first, second = grant(user, 5, priority=1), grant(user, 5, priority=2)
    hold_id = hold(user, 7)
    assert taken(hold_id) == [(first.pk, 5), (second.pk, 2)]
    settle(hold_id, 6)
    assert taken(hold_id, "SETTLE") == [(first.pk, 5), (second.pk, 1)]
    assert taken(hold_id, "RELEASE") == [(second.pk, 1)]
    second.refresh_from_db()
    assert (second.available, second.held) == (4, 0)


def test_each_category_is_issued_from_an_account_of_its_own():
    user = make_user()
    for category in Category:
        grant(user, 1, category=category)
    debits = Transfer.objects.order_by("pk").values_list("debit", flat=True)
    assert list(debits) == [f"ISSUANCE_{category.name}" for category in Category]


def test_a_lot_that_is_not_effective_yet_waits():
    user = make_user()
    grant(user, 5, effective_at=timezone.now() + DAY)
    balance = selectors.balance(user_id=user.pk)
    assert (balance.available, balance.pending, balance.total) == (0, 5, 5)
    later = selectors.balance(user_id=user.pk, now=timezone.now() + 2 * DAY)
    assert (later.available, later.pending) == (5, 0)
    with pytest.raises(InsufficientTokensError):
        hold(user, 1)


def test_expired_tokens_cannot_be_spent_even_before_the_sweep():
    user = make_user(tokens=3)
    age(grant(user, 5, expires_at=timezone.now() + DAY))
    assert numbers(user) == (3, 0)
    with pytest.raises(InsufficientTokensError):
        hold(user, 4)
    count = services.expire_lots()
    assert (count.wallets, count.lots, count.tokens) == (1, 1, 5)
    assert services.expire_lots().lots == 0
    assert Transfer.objects.get(kind="EXPIRE").credit == "BREAKAGE"
    assert Wallet.objects.get(owner=user).available == 3


def test_the_scheduled_task_expires_the_lots_of_many_wallets():
    users = [make_user() for _ in range(3)]
    for user in users:
        age(grant(user, 2, expires_at=timezone.now() + DAY))
    tasks.expire_lots.apply().get()
    assert [wallet.available for wallet in Wallet.objects.all()] == [0, 0, 0]
    assert Transfer.objects.filter(kind="EXPIRE").count() == 3


def test_held_tokens_do_not_expire_under_a_job():
    user = make_user()
    lot = grant(user, 5, expires_at=timezone.now() + DAY)
    hold_id = hold(user, 3)
    age(lot)
    assert services.expire_lots().tokens == 2
    settle(hold_id, 3)
    lot.refresh_from_db()
    assert (lot.available, lot.held) == (0, 0)
    assert Transfer.objects.filter(kind="EXPIRE").count() == 1


@pytest.mark.parametrize("close", [void, lambda h: settle(h, 1)])
def test_tokens_that_come_back_to_an_expired_lot_live_on_for_a_grace_time(close, settings):
    settings.TOKENS_REFUND_GRACE_S = 3600
    user = make_user()
    lot = grant(user, 5, expires_at=timezone.now() + DAY)
    hold_id = hold(user, 5)
    age(lot)
    close(hold_id)
    grace = CreditLot.objects.get(category="REFUND")
    assert grace.expires_at is not None
    spent = Hold.objects.get(pk=hold_id).settled
    assert grace.available == 5 - spent
    assert abs(grace.expires_at - timezone.now() - dt.timedelta(hours=1)) < dt.timedelta(minutes=1)
    assert numbers(user) == (5 - spent, 0)
    lot.refresh_from_db()
    assert (lot.available, lot.held) == (0, 0)


def test_a_refund_returns_to_the_lots_last_spent_first_and_only_once():
    user = make_user()
    first, second = grant(user, 5, priority=1), grant(user, 5, priority=2)
    hold_id = hold(user, 8)
    settle(hold_id, 8)
    services.refund_hold(hold_id=hold_id, amount=4, note="complaint 7")
    assert taken(hold_id, "REFUND") == [(second.pk, 3), (first.pk, 1)]
    assert numbers(user) == (6, 0)
    receipt = selectors.hold_receipt(hold_id=hold_id)
    assert (receipt.held, receipt.settled, receipt.refunded) == (8, 4, 4)
    for amount in (4, 1):
        with pytest.raises(RefundRefusedError):
            services.refund_hold(hold_id=hold_id, amount=amount, note="again")
    assert numbers(user) == (6, 0)


def test_a_refund_of_an_expired_lot_gets_a_lot_of_its_own():
    user = make_user()
    lot = grant(user, 5, expires_at=timezone.now() + DAY)
    hold_id = hold(user, 5)
    settle(hold_id, 5)
    age(lot)
    services.refund_hold(hold_id=hold_id, amount=2, note="late")
    assert numbers(user) == (2, 0)
    assert CreditLot.objects.get(category="REFUND").available == 2


@pytest.mark.parametrize("amount", [0, 6])
def test_a_refund_stays_within_what_was_spent(amount):
    user = make_user(tokens=9)
    hold_id = hold(user, 7)
    settle(hold_id, 5)
    with pytest.raises(RefundRefusedError):
        services.refund_hold(hold_id=hold_id, amount=amount, note="x")
    with pytest.raises(RefundRefusedError):
        services.refund_hold(hold_id=uuid.uuid4(), amount=1, note="x")
    assert numbers(user) == (4, 0)


@pytest.mark.parametrize(
    ("policy", "available", "charged", "left"),
    [
        (OverrunPolicy.CHARGE, 9, 8, 1),
        (OverrunPolicy.CHARGE, 6, 6, 0),
        (OverrunPolicy.WRITE_OFF, 9, 5, 4),
    ],
)
def test_an_overrun_follows_policy_and_never_goes_below_zero(policy, available, charged, left):
    user = make_user(tokens=available)
    hold_id = hold(user, 5)
    with transaction.atomic():
        assert services.settle_hold(hold_id=hold_id, amount=8, overrun=policy) == charged
    assert numbers(user) == (left, 0)
    assert selectors.hold_receipt(hold_id=hold_id).settled == charged


def test_an_overrun_is_refused_unless_policy_allows_it():
    user = make_user(tokens=9)
    hold_id = hold(user, 5)
    with pytest.raises(IntegrityError, match="cannot settle"):
        settle(hold_id, 8)
    assert numbers(user) == (4, 5)


def test_a_late_result_is_on_record_and_costs_nothing():
    user = make_user(tokens=9)
    hold_id = hold(user, 5, expires_in_s=-1)
    handlers.expire_holds()
    with pytest.raises(HoldResolvedError):
        settle(hold_id, 5)
    services.record_late_result(hold_id=hold_id, tokens=5, note="attempt 2")
    events = HoldEvent.objects.filter(hold_id=hold_id).order_by("pk")
    assert [(event.kind, event.tokens) for event in events] == [("LATE_RESULT", 5)]
    assert numbers(user) == (9, 0)
    with pytest.raises(IntegrityError, match="immutable"):
        events.update(tokens=0)


def test_a_frozen_wallet_spends_nothing_and_receives_nothing():
    user = make_user(tokens=9)
    running = hold(user, 2)
    Wallet.objects.filter(owner=user).update(status=Wallet.Status.FROZEN)
    with pytest.raises(WalletFrozenError):
        hold(user, 1)
    settle(running, 2)
    refused = services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user.user_ref, 1),),
            mode=RechargeMode.SOFT_FAIL,
            operator="",
            reason="x",
        ),
        actor_id=user.pk,
        idempotency_key="k",
    )
    assert [line.code for line in refused.failures] == ["account_frozen"]
    assert numbers(user) == (7, 0)
