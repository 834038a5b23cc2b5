from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from accounts.errors import StepUpRequiredError
from accounts.types import Role
from tokens import approval_selectors, audit
from tokens.approvals import VoteDecision
from tokens.errors import (
    AlreadyVotedError,
    ApprovalClosedError,
    ApprovalCommentMissingError,
    ApprovalContentChangedError,
    ApprovalExpiredError,
    ApprovalNotFoundError,
    ApproverNotEligibleError,
    KeyMayNotVoteError,
    MakerMayNotCheckError,
)
from tokens.models import (
    ApprovalAssessment,
    ApprovalRequest,
    ApprovalVote,
    AuditEvent,
    RechargeBatch,
)
from tokens.services import approvals
from tokens.tests.approvals import (
    assess,
    make_policy,
    make_staff,
    open_request,
    overdue_request,
    vote,
)
from tokens.tests.factories import make_user
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
User = get_user_model()
APPROVE, REJECT, ASK = VoteDecision.APPROVE, VoteDecision.REJECT, VoteDecision.ASK


def refresh(request):
    return ApprovalRequest.objects.select_related("batch").get(pk=request.pk)


# --- Which batches wait ---------------------------------------------------------------------------


def test_without_policies_nothing_waits():
    batch, is_waiting = assess(make_user(role=Role.OPERATOR), tokens=10**12)
    assert is_waiting is False
    assert ApprovalAssessment.objects.get(batch=batch).is_approval_required is False


@pytest.mark.parametrize(
    ("bound", "below", "reached"),
    [
        ({"row_tokens_min": 5}, {"tokens": 8, "largest": 4}, {"tokens": 8, "largest": 5}),
        ({"batch_tokens_min": 5}, {"tokens": 4}, {"tokens": 5}),
        ({"rows_min": 5}, {"rows": 4}, {"rows": 5}),
        ({"maker_day_tokens_min": 5}, {"tokens": 4}, {"tokens": 5}),
    ],
)
def test_a_bound_is_reached_from_its_value_on(bound, below, reached):
    make_policy(**bound)
    assert assess(make_user(role=Role.OPERATOR), **below)[1] is False
    assert assess(make_user(role=Role.OPERATOR), **reached)[1] is True


def test_splitting_does_not_slip_under_the_rolling_sum():
    make_policy(maker_day_tokens_min=100)
    maker, other = make_staff()
    assert [assess(maker, tokens=40)[1] for _part in range(3)] == [False, False, True]
    # Another person's day is another day.
    assert assess(other, tokens=40)[1] is False


def test_the_rolling_sum_looks_back_exactly_one_day():
    make_policy(maker_day_tokens_min=100)
    maker = make_user(role=Role.OPERATOR)
    now = timezone.now()
    day = dt.timedelta(hours=24)
    assess(maker, tokens=99, now=now - day)
    assert assess(maker, tokens=1, now=now)[1] is False
    assess(maker, tokens=98, now=now - day + dt.timedelta(microseconds=1))
    assert assess(maker, tokens=1, now=now)[1] is True


@pytest.mark.corrupts_books
def test_what_was_refused_leaves_the_rolling_sum():
    make_policy(maker_day_tokens_min=100)
    maker, checker = make_staff()
    request = open_request(maker, tokens=100)
    vote(request, checker, REJECT)
    batch, is_waiting = assess(maker, tokens=60)
    assert is_waiting is False
    assert ApprovalAssessment.objects.get(batch=batch).maker_day_tokens == 60
    RechargeBatch.objects.filter(pk=batch.pk).update(status="FAILED", done_count=1)
    assert assess(maker, tokens=60)[1] is False


def test_parallel_parts_of_one_maker_see_each_other():
    make_policy(maker_day_tokens_min=100)
    maker = make_user(role=Role.OPERATOR)
    assert in_threads(*[lambda: assess(maker, tokens=60)] * 4) == []
    assert ApprovalAssessment.objects.filter(is_approval_required=False).count() == 1


def test_policies_that_are_off_or_for_reversals_do_not_count():
    make_policy(is_active=False)
    make_policy(subject="REVERSAL")
    maker = make_user(role=Role.OPERATOR)
    assert assess(maker)[1] is False
    assert assess(maker, is_reversal=True)[1] is True


