from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tokens import handlers, selectors, services
from tokens.errors import HoldResolvedError, InsufficientTokensError
from tokens.models import Hold, Transfer
from tokens.tests.factories import make_user
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def hold(user, amount: int, *, expires_in_s: int = 600, reference: str | None = None) -> uuid.UUID:
    with transaction.atomic():
        return services.place_hold(
            owner_id=user.pk,
            amount=amount,
            reference=reference or f"test:{uuid.uuid4()}",
            expires_at=timezone.now() + dt.timedelta(seconds=expires_in_s),
        )


def settle(hold_id: uuid.UUID, amount: int) -> None:
    with transaction.atomic():
        services.settle_hold(hold_id=hold_id, amount=amount)


def void(hold_id: uuid.UUID) -> bool:
    with transaction.atomic():
        return services.void_hold(hold_id=hold_id)


def numbers(user) -> tuple[int, int]:
    balance = selectors.balance(user_id=user.pk)
    return balance.available, balance.held


def test_a_hold_sets_tokens_aside_and_a_settle_spends_them():
    user = make_user(tokens=10)
    hold_id = hold(user, 4)
    assert numbers(user) == (6, 4)
    settle(hold_id, 4)
    assert numbers(user) == (6, 0)
    receipt = selectors.hold_receipt(hold_id=hold_id)
    assert (receipt.status, receipt.held, receipt.settled, receipt.refunded) == ("settled", 4, 4, 0)
    assert [(t.kind, t.tokens, t.available_change) for t in receipt.transfers] == [
        ("hold", 4, -4),
        ("settle", 4, 0),
    ]


def test_a_partial_settle_gives_the_rest_back():
    user = make_user(tokens=10)
    hold_id = hold(user, 7)
    settle(hold_id, 3)
    assert numbers(user) == (7, 0)
    receipt = selectors.hold_receipt(hold_id=hold_id)
    assert (receipt.settled, receipt.refunded) == (3, 4)
    assert [(t.kind, t.available_change) for t in receipt.transfers] == [
        ("hold", -7),
        ("settle", 0),
        ("release", 4),
    ]


@pytest.mark.parametrize("give_back", [lambda h: settle(h, 0), void])
def test_voiding_gives_everything_back(give_back):
    user = make_user(tokens=10)
    hold_id = hold(user, 7)
    give_back(hold_id)
    assert numbers(user) == (10, 0)
    receipt = selectors.hold_receipt(hold_id=hold_id)
    assert (receipt.status, receipt.settled, receipt.refunded) == ("voided", 0, 7)


def test_a_hold_is_resolved_once():
    user = make_user(tokens=10)
    hold_id = hold(user, 7)
    settle(hold_id, 7)
    with pytest.raises(HoldResolvedError):
        settle(hold_id, 1)
    with pytest.raises(HoldResolvedError):
        services.extend_hold(hold_id=hold_id, expires_at=timezone.now())
    assert void(hold_id) is False
    assert numbers(user) == (3, 0)


@pytest.mark.parametrize("amount", [-1, 8])
def test_a_settle_stays_within_the_hold(amount):
    user = make_user(tokens=10)
    hold_id = hold(user, 7)
    with pytest.raises(IntegrityError, match="cannot settle"):
        settle(hold_id, amount)
    assert numbers(user) == (3, 7)


@pytest.mark.parametrize("tokens", [0, 3])
def test_too_few_tokens_refuse_the_hold_and_say_how_many_are_missing(tokens):
    user = make_user(tokens=tokens)
    with pytest.raises(InsufficientTokensError) as caught:
        hold(user, 4)
    assert caught.value.context == {"needed": 4, "available": tokens}
    assert numbers(user) == (tokens, 0)
    assert not Hold.objects.exists()


def test_one_hold_per_reference_for_ever():
    user = make_user(tokens=10)
    void(hold(user, 1, reference="job:1"))
    with pytest.raises(IntegrityError):
        hold(user, 1, reference="job:1")
    assert numbers(user) == (10, 0)


