"""A step of a hold that waits for another one sees what the other has done, and undoes nothing."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tokens import selectors, services
from tokens.errors import HoldResolvedError, InsufficientTokensError, WalletFrozenError
from tokens.ledger import holds
from tokens.models import CreditLot, Hold, Transfer, Wallet
from tokens.tests.factories import make_user, recharge
from tokens.types import OverrunPolicy

pytestmark = pytest.mark.django_db(transaction=True)


def hold(user, amount: int, *, expires_in_s: float = 600) -> uuid.UUID:
    return services.place_hold(
        owner_id=user.pk,
        amount=amount,
        reference=f"test:{uuid.uuid4()}",
        expires_at=timezone.now() + dt.timedelta(seconds=expires_in_s),
    )


def numbers(user) -> tuple[int, int]:
    balance = selectors.balance(user_id=user.pk)
    return balance.available, balance.held


def is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


class Late:
    """Work that had to wait; ``result`` is its value, or raises what it raised."""

    future: Future[object]

    def result(self) -> object:
        return self.future.result(timeout=10)


@contextmanager
def overtaking(work: Callable[[], object]) -> Iterator[Late]:
    """What this block does is done first: ``work`` starts in a thread and waits for its commit."""

    def run() -> object:
        try:
            return work()
        finally:
            connection.close()

    late = Late()
    with ThreadPoolExecutor(max_workers=1) as pool, transaction.atomic():
        yield late
        late.future = pool.submit(run)
        deadline = time.monotonic() + 10
        while not is_waited_for():
            assert not late.future.done(), "nothing had to wait"
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_each_step_is_a_transaction_of_its_own_where_there_is_none():
    user = make_user(tokens=10)
    hold_id = hold(user, 4)
    services.settle_hold(hold_id=hold_id, amount=3)
    assert numbers(user) == (7, 0)
    assert services.void_hold(hold_id=hold(user, 2))


def test_a_charge_beyond_the_hold_needs_a_transaction_and_leaves_the_hold_open_without():
    user = make_user(tokens=10)
    hold_id = hold(user, 4)
    with pytest.raises(RuntimeError, match="open transaction"):
        services.settle_hold(hold_id=hold_id, amount=6, overrun=OverrunPolicy.CHARGE)
    assert Hold.objects.get(pk=hold_id).status == Hold.Status.PENDING
    assert numbers(user) == (6, 4)


@pytest.mark.parametrize("others", [0, 5], ids=["nothing else is held", "more is held"])
def test_a_late_void_changes_nothing_after_a_settlement(others):
    user = make_user(tokens=20)
    hold_id = hold(user, 4)
    if others:
        hold(user, others)
    with overtaking(lambda: services.void_hold(hold_id=hold_id)) as voided:
        services.settle_hold(hold_id=hold_id, amount=3)
    assert voided.result() is False
    assert numbers(user) == (17 - others, others)
    journal = Transfer.objects.filter(hold_id=hold_id).order_by("pk")
    assert [transfer.kind for transfer in journal] == ["HOLD", "SETTLE", "RELEASE"]


@pytest.mark.parametrize("others", [0, 5], ids=["nothing else is held", "more is held"])
def test_a_late_settlement_is_told_that_the_hold_is_closed(others):
    user = make_user(tokens=20)
    hold_id = hold(user, 4)
    if others:
        hold(user, others)
    with overtaking(lambda: services.settle_hold(hold_id=hold_id, amount=4)) as settled:
        services.void_hold(hold_id=hold_id)
    with pytest.raises(HoldResolvedError):
        settled.result()
    assert numbers(user) == (20 - others, others)


def test_a_sweep_leaves_a_hold_alone_whose_deadline_was_moved_while_it_waited():
    user = make_user(tokens=10)
    hold_id = hold(user, 4, expires_in_s=-1)

    def expire() -> str | None:
        return holds.resolve(
            hold_id=hold_id,
            settled=0,
            status=Hold.Status.EXPIRED,
            due_at=timezone.now(),
            grace=None,
        )

    with overtaking(expire) as expired:
        services.extend_hold(hold_id=hold_id, expires_at=timezone.now() + dt.timedelta(hours=1))
    assert expired.result() == "NOT_DUE"
    assert numbers(user) == (6, 4)


def test_tokens_that_come_back_while_a_hold_waits_count():
    user = make_user(tokens=10)
    everything = hold(user, 10)
    with overtaking(lambda: hold(user, 4)) as placed:
        services.void_hold(hold_id=everything)
    assert isinstance(placed.result(), uuid.UUID)
    assert numbers(user) == (6, 4)


def test_a_wallet_that_is_frozen_while_a_hold_waits_gives_none():
    user = make_user(tokens=10)
    everything = hold(user, 10)
    with overtaking(lambda: hold(user, 4)) as placed:
        services.void_hold(hold_id=everything)
        Wallet.objects.filter(owner=user).update(status=Wallet.Status.FROZEN)
    with pytest.raises(WalletFrozenError):
        placed.result()
    assert numbers(user) == (10, 0)


def test_tokens_that_have_expired_before_a_sweep_met_them_leave_the_wallet_as_it_was():
    user = make_user(tokens=7)
    past = timezone.now() - dt.timedelta(seconds=1)
    lots = CreditLot.objects.filter(wallet__owner=user)
    lots.update(effective_at=past - dt.timedelta(days=1), expires_at=past)
    recharge([user.user_ref], 3, actor=user)
    with pytest.raises(InsufficientTokensError) as refusal:
        hold(user, 5)
    assert refusal.value.context["available"] == 3
    wallet = Wallet.objects.get(owner=user)
    assert (wallet.available, wallet.held) == (10, 0)
    assert not Hold.objects.exists()
