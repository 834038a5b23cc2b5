"""Freezing and closing wallets: states, what still runs, races, the record."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.errors import RoleRequiredError, StepUpRequiredError, UserNotFoundError
from accounts.types import Role
from tokens import handlers, selectors, services, wallet_selectors
from tokens.errors import InsufficientTokensError, RefundRefusedError, WalletFrozenError
from tokens.models import Adjustment, AuditEvent, CreditLot, Hold, Transfer, Wallet
from tokens.tests.approvals import make_policy
from tokens.tests.factories import make_user, recharge
from tokens.tests.recharges import create
from tokens.tests.threads import in_threads
from tokens.types import LotTerms, OverrunPolicy
from tokens.wallet_errors import (
    AdjustmentNeedsApprovalError,
    ReasonMissingError,
    WalletClosedError,
    WalletNotEmptyError,
)

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = {
    "freeze": services.freeze_wallet,
    "unfreeze": services.unfreeze_wallet,
    "close": services.close_wallet,
}
EVENTS = {"freeze": "wallet.frozen", "unfreeze": "wallet.unfrozen", "close": "wallet.closed"}


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def step(name: str, user, operator, **more):
    return STEPS[name](user_ref=user.user_ref, reason=f"to {name}", actor_id=operator.pk, **more)


def hold(user, amount: int):
    with transaction.atomic():
        return services.place_hold(
            owner_id=user.pk,
            amount=amount,
            reference=f"test:{uuid.uuid4()}",
            expires_at=timezone.now() + dt.timedelta(hours=1),
        )


def last_event(state: str) -> dict[str, Any]:
    """The wallet ``before`` or ``after`` the latest event."""
    found = getattr(AuditEvent.objects.latest("pk"), state)
    assert found is not None
    return dict(found)


def events() -> list[str]:
    found = AuditEvent.objects.filter(action__startswith="wallet.").order_by("pk")
    return list(found.values_list("action", flat=True))


MATRIX = [
    # before, step, after; None is a refusal with wallet_closed
    ("active", "freeze", "frozen"),
    ("active", "unfreeze", "active"),
    ("active", "close", "closed"),
    ("frozen", "freeze", "frozen"),
    ("frozen", "unfreeze", "active"),
    ("frozen", "close", "closed"),
    ("closed", "freeze", None),
    ("closed", "unfreeze", None),
    ("closed", "close", "closed"),
]


@pytest.mark.parametrize(("before", "name", "after"), MATRIX)
def test_every_step_from_every_state(operator, before, name, after):
    user = make_user()
    if before != "active":
        step({"frozen": "freeze", "closed": "close"}[before], user, operator)
    written = len(events())
    if after is None:
        with pytest.raises(WalletClosedError):
            step(name, user, operator)
        after = before
    else:
        assert step(name, user, operator).status == after
    assert wallet_selectors.wallet(user_ref=user.user_ref).status == after
    # What changes nothing is no event.
    assert events()[written:] == ([EVENTS[name]] if after != before else [])


def test_the_record_says_who_and_why_before_and_after(operator):
    user = make_user(tokens=7)
    seen = step("freeze", user, operator)
    assert (seen.reason, seen.available, seen.held) == ("to freeze", 7, 0)
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.subject) == (operator, f"wallet:{user.user_ref}")
    assert event.before == {"status": "active", "available": 7, "held": 0}
    assert event.after == last_event("before") | {"status": "frozen", "reason": "to freeze"}
    assert seen.changed_at == event.recorded_at
    step("unfreeze", user, operator)
    assert wallet_selectors.wallet(user_ref=user.user_ref).reason == "to unfreeze"


def test_a_wallet_that_was_never_used_reads_as_empty_and_is_not_opened(operator):
    user = make_user()
    seen = wallet_selectors.wallet(user_ref=user.user_ref)
    assert (seen.status, seen.available, seen.opened_at) == ("active", 0, None)
    assert not Wallet.objects.exists()
    step("freeze", user, operator)
    assert create([(user.user_ref, 5)], actor=operator).failures[0].code == "account_frozen"


def test_frozen_refuses_new_work_and_tokens_while_running_work_ends(operator, settings):
    user = make_user(tokens=100)
    settled, over, voided, refunded = (hold(user, amount) for amount in (10, 10, 10, 10))
    with transaction.atomic():
        services.settle_hold(hold_id=refunded, amount=10)
    step("freeze", user, operator)
    with pytest.raises(WalletFrozenError):
        hold(user, 1)
    assert create([(user.user_ref, 5)], actor=operator).failures[0].code == "account_frozen"
    with transaction.atomic():
        services.extend_hold(hold_id=settled, expires_at=timezone.now() + dt.timedelta(hours=2))
        assert services.settle_hold(hold_id=settled, amount=4) == 4
        assert services.settle_hold(hold_id=over, amount=13, overrun=OverrunPolicy.CHARGE) == 13
        assert services.void_hold(hold_id=voided)
    services.refund_hold(hold_id=refunded, amount=5, note="bad picture")
    balance = selectors.balance(user_id=user.pk)
    assert (balance.available, balance.held) == (100 - 10 - 4 - 13 + 5, 0)
    step("unfreeze", user, operator)
    hold(user, 1)


def test_a_hold_that_outlives_its_deadline_expires_in_a_frozen_wallet(operator):
    user = make_user(tokens=10)
    hold_id = hold(user, 10)
    step("freeze", user, operator)
    Hold.objects.filter(pk=hold_id).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    handlers.expire_holds()
    assert Hold.objects.get(pk=hold_id).status == "EXPIRED"
    assert selectors.balance(user_id=user.pk).available == 10


def test_a_closed_wallet_is_named_as_such(operator):
    user = make_user()
    step("close", user, operator)
    with pytest.raises(WalletClosedError):
        hold(user, 1)
    assert create([(user.user_ref, 5)], actor=operator).failures[0].code == "account_closed"


def test_tokens_keep_a_wallet_open_until_they_are_written_off(operator):
    user = make_user(tokens=10)
    later = LotTerms(effective_at=timezone.now() + dt.timedelta(days=3))
    create([(user.user_ref, 5, "", later)], actor=operator)
    hold_id = hold(user, 4)
    for writes_off in (False, True):
        with pytest.raises(WalletNotEmptyError) as refused:
            step("close", user, operator, writes_off=writes_off)
        assert refused.value.context == {"available": 6, "pending": 5, "held": 4}
    with transaction.atomic():
        services.void_hold(hold_id=hold_id)
    with pytest.raises(WalletNotEmptyError):
        step("close", user, operator)
    assert not Adjustment.objects.exists()
    assert step("close", user, operator, writes_off=True).status == "closed"
    row = Adjustment.objects.get()
    assert (row.amount, row.key_scope, row.reason) == (-15, "CLOSE", "to close")
    assert sorted(row.transfers.values_list("kind", "amount")) == [("DEBIT", 5), ("DEBIT", 10)]
    assert events()[-2:] == ["wallet.adjusted", "wallet.closed"]
    # A repeat changes nothing.
    assert step("close", user, operator, writes_off=True).status == "closed"
    assert Adjustment.objects.count() == 1


def test_closing_expires_what_the_sweep_has_not_come_to(operator):
    user = make_user()
    soon = LotTerms(expires_at=timezone.now() + dt.timedelta(hours=1))
    create([(user.user_ref, 5, "", soon)], actor=operator)
    CreditLot.objects.update(
        effective_at=timezone.now() - dt.timedelta(hours=2),
        expires_at=timezone.now() - dt.timedelta(hours=1),
    )
    assert step("close", user, operator).status == "closed"
    assert Transfer.objects.latest("pk").kind == "EXPIRE"
    assert not Adjustment.objects.exists()


def test_a_write_off_that_a_policy_covers_closes_nothing(operator):
    make_policy(name="careful", subject="REVERSAL", row_tokens_min=10)
    user = make_user(tokens=10)
    with pytest.raises(AdjustmentNeedsApprovalError):
        step("close", user, operator, writes_off=True)
    assert wallet_selectors.wallet(user_ref=user.user_ref).status == "active"


def test_nothing_comes_back_to_a_closed_wallet(operator):
    user = make_user(tokens=10)
    hold_id = hold(user, 10)
    with transaction.atomic():
        services.settle_hold(hold_id=hold_id, amount=10)
    step("close", user, operator)
    with pytest.raises(RefundRefusedError) as refused:
        services.refund_hold(hold_id=hold_id, amount=1, note="late")
    assert refused.value.context["reason"] == "wallet_closed"


@pytest.mark.parametrize(
    "change", [{"status": "ACTIVE"}, {"status": "FROZEN"}, {"available": 1}, {"held": 1}]
)
def test_the_database_keeps_a_closed_wallet_closed_and_empty(operator, change):
    user = make_user()
    step("close", user, operator)
    with pytest.raises(DatabaseError), transaction.atomic():
        Wallet.objects.filter(owner=user).update(**change)


def test_a_wallet_with_tokens_cannot_be_closed_past_the_service():
    user = make_user(tokens=1)
    with pytest.raises(DatabaseError, match="wallet_closed_is_empty"), transaction.atomic():
        Wallet.objects.filter(owner=user).update(status="CLOSED")


@pytest.mark.parametrize("name", STEPS)
def test_only_the_staff_with_a_reason_and_for_known_people(operator, name):
    user = make_user()
    switched_off = make_user(role=Role.OPERATOR)
    get_user_model().objects.filter(pk=switched_off.pk).update(is_active=False)
    for actor in (user, switched_off):
        with pytest.raises(RoleRequiredError):
            step(name, user, actor)
    for reason in ("", "  ", "x" * 256):
        with pytest.raises(ReasonMissingError):
            STEPS[name](user_ref=user.user_ref, reason=reason, actor_id=operator.pk)
    with pytest.raises(UserNotFoundError):
        STEPS[name](user_ref="nobody\x00", reason="why", actor_id=operator.pk)
    assert not Wallet.objects.exists()


def test_people_who_were_switched_off_still_have_wallets(operator):
    user = make_user()
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert step("close", user, operator).status == "closed"


@pytest.mark.parametrize("name", ["freeze", "close"])
def test_many_tokens_ask_for_a_second_factor(operator, name):
    user = make_user(tokens=10)
    hold(user, 4)
    with pytest.raises(StepUpRequiredError) as refused:
        step(name, user, operator, unproven_tokens_max=9)
    assert refused.value.context["tokens_total"] == 10
    assert wallet_selectors.wallet(user_ref=user.user_ref).status == "active"
    assert step("freeze", user, operator, unproven_tokens_max=10).status == "frozen"


def test_of_a_freeze_and_holds_at_once_there_is_one_order(operator):
    for _round in range(10):
        user = make_user(tokens=100)
        outcomes: list[str] = []

        def work(user=user, outcomes=outcomes) -> None:
            for _try in range(5):
                try:
                    hold(user, 1)
                    outcomes.append("held")
                except WalletFrozenError:
                    outcomes.append("frozen")

        assert in_threads(work, work, work, partial(step, "freeze", user, operator)) == []
        wallet = Wallet.objects.get(owner=user)
        assert wallet.status == "FROZEN"
        # Every hold that was answered stands before the freeze, and the event saw all of them.
        assert wallet.held == outcomes.count("held") == Hold.objects.filter(wallet=wallet).count()
        assert last_event("before")["held"] == wallet.held
        with pytest.raises(WalletFrozenError):
            hold(user, 1)


def test_of_a_close_and_a_recharge_at_once_one_comes_first(operator):
    seen = set()
    for _round in range(12):
        user = make_user()
        receipts: list[str] = []

        def credit(user=user, receipts=receipts) -> None:
            receipts.append(recharge([user.user_ref], 5, actor=operator).status)

        errors = in_threads(credit, partial(step, "close", user, operator))
        status = Wallet.objects.get(owner=user).status
        if status == "CLOSED":
            assert (receipts, errors) == (["failed"], [])
        else:
            assert receipts == ["applied"]
            assert [type(error) for error in errors] == [WalletNotEmptyError]
        seen.add(status)
    assert seen <= {"ACTIVE", "CLOSED"}


def test_the_same_step_from_many_hands_is_one_event(operator):
    user = make_user(tokens=5)
    assert in_threads(*[partial(step, "freeze", user, operator)] * 6) == []
    assert events() == ["wallet.frozen"]
    # Opposite steps follow each other; each change is an event, so the last one is what stands.
    assert (
        in_threads(
            *[lambda: step("freeze", user, operator), lambda: step("unfreeze", user, operator)] * 3
        )
        == []
    )
    last = last_event("after")["status"]
    assert Wallet.objects.get(owner=user).status.lower() == last


def test_expiry_still_counts_in_a_frozen_wallet(operator):
    user = make_user(tokens=5)
    step("freeze", user, operator)
    CreditLot.objects.update(
        effective_at=timezone.now() - dt.timedelta(hours=2),
        expires_at=timezone.now() - dt.timedelta(hours=1),
    )
    services.expire_lots()
    step("unfreeze", user, operator)
    with pytest.raises(InsufficientTokensError):
        hold(user, 1)
