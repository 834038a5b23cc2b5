from __future__ import annotations

import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.types import Role
from tokens import selectors, services
from tokens.errors import BatchNotFoundError, InvalidCursorError
from tokens.tests.factories import make_user, recharge

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    """Recharged 10, held 7 and settled 3 of them, held 2 more."""
    user = make_user(tokens=10)
    for reference, amount in (("job:1", 7), ("job:2", 2)):
        with transaction.atomic():
            hold_id = services.place_hold(
                owner_id=user.pk, amount=amount, reference=reference, expires_at=timezone.now()
            )
        if reference == "job:1":
            with transaction.atomic():
                services.settle_hold(hold_id=hold_id, amount=3)
    return user


EXPECTED = [
    ("hold", -2, 5, 2, "job:2"),
    ("release", 4, 7, 0, "job:1"),
    ("settle", 0, 3, 4, "job:1"),
    ("hold", -7, 3, 7, "job:1"),
    ("recharge", 10, 10, 0, "recharge_batch"),
]


def rows(page):
    return [
        (
            line.transfer.kind,
            line.transfer.available_change,
            line.available_after,
            line.held_after,
            line.transfer.reference.split(":")[0]
            if line.transfer.kind == "recharge"
            else line.transfer.reference,
        )
        for line in page.lines
    ]


def test_every_line_carries_the_balance_right_after_it(user):
    page = selectors.statement(user_id=user.pk, limit=50)
    # A settle of 3 out of 7 is recorded before the release of 4: 4 are still held in between.
    assert rows(page) == EXPECTED
    assert page.next_cursor is None


def test_pages_join_without_gap_or_overlap(user):
    seen, cursor = [], None
    for _ in range(10):
        page = selectors.statement(user_id=user.pk, limit=2, cursor=cursor)
        seen += rows(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == EXPECTED


def test_a_page_takes_one_query(user, django_assert_num_queries):
    with django_assert_num_queries(1):
        selectors.statement(user_id=user.pk, limit=2)


def test_nobody_sees_the_lines_of_another(user):
    assert selectors.statement(user_id=make_user().pk, limit=50).lines == ()


@pytest.mark.parametrize("cursor", ["x", "-1", "", "9" * 30])
def test_a_foreign_cursor_is_refused(user, cursor):
    with pytest.raises(InvalidCursorError):
        selectors.statement(user_id=user.pk, limit=2, cursor=cursor)


def test_batches_and_lines_page_through():
    operator = make_user(role=Role.OPERATOR)
    receipts = [
        recharge([make_user().user_ref for _ in range(3)], 1, actor=operator) for _ in range(3)
    ]
    newest_first = [receipt.batch_id for receipt in reversed(receipts)]
    page, cursor = selectors.recharge_batches(limit=2)
    rest, end = selectors.recharge_batches(limit=2, cursor=cursor)
    assert [batch.batch_id for batch in page + rest] == newest_first
    assert end is None
    lines, cursor = selectors.recharge_lines(batch_id=receipts[0].batch_id, limit=2)
    more, end = selectors.recharge_lines(batch_id=receipts[0].batch_id, limit=2, cursor=cursor)
    assert [line.row_no for line in lines + more] == [1, 2, 3]
    assert end is None


def test_unknown_batches_and_cursors_are_told_apart():
    missing = uuid.uuid4()
    with pytest.raises(BatchNotFoundError):
        selectors.recharge_receipt(batch_id=missing)
    with pytest.raises(BatchNotFoundError):
        selectors.recharge_lines(batch_id=missing, limit=1)
    for cursor in (str(missing), "x"):
        with pytest.raises(InvalidCursorError):
            selectors.recharge_batches(limit=1, cursor=cursor)
