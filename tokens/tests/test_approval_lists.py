from __future__ import annotations

import uuid

import pytest
from django.contrib.auth import get_user_model

from accounts.types import Role
from tokens import approval_selectors
from tokens.approval_selectors import Inbox
from tokens.errors import (
    ApproverNotEligibleError,
    InvalidCursorError,
)
from tokens.tests.approvals import (
    ballot,
    make_batch,
    make_policy,
    make_staff,
    open_request,
    overdue_request,
    vote,
)
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)
User = get_user_model()


def ids(inbox, viewer, **page):
    rows, cursor = approval_selectors.approval_requests(
        viewer_id=viewer.pk, inbox=inbox, **{"limit": 50} | page
    )
    return [row.id for row in rows], cursor


def test_the_inbox_shows_what_is_mine_to_decide():
    make_policy()
    olga, pavel, quentin = make_staff(3)
    of_olga, of_pavel, voted = open_request(olga), open_request(pavel), open_request(olga)
    overdue_request(olga)
    vote(voted, pavel)
    assert ids(Inbox.MINE, pavel)[0] == [of_olga.pk]
    assert ids(Inbox.MINE, olga)[0] == [of_pavel.pk]
    assert ids(Inbox.WAITING, quentin)[0] == [of_olga.pk, of_pavel.pk]
    assert ids(Inbox.MINE, make_user())[0] == []
    assert len(ids(Inbox.ALL, olga)[0]) == 4


def test_lists_come_in_pages():
    make_policy()
    maker, viewer = make_staff()
    requests = [open_request(maker).pk for _number in range(3)]
    for inbox, order in ((Inbox.MINE, requests), (Inbox.ALL, requests[::-1])):
        first, cursor = ids(inbox, viewer, limit=2)
        rest, end = ids(inbox, viewer, limit=2, cursor=cursor)
        assert (first + rest, end) == (order, None)
    for cursor in ("x", str(uuid.uuid4())):
        with pytest.raises(InvalidCursorError):
            ids(Inbox.ALL, viewer, cursor=cursor)


def test_a_list_costs_a_constant_number_of_queries(django_assert_num_queries):
    make_policy(approvals_required=2)
    maker, first, viewer = make_staff(3)
    for _number in range(5):
        vote(open_request(maker), first)
    with django_assert_num_queries(6):
        ids(Inbox.MINE, viewer)


def view(request, viewer):
    return approval_selectors.approval_request(request_id=request.pk, viewer_id=viewer.pk)


def test_a_request_without_an_eligible_approver_says_so():
    make_policy(roles=["ADMIN"], approvals_required=2)
    maker, admin = make_user(role=Role.ADMIN), make_user(role=Role.ADMIN)
    request = open_request(maker)
    assert view(request, maker).status == "blocked_no_approver"
    helper = make_user(role=Role.ADMIN)
    assert view(request, maker).status == "open"
    vote(request, admin)
    assert view(request, helper).status == "open"
    assert view(request, helper).is_my_turn is True
    User.objects.filter(pk=helper.pk).update(is_active=False)
    assert view(request, maker).status == "blocked_no_approver"


def test_policies_that_share_no_role_block():
    make_policy(roles=["ADMIN"])
    make_policy(roles=["OPERATOR"])
    maker, operator = make_staff()
    request = open_request(maker)
    assert view(request, maker).status == "blocked_no_approver"
    with pytest.raises(ApproverNotEligibleError):
        vote(request, operator)


def test_a_request_is_shown_with_its_votes():
    make_policy(name="ten", approvals_required=2)
    maker, checker = make_staff()
    request = open_request(maker)
    vote(request, checker)
    shown = view(request, maker)
    assert (shown.maker, shown.policies, shown.roles) == (
        maker.user_ref,
        ("ten",),
        ("admin", "operator"),
    )
    assert (shown.tokens_total, shown.rows_count, shown.approvals_count) == (10, 1, 1)
    assert shown.is_my_turn is False
    assert [(v.voter, v.decision) for v in shown.votes] == [(checker.user_ref, "approve")]
    assert view(overdue_request(maker), maker).status == "expired"


def test_the_digest_names_the_batch():
    make_policy()
    maker = make_user(role=Role.OPERATOR)
    request = open_request(maker)
    assert ballot(request).content_sha256 == request.batch.content_sha256
    assert make_batch(maker).content_sha256 != request.content_sha256