def test_the_strictest_of_all_reached_policies_counts():
    make_policy(name="a", approvals_required=2, expires_after_s=600)
    make_policy(name="b", roles=["ADMIN"], expires_after_s=300, is_open_to_keys=True)
    make_policy(name="far", batch_tokens_min=11, approvals_required=5)
    request = open_request(make_user(role=Role.OPERATOR))
    assert (request.approvals_required, request.roles) == (2, ["ADMIN"])
    assert request.expires_at - request.opened_at == dt.timedelta(seconds=300)
    assert request.is_open_to_keys is False
    assert [policy["name"] for policy in request.policies] == ["a", "b"]


def test_more_tokens_than_a_column_holds_still_wait():
    make_policy(maker_day_tokens_min=10)
    maker = make_user(role=Role.OPERATOR)
    assert assess(maker, tokens=2**64, largest=2**63 - 1)[1] is True
    assert assess(maker, tokens=2**64, largest=2**63 - 1)[1] is True


# --- Votes ----------------------------------------------------------------------------------------


def test_a_quorum_approves_and_only_its_last_vote_says_so():
    make_policy(approvals_required=2)
    maker, first, second, late = make_staff(4)
    request = open_request(maker)
    one = vote(request, first)
    assert (one.status, one.approvals_count, one.is_closed_now) == ("open", 1, False)
    two = vote(request, second)
    assert (two.status, two.approvals_count, two.is_closed_now) == ("approved", 2, True)
    assert two.batch_id == request.batch_id
    assert refresh(request).decided_at is not None
    with pytest.raises(ApprovalClosedError):
        vote(request, late)
    actions = AuditEvent.objects.order_by("pk").values_list("action", "actor_id")
    assert list(actions) == [
        ("approval_request.opened", maker.pk),
        ("approval_request.approved_by", first.pk),
        ("approval_request.approved_by", second.pk),
    ]


def test_one_rejection_ends_it():
    make_policy(approvals_required=2)
    maker, first, second = make_staff(3)
    request = open_request(maker)
    vote(request, first)
    assert vote(request, second, REJECT).status == "rejected"
    assert refresh(request).status == "REJECTED"


def test_a_question_is_kept_and_changes_nothing():
    make_policy()
    maker, checker = make_staff()
    request = open_request(maker)
    asked = vote(request, checker, ASK, comment="Which campaign?", second_factor_at=None)
    assert (asked.status, asked.is_closed_now) == ("open", False)
    vote(request, checker, ASK, comment="And who pays?")
    assert vote(request, checker).status == "approved"
    comments = ApprovalVote.objects.order_by("pk").values_list("decision", "comment")
    assert list(comments) == [
        ("ASK", "Which campaign?"),
        ("ASK", "And who pays?"),
        ("APPROVE", ""),
    ]


def test_the_maker_never_checks():
    make_policy()
    maker = make_user(role=Role.ADMIN)
    request = open_request(maker)
    for decision in VoteDecision:
        with pytest.raises(MakerMayNotCheckError):
            vote(request, maker, decision)


def test_who_has_no_role_or_is_switched_off_does_not_check():
    make_policy(roles=["ADMIN"])
    maker, operator = make_staff()
    former = make_user(role=Role.ADMIN)
    User.objects.filter(pk=former.pk).update(is_active=False)
    request = open_request(maker)
    for person in (operator, former, make_user()):
        with pytest.raises(ApproverNotEligibleError):
            vote(request, person)
    assert vote(request, make_user(role=Role.ADMIN)).status == "approved"


@pytest.mark.corrupts_books
def test_a_vote_counts_for_the_content_it_names():
    make_policy(approvals_required=2)
    maker, first, second = make_staff(3)
    request = open_request(maker)
    with pytest.raises(ApprovalContentChangedError):
        vote(request, first, content_sha256="0" * 64)
    vote(request, first)
    # Somebody edits the batch past everything else: neither the old nor the new digest is good.
    RechargeBatch.objects.filter(pk=request.batch_id).update(content_sha256="0" * 64)
    for digest in (request.content_sha256, "0" * 64):
        with pytest.raises(ApprovalContentChangedError):
            vote(request, second, content_sha256=digest)
    names = [violation.name for violation in audit.find_violations()]
    assert names == ["batch_moved_only_what_was_approved"]


