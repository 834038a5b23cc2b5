"""The rules of approvals against whoever writes SQL by hand."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.types import Role
from tokens.approvals import VoteDecision
from tokens.models import ApprovalVote, RechargeBatch
from tokens.tests.approvals import (
    make_policy,
    make_staff,
    open_request,
    overdue_request,
    vote,
)
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)
VOTE_SQL = """
INSERT INTO tokens_approvalvote
       (request_id, voter_id, voter_role, decision, comment, content_sha256, second_factor_at)
VALUES (%(request)s, %(voter)s, %(role)s, %(decision)s, 'by hand', %(digest)s, %(factor)s)
"""


def run(sql, **parameters):
    """One statement in a transaction of its own."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def insert_vote(request, voter, **changes):
    values = {
        "request": request.pk,
        "voter": voter.pk,
        "role": voter.role,
        "decision": "APPROVE",
        "digest": request.content_sha256,
        "factor": timezone.now(),
    }
    run(VOTE_SQL, **values | changes)


def set_status(request, status):
    run(
        "UPDATE tokens_approvalrequest SET status = %(status)s, decided_at = now()"
        " WHERE id = %(id)s",
        status=status,
        id=request.pk,
    )


def release(request, status="QUEUED"):
    run(
        "UPDATE tokens_rechargebatch SET status = %(status)s WHERE id = %(id)s",
        status=status,
        id=request.batch_id,
    )


@pytest.fixture
def people():
    """A maker and two who may check."""
    return make_staff(3)


@pytest.fixture
def request_(people):
    """A request that needs two approvals of operators."""
    make_policy(approvals_required=2, roles=["OPERATOR"])
    return open_request(people[0])


def test_a_good_vote_goes_in(request_, people):
    insert_vote(request_, people[1])
    vote = ApprovalVote.objects.get(request=request_)
    assert (vote.voter_id, vote.decision) == (people[1].pk, "APPROVE")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"digest": "0" * 64}, "another content"),
        ({"role": "ADMIN"}, "no role"),
        ({"factor": None}, "no second factor"),
    ],
)
def test_a_bad_vote_stays_out(request_, people, changes, fault):
    with pytest.raises(IntegrityError, match=fault):
        insert_vote(request_, people[1], **changes)


def test_votes_of_the_maker_and_of_outsiders_stay_out(request_, people):
    with pytest.raises(IntegrityError, match="the maker may not check"):
        insert_vote(request_, people[0])
    outsider = make_user()
    with pytest.raises(IntegrityError, match="no role"):
        insert_vote(request_, outsider, role="OPERATOR")
    run("UPDATE accounts_user SET is_active = false WHERE id = %(id)s", id=people[1].pk)
    with pytest.raises(IntegrityError, match="no role"):
        insert_vote(request_, people[1])


def test_a_second_vote_of_one_person_stays_out(request_, people):
    insert_vote(request_, people[1])
    with pytest.raises(IntegrityError, match="approvalvote_once_per_person"):
        insert_vote(request_, people[1], decision="REJECT")


@pytest.mark.corrupts_books
def test_votes_on_an_edited_batch_stay_out(request_, people):
    run(
        "UPDATE tokens_rechargebatch SET content_sha256 = %(digest)s WHERE id = %(id)s",
        digest="0" * 64,
        id=request_.batch_id,
    )
    for digest in (request_.content_sha256, "0" * 64):
        with pytest.raises(IntegrityError, match="another content"):
            insert_vote(request_, people[1], digest=digest)


def test_late_votes_stay_out(people):
    make_policy()
    late = overdue_request(people[0])
    with pytest.raises(IntegrityError, match="expired"):
        insert_vote(late, people[1])
    closed = open_request(people[0])
    vote(closed, people[1], VoteDecision.REJECT)
    with pytest.raises(IntegrityError, match="closed"):
        insert_vote(closed, people[2])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens_approvalvote SET comment = 'x'",
        "DELETE FROM tokens_approvalvote",
        "UPDATE tokens_approvalassessment SET tokens_total = 0",
        "DELETE FROM tokens_approvalassessment",
    ],
)
def test_what_was_said_stays(request_, people, statement):
    vote(request_, people[1])
    with pytest.raises(IntegrityError, match="immutable"):
        run(statement)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM tokens_approvalrequest", "kept"),
        ("UPDATE tokens_approvalrequest SET approvals_required = 1", "does not change"),
        ("UPDATE tokens_approvalrequest SET roles = '{OPERATOR,ADMIN}'", "does not change"),
        ("UPDATE tokens_approvalrequest SET maker_id = maker_id + 1", "does not change"),
        ("UPDATE tokens_approvalrequest SET expires_at = now() + '1 day'", "does not change"),
    ],
)
def test_what_was_asked_stays(request_, statement, fault):
    with pytest.raises(IntegrityError, match=fault):
        run(statement)


def test_a_request_is_approved_by_its_quorum_only(request_, people):
    insert_vote(request_, people[1])
    with pytest.raises(IntegrityError, match="quorum"):
        set_status(request_, "APPROVED")
    insert_vote(request_, people[2])
    set_status(request_, "APPROVED")
    with pytest.raises(IntegrityError, match="closed"):
        set_status(request_, "REJECTED")


def test_a_rejection_outweighs_a_quorum(people):
    make_policy()
    request = open_request(people[0])
    insert_vote(request, people[1])
    insert_vote(request, people[2], decision="REJECT")
    with pytest.raises(IntegrityError, match="quorum"):
        set_status(request, "APPROVED")
    set_status(request, "REJECTED")


def test_a_request_is_rejected_and_expires_for_a_reason(request_):
    with pytest.raises(IntegrityError, match="nobody rejected"):
        set_status(request_, "REJECTED")
    with pytest.raises(IntegrityError, match="time left"):
        set_status(request_, "EXPIRED")
    set_status(overdue_request(make_user(role=Role.OPERATOR)), "EXPIRED")


def test_a_request_starts_open(request_):
    with pytest.raises(IntegrityError, match="opened before"):
        run(
            "INSERT INTO tokens_approvalrequest SELECT gen_random_uuid(), (r).* FROM"
            " (SELECT 1) x, LATERAL (SELECT content_sha256, approvals_required, roles,"
            " is_open_to_keys, policies, 'APPROVED', opened_at, expires_at, now(), batch_id,"
            " maker_id FROM tokens_approvalrequest) r"
        )


def test_a_batch_is_released_by_its_approval_only(request_, people):
    for status in ("QUEUED", "APPLYING", "APPLIED"):
        with pytest.raises(IntegrityError, match="not approved"):
            release(request_, status)
    vote(request_, people[1])
    with pytest.raises(IntegrityError, match="not approved"):
        release(request_)
    vote(request_, people[2])
    release(request_)


@pytest.mark.corrupts_books
def test_an_edit_after_the_approval_stops_the_batch(request_, people):
    vote(request_, people[1])
    vote(request_, people[2])
    RechargeBatch.objects.filter(pk=request_.batch_id).update(content_sha256="0" * 64)
    with pytest.raises(IntegrityError, match="not approved"):
        release(request_)


def test_a_deadline_cannot_lie_before_its_start(people):
    make_policy()
    request = open_request(people[0], now=timezone.now() - dt.timedelta(minutes=1))
    with pytest.raises(IntegrityError, match="does not change"):
        run(
            "UPDATE tokens_approvalrequest SET expires_at = opened_at WHERE id = %(id)s",
            id=request.pk,
        )
