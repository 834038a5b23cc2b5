"""Reversals: whole or in rows, once, and never of what was used."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.types import Role
from tokens import services
from tokens.errors import BatchStateError, NothingToReverseError
from tokens.models import Hold, RechargeLine, Transfer, Wallet
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, codes, create, read, work
from tokens.tests.threads import in_threads
from tokens.types import RechargeMode, ReversalOrder, ReversalPolicy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def wanted(
    mode="soft_fail", policy=ReversalPolicy.REFUSE, rows: tuple[int, ...] | None = None
) -> ReversalOrder:
    return ReversalOrder(mode=RechargeMode(mode), policy=policy, reason="wrong", row_nos=rows)


def reverse(receipt, *, actor, key: str | None = None, **terms):
    return services.reverse_batch(
        batch_id=receipt.batch_id,
        order=wanted(**terms),
        actor_id=actor.pk,
        idempotency_key=key or uuid.uuid4().hex,
    )


def hold(user, amount: int, *, settles: int | None = None) -> None:
    with transaction.atomic():
        hold_id = services.place_hold(
            owner_id=user.pk,
            amount=amount,
            reference=uuid.uuid4().hex,
            expires_at=timezone.now() + dt.timedelta(hours=1),
        )
        if settles is not None:
            services.settle_hold(hold_id=hold_id, amount=settles)


@pytest.mark.parametrize("mode", ["soft_fail", "atomic"])
@pytest.mark.parametrize("is_large", [False, True])
def test_a_whole_batch_is_taken_back(operator, settings, mode, is_large):
    people = [make_user() for _ in range(5)]
    original = create([(person.user_ref, 5) for person in people], actor=operator)
    if is_large:
        settings.RECHARGE_SYNC_LINES_MAX = 2
        settings.RECHARGE_CHUNK_LINES = 2
    receipt = reverse(original, actor=operator, mode=mode)
    assert receipt.status == ("queued" if is_large else "applied")
    receipt = work(receipt) if is_large else receipt
    assert (receipt.status, receipt.applied_count, receipt.tokens_total) == ("applied", 5, 25)
    assert (receipt.source, receipt.reversal_of) == ("reversal", original.batch_id)
    assert read(original).reversals == (receipt.batch_id,)
    assert [available(person) for person in people] == [0] * 5
    mirror = Transfer.objects.filter(kind="REVERSE").values_list(
        "debit", "credit", "amount", "reverses__kind"
    )
    assert list(mirror) == [("WALLET", "ISSUANCE_PAID", 5, "RECHARGE")] * 5


def test_each_row_is_taken_back_at_most_once(operator):
    people = [make_user() for _ in range(3)]
    original = create([(person.user_ref, 5) for person in people], actor=operator)
    first = reverse(original, actor=operator, rows=(2,))
    assert (first.lines_count, first.status) == (1, "applied")
    assert [available(person) for person in people] == [5, 0, 5]
    second = reverse(original, actor=operator)
    assert codes(second) == ["applied", "already_reversed", "applied"]
    refused = reverse(original, actor=operator, mode="atomic")
    assert (refused.status, codes(refused)) == ("failed", ["already_reversed"] * 3)
    assert [available(person) for person in people] == [0] * 3


def test_used_tokens_are_refused_or_the_unused_part_is_taken(operator):
    spent, held, empty, _ = people = [make_user() for _ in range(4)]
    original = create([(person.user_ref, 10) for person in people], actor=operator)
    hold(spent, 4, settles=4)
    hold(held, 3)
    hold(empty, 10, settles=10)
    seen = services.preview_reversal(batch_id=original.batch_id, order=wanted())
    assert seen.outcomes == {"applied": 1, "reversal_credits_used": 3}
    strict = reverse(original, actor=operator)
    assert codes(strict) == ["reversal_credits_used"] * 3 + ["applied"]
    part = reverse(original, actor=operator, policy=ReversalPolicy.UNUSED_PART)
    assert codes(part) == ["applied", "applied", "reversal_credits_used", "already_reversed"]
    lines = RechargeLine.objects.filter(batch_id=part.batch_id).order_by("row_no")
    assert list(lines.values_list("amount", flat=True)) == [6, 7, 10, 10]
    assert part.tokens_total == 13
    assert [available(person) for person in people] == [0] * 4
    again = reverse(original, actor=operator, policy=ReversalPolicy.UNUSED_PART)
    assert "applied" not in codes(again)


def test_atomic_refuses_all_for_one_used_row(operator):
    used, fresh = make_user(), make_user()
    original = create([(used.user_ref, 10), (fresh.user_ref, 10)], actor=operator)
    hold(used, 1)
    receipt = reverse(original, actor=operator, mode="atomic")
    assert (receipt.status, codes(receipt)) == (
        "failed",
        ["reversal_credits_used", "rolled_back"],
    )
    assert available(fresh) == 10


def test_a_refused_reversal_of_unused_parts_still_asks_for_all_that_was_granted(operator):
    used, empty = make_user(), make_user()
    original = create([(used.user_ref, 10), (empty.user_ref, 10)], actor=operator)
    hold(used, 4, settles=4)
    hold(empty, 10, settles=10)
    part = ReversalPolicy.UNUSED_PART
    seen = services.preview_reversal(batch_id=original.batch_id, order=wanted("atomic", part))
    receipt = reverse(original, actor=operator, mode="atomic", policy=part)
    for failures in (seen.failures, receipt.failures):
        assert {line.code: line.amount for line in failures} == {
            "rolled_back": 10,
            "reversal_credits_used": 10,
        }
    child = services.retry_failures(
        batch_id=receipt.batch_id,
        actor_id=operator.pk,
        idempotency_key="r",
        mode=RechargeMode.SOFT_FAIL,
    )
    assert (child.tokens_requested, child.tokens_total) == (20, 6)


def test_a_frozen_wallet_can_be_corrected(operator):
    user = make_user()
    original = create([(user.user_ref, 10)], actor=operator)
    Wallet.objects.filter(owner=user).update(status="FROZEN")
    assert reverse(original, actor=operator).status == "applied"


def test_rows_that_were_never_applied_say_so(operator):
    user = make_user()
    original = create([(user.user_ref, 10), ("nobody", 10)], actor=operator)
    assert codes(reverse(original, actor=operator, rows=(1, 2))) == ["applied", "row_not_applied"]
    with pytest.raises(NothingToReverseError):
        reverse(original, actor=operator, rows=(7,))


def test_what_cannot_be_reversed(operator, settings):
    failed = create([("nobody", 1)], actor=operator)
    with pytest.raises(NothingToReverseError):
        reverse(failed, actor=operator)
    user = make_user()
    original = create([(user.user_ref, 1)], actor=operator)
    reversal = reverse(original, actor=operator)
    with pytest.raises(NothingToReverseError):
        reverse(reversal, actor=operator)
    settings.RECHARGE_SYNC_LINES_MAX = 0
    unfinished = create([(user.user_ref, 1)], actor=operator)
    with pytest.raises(BatchStateError):
        reverse(unfinished, actor=operator)


def test_failures_of_a_reversal_can_be_retried_with_its_policy(operator):
    user = make_user()
    original = create([(user.user_ref, 10)], actor=operator)
    hold(user, 10)
    refused = reverse(original, actor=operator, policy=ReversalPolicy.UNUSED_PART)
    assert codes(refused) == ["reversal_credits_used"]
    with transaction.atomic():
        services.void_hold(hold_id=Hold.objects.get().pk)
    child = services.retry_failures(
        batch_id=refused.batch_id, actor_id=operator.pk, idempotency_key="r"
    )
    assert (child.status, child.reversal_of, child.retry_of) == (
        "applied",
        original.batch_id,
        refused.batch_id,
    )
    assert available(user) == 0


def test_eight_reversals_at_once_take_back_once(operator):
    people = [make_user() for _ in range(20)]
    original = create([(person.user_ref, 5) for person in people], actor=operator)
    receipts = []
    raised = in_threads(
        *[lambda: receipts.append(reverse(original, actor=operator)) for _ in range(8)]
    )
    assert raised == []
    assert sorted(receipt.tokens_total for receipt in receipts) == [0] * 7 + [100]
    assert [available(person) for person in people] == [0] * 20


def test_reversals_recharges_and_holds_of_the_same_wallets_never_deadlock(operator):
    people = [make_user(tokens=50) for _ in range(20)]
    refs = [(person.user_ref, 2) for person in people]
    originals = [create(refs, actor=operator) for _ in range(3)]

    def charge():
        for person in people:
            hold(person, 1, settles=1)

    raised = in_threads(
        *[lambda original=original: reverse(original, actor=operator) for original in originals],
        *[lambda: create(refs, actor=operator) for _ in range(2)],
        *[lambda: create(refs[::-1], actor=operator, mode="atomic") for _ in range(2)],
        charge,
    )
    assert raised == []