def test_a_vote_is_cast_once_and_may_be_repeated():
    make_policy(approvals_required=2)
    maker, checker = make_staff()
    request = open_request(maker)
    vote(request, checker)
    again = vote(request, checker)
    assert (again.is_replay, again.is_closed_now, again.approvals_count) == (True, False, 1)
    with pytest.raises(AlreadyVotedError):
        vote(request, checker, REJECT)
    assert ApprovalVote.objects.count() == 1


def test_the_deciding_vote_repeated_does_not_decide_again():
    make_policy()
    maker, checker = make_staff()
    request = open_request(maker)
    assert vote(request, checker).is_closed_now is True
    again = vote(request, checker)
    assert (again.status, again.is_replay, again.is_closed_now) == ("approved", True, False)


def test_a_rejection_and_a_question_have_words():
    make_policy()
    maker, checker = make_staff()
    request = open_request(maker)
    for decision in (REJECT, ASK):
        with pytest.raises(ApprovalCommentMissingError):
            vote(request, checker, decision, comment="  ")


def test_a_vote_needs_a_second_factor_of_the_last_five_minutes():
    make_policy()
    maker, checker = make_staff()
    request = open_request(maker)
    stale = timezone.now() - dt.timedelta(seconds=301)
    for moment in (None, stale):
        with pytest.raises(StepUpRequiredError):
            vote(request, checker, second_factor_at=moment)
    fresh = timezone.now() - dt.timedelta(seconds=290)
    vote(request, checker, second_factor_at=fresh)
    assert ApprovalVote.objects.get().second_factor_at == fresh


def test_keys_vote_where_every_policy_lets_them():
    make_policy(name="open", is_open_to_keys=True)
    maker, checker = make_staff()
    request = open_request(maker)
    assert vote(request, checker, is_by_key=True, second_factor_at=None).status == "approved"
    make_policy(name="people")
    other = open_request(maker)
    with pytest.raises(KeyMayNotVoteError):
        vote(other, checker, is_by_key=True, second_factor_at=None)


def test_an_overdue_request_takes_no_votes():
    make_policy()
    maker, checker = make_staff()
    request = overdue_request(maker)
    with pytest.raises(ApprovalExpiredError):
        vote(request, checker)


def test_there_is_no_such_request():
    with pytest.raises(ApprovalNotFoundError):
        approval_selectors.approval_request(request_id=uuid.uuid4(), viewer_id=1)


def test_a_stopped_batch_recalls_its_request():
    make_policy()
    maker, checker = make_staff()
    request = open_request(maker)
    with transaction.atomic():
        assert approvals.recall(batch_id=request.batch_id, actor_id=maker.pk) is True
        assert approvals.recall(batch_id=request.batch_id, actor_id=maker.pk) is False
    assert refresh(request).status == "RECALLED"
    with pytest.raises(ApprovalClosedError):
        vote(request, checker)


@pytest.mark.parametrize("attempt", range(5))
def test_two_approvals_and_a_rejection_at_once_have_one_outcome(attempt):
    make_policy(approvals_required=2)
    maker, *checkers = make_staff(4)
    request = open_request(maker)
    decisions = []

    def cast(voter, decision):
        return lambda: decisions.append(vote(request, voter, decision))

    errors = in_threads(
        cast(checkers[0], APPROVE), cast(checkers[1], APPROVE), cast(checkers[2], REJECT)
    )
    assert all(isinstance(error, ApprovalClosedError) for error in errors)
    closing = [decision for decision in decisions if decision.is_closed_now]
    assert len(closing) == 1
    assert refresh(request).status == closing[0].status.upper()
    said = list(ApprovalVote.objects.order_by("pk").values_list("decision", flat=True))
    if closing[0].status == "approved":
        assert said == ["APPROVE", "APPROVE"]
    else:
        assert said[-1] == "REJECT"
        assert said.count("REJECT") == 1
        assert len(said) <= 2


def test_one_person_from_many_windows_votes_once():
    make_policy(approvals_required=2)
    maker, checker = make_staff()
    request = open_request(maker)
    assert in_threads(*[lambda: vote(request, checker)] * 5) == []
    assert ApprovalVote.objects.count() == 1
    assert refresh(request).status == "OPEN"