def test_a_hold_of_nothing_is_a_bug():
    with pytest.raises(ValueError, match="at least 1 token"):
        hold(make_user(tokens=1), 0)


def test_a_rolled_back_hold_leaves_no_trace():
    user = make_user(tokens=5)
    with transaction.atomic():
        services.place_hold(owner_id=user.pk, amount=5, reference="r", expires_at=timezone.now())
        transaction.set_rollback(True)
    assert numbers(user) == (5, 0)
    assert Transfer.objects.filter(kind="HOLD").count() == 0


def test_the_sweep_expires_only_what_is_due():
    user = make_user(tokens=10)
    due, later = hold(user, 2, expires_in_s=-1), hold(user, 3)
    assert handlers.expire_holds() == 1
    assert numbers(user) == (7, 3)
    assert Hold.objects.get(pk=due).status == Hold.Status.EXPIRED
    assert Hold.objects.get(pk=later).status == Hold.Status.PENDING
    assert handlers.expire_holds() == 0


def test_an_extended_hold_survives_the_sweep():
    user = make_user(tokens=10)
    hold_id = hold(user, 2, expires_in_s=-1)
    services.extend_hold(hold_id=hold_id, expires_at=timezone.now() + dt.timedelta(hours=1))
    assert handlers.expire_holds() == 0
    settle(hold_id, 2)
    assert numbers(user) == (8, 0)


def test_threads_racing_for_the_last_tokens_never_oversell():
    user = make_user(tokens=10)
    raised = in_threads(*[lambda: hold(user, 3) for _ in range(12)])
    assert numbers(user) == (1, 9)
    assert len(raised) == 9
    assert {type(error) for error in raised} == {InsufficientTokensError}


def test_settle_void_and_expiry_racing_for_one_hold_have_one_winner():
    user = make_user(tokens=10)
    hold_id = hold(user, 6, expires_in_s=-1)
    raised = in_threads(
        *[lambda: settle(hold_id, 6)] * 4,
        *[lambda: void(hold_id)] * 4,
        *[handlers.expire_holds] * 4,
    )
    assert all(isinstance(error, HoldResolvedError) for error in raised)
    closed = Hold.objects.get(pk=hold_id)
    assert numbers(user) == (10 - closed.settled, 0)
    kinds = Transfer.objects.filter(hold=closed).exclude(kind="HOLD").values_list("kind", flat=True)
    assert len(kinds) == 1


def test_a_settle_takes_a_constant_number_of_queries(django_assert_max_num_queries):
    user = make_user(tokens=10)
    settle(hold(user, 1), 1)  # opens the system accounts
    hold_id = hold(user, 5)
    with django_assert_max_num_queries(8):  # two of them are BEGIN and COMMIT
        settle(hold_id, 3)


@pytest.mark.django_db(transaction=False)
def test_a_session_that_began_with_small_tables_reads_by_key_when_they_have_grown():
    user = make_user(tokens=100)
    with connection.cursor() as cursor:
        # The recharge that filled the wallet has switched it off, for the rest of this transaction.
        cursor.execute("SET LOCAL enable_seqscan TO DEFAULT")
        # What autovacuum does on a new installation: plans now count on one page at most.
        cursor.execute("ANALYZE tokens_hold, tokens_transfer, tokens_creditlot, tokens_wallet")
        before = whole_table_reads(cursor)
        # Past the first five executions the server keeps a plan.
        for _ in range(8):
            settle(hold(user, 2), 1)
        assert whole_table_reads(cursor) == before


def whole_table_reads(cursor) -> dict[str, int]:
    cursor.execute(
        "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname = ANY (%s)",
        [["tokens_hold", "tokens_transfer", "tokens_creditlot", "tokens_wallet"]],
    )
    return dict(cursor.fetchall())
