"""What accounts are told about their tokens, and that it is told exactly when it is so."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts import webhook_selectors
from accounts.types import Role
from tokens import handlers, selectors, services
from tokens.tests.factories import make_user, recharge
from tokens.tests.recharges import create, work
from tokens.types import LotTerms, RechargeMode, ReversalOrder, ReversalPolicy
from tokens.wallet_errors import AdjustmentExceedsBalanceError
from tokens.wallets import AdjustmentOrder

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://receiver.example/hooks"


def make_listener(**more):
    user = make_user(**more)
    accounts_services.create_endpoint(user_id=user.pk, url=URL, events=["*"])
    return user


def told(user, event_type: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Types and contents, oldest first."""
    rows, _cursor = webhook_selectors.events(
        user_id=user.pk, event_type=event_type, limit=200, cursor=None
    )
    return [(row.type, row.data) for row in reversed(rows)]


def by_hand(user, amount: int) -> AdjustmentOrder:
    return AdjustmentOrder(user_ref=user.user_ref, amount=amount, reason="test")


@pytest.fixture
def operator():
    return make_listener(role=Role.OPERATOR)


def test_a_recharge_tells_its_listeners_and_its_maker(operator):
    listener, other = make_listener(), make_user()
    receipt = recharge([listener.user_ref, other.user_ref], 7, actor=operator)

    ((kind, data),) = told(listener)
    assert kind == "recharge.applied"
    (lot,) = selectors.lots(user_id=listener.pk)
    assert data == {
        "recharge_batch_id": str(receipt.batch_id),
        "row_no": 1,
        "amount": 7,
        "category": lot.category,
        "lot_id": lot.id,
        "effective_at": data["effective_at"],
        "expires_at": None,
    }
    assert dt.datetime.fromisoformat(data["effective_at"]) == lot.effective_at
    assert told(other) == []
    ((kind, data),) = told(operator)
    assert kind == "recharge_batch.finished"
    client = APIClient()
    client.force_authenticate(operator)
    shown = client.get(f"/api/v1/recharge-batches/{receipt.batch_id}").json()
    assert data == {name: shown[name] for name in data}


def test_a_refused_recharge_tells_nobody_but_its_maker(operator):
    listener = make_listener()
    receipt = recharge([listener.user_ref, "nobody"], 7, actor=operator)
    assert receipt.status == "failed"
    assert told(listener) == []
    assert [data["status"] for _kind, data in told(operator)] == ["failed"]


def test_the_lines_of_a_large_batch_are_told_once_each(operator, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 1
    settings.RECHARGE_CHUNK_LINES = 2
    listeners = [make_listener() for _number in range(5)]
    expires_at = timezone.now() + dt.timedelta(days=1)
    receipt = create(
        [(user.user_ref, 3, "", LotTerms(expires_at=expires_at)) for user in listeners],
        actor=operator,
    )
    assert [told(user) for user in listeners] == [[]] * 5

    work(receipt)

    for user in listeners:
        ((_kind, data),) = told(user)
        assert data["amount"] == 3
        assert dt.datetime.fromisoformat(data["expires_at"]) == expires_at
    assert [kind for kind, _data in told(operator)] == ["recharge_batch.finished"]


def test_listeners_do_not_add_queries_to_a_recharge(operator):
    def queries(users) -> int:
        with CaptureQueriesContext(connection) as captured:
            recharge([user.user_ref for user in users], 5, actor=operator)
        return len(captured)

    queries([make_listener()])
    assert queries([make_listener()]) == queries([make_listener() for _number in range(50)])


def test_a_reversal_tells_whom_it_takes_tokens_from(operator):
    listener, spender = make_listener(), make_listener()
    granted = recharge([listener.user_ref, spender.user_ref], 7, actor=operator)
    services.adjust_wallet(order=by_hand(spender, -1), actor_id=operator.pk, idempotency_key="a")
    reversed_by = services.reverse_batch(
        batch_id=granted.batch_id,
        order=ReversalOrder(
            mode=RechargeMode.SOFT_FAIL,
            policy=ReversalPolicy.REFUSE,
            reason="private words",
            row_nos=None,
        ),
        actor_id=operator.pk,
        idempotency_key="b",
    )

    ((_kind, data),) = told(listener, "recharge.reversed")
    assert data == {
        "recharge_batch_id": str(reversed_by.batch_id),
        "row_no": 1,
        "reversal_of": str(granted.batch_id),
        "amount": 7,
        "lot_id": told(listener, "recharge.applied")[0][1]["lot_id"],
    }
    assert told(spender, "recharge.reversed") == []


def test_corrections_by_hand_are_told_without_their_reason(operator):
    listener = make_listener()
    for key, amount in (("a", 5), ("b", -2), ("b", -2)):
        services.adjust_wallet(
            order=by_hand(listener, amount), actor_id=operator.pk, idempotency_key=key
        )
    with pytest.raises(AdjustmentExceedsBalanceError):
        services.adjust_wallet(
            order=by_hand(listener, -4), actor_id=operator.pk, idempotency_key="c"
        )
    services.close_wallet(
        user_ref=listener.user_ref, reason="over", actor_id=operator.pk, writes_off=True
    )

    found = [data for _kind, data in told(listener, "balance.adjusted")]
    assert [(data["amount"], data["available"]) for data in found] == [(5, 5), (-2, 3), (-3, 0)]
    assert all(set(data) == {"adjustment_id", "amount", "available"} for data in found)


def test_a_scheduled_grant_is_told_as_one(settings):
    settings.VIP_GRANT_TOKENS = 4
    user = make_listener()
    user.plan = "vip"
    user.date_joined = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    user.save()
    services.grant_vip()
    assert [(kind, data["amount"], data["category"]) for kind, data in told(user)] == [
        ("grant.applied", 4, "plan")
    ]


def test_expired_tokens_are_told_once(operator):
    listener = make_listener()
    soon = timezone.now() + dt.timedelta(seconds=3600)
    for amount in (3, 4):
        create([(listener.user_ref, amount, "", LotTerms(expires_at=soon))], actor=operator)
    recharge([listener.user_ref], 5, actor=operator)
    later = soon + dt.timedelta(seconds=1)

    services.expire_lots(now=later)
    services.expire_lots(now=later)

    assert told(listener, "tokens.expired") == [("tokens.expired", {"tokens": 7, "lots_count": 2})]


def test_a_wallet_tells_its_owner_what_is_done_to_it(operator):
    listener = make_listener()
    arguments = {"user_ref": listener.user_ref, "reason": "private words", "actor_id": operator.pk}
    services.freeze_wallet(**arguments)
    services.freeze_wallet(**arguments)
    services.unfreeze_wallet(**arguments)
    services.close_wallet(**arguments)
    found = [event for event in told(listener) if event[0].startswith("wallet.")]
    assert found == [
        (f"wallet.{word}", {"user_ref": listener.user_ref, "status": status})
        for word, status in (("frozen", "frozen"), ("unfrozen", "active"), ("closed", "closed"))
    ]


def test_a_balance_below_its_alert_is_told_by_the_sweep(operator):
    listener = make_listener(tokens=10)
    accounts_services.set_balance_alert(user_id=listener.pk, below=8)
    handlers.watch_balances()
    assert told(listener, "balance.low") == []
    services.adjust_wallet(order=by_hand(listener, -3), actor_id=operator.pk, idempotency_key="a")

    handlers.watch_balances()
    handlers.watch_balances()

    assert told(listener, "balance.low") == [("balance.low", {"available": 7, "below": 8})]
    recharge([listener.user_ref], 1, actor=operator)
    handlers.watch_balances()
    services.adjust_wallet(order=by_hand(listener, -8), actor_id=operator.pk, idempotency_key="b")
    handlers.watch_balances()
    assert [data["available"] for _kind, data in told(listener, "balance.low")] == [7, 0]


def test_an_account_without_a_wallet_can_be_watched():
    listener = make_listener()
    accounts_services.set_balance_alert(user_id=listener.pk, below=1)
    handlers.watch_balances()
    assert told(listener) == [("balance.low", {"available": 0, "below": 1})]
