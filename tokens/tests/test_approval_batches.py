"""Approvals together with the batches they decide."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from accounts.types import Role
from tokens import approval_handlers, batch_handlers, selectors, services
from tokens.approvals import VoteDecision
from tokens.errors import ApprovalClosedError, BatchStateError
from tokens.models import ApprovalRequest, AuditEvent, RechargeBatch
from tokens.tasks import expire_approvals
from tokens.tests.approvals import ballot, change_policy, make_policy, make_staff
from tokens.tests.factories import make_user, recharge
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
APPROVE, REJECT = VoteDecision.APPROVE, VoteDecision.REJECT
TRIGGER_SQL = "ALTER TABLE tokens_approvalrequest {switch} TRIGGER tokens_approvalrequest_checked"


@pytest.fixture
def policy():
    return make_policy(name="ten", batch_tokens_min=10)


def waiting(maker, *, tokens=10):
    """A real batch that waits, its request, and who will get the tokens."""
    user = make_user()
    receipt = recharge([user.user_ref], tokens, actor=maker)
    assert receipt.status == "pending_approval"
    return ApprovalRequest.objects.get(batch_id=receipt.batch_id), user


def make_overdue(request):
    """Move the request into the past, which its trigger would refuse."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TRIGGER_SQL.format(switch="DISABLE"))
        cursor.execute(
            "UPDATE tokens_approvalrequest SET opened_at = now() - interval '2 minutes',"
            " expires_at = now() - interval '1 minute' WHERE id = %s",
            [request.pk],
        )
        cursor.execute(TRIGGER_SQL.format(switch="ENABLE"))


def vote(request, voter, decision=APPROVE, **fields):
    return services.vote_on_batch(
        request_id=request.pk, voter_id=voter.pk, ballot=ballot(request, decision, **fields)
    )


def apply(request):
    batch_handlers.apply_recharge_batch(batch_id=request.batch_id)
    return RechargeBatch.objects.get(pk=request.batch_id)


def available(user):
    return selectors.balance(user_id=user.pk).available


# --- Together with the batch ----------------------------------------------------------------------


def test_an_approved_batch_is_applied_and_not_before(policy):
    maker, checker = make_staff()
    request, user = waiting(maker)
    assert apply(request).status == "PENDING_APPROVAL"
    vote(request, checker)
    assert apply(request).status == "APPLIED"
    assert available(user) == 10
    assert request.content_sha256 == request.batch.content_sha256


def test_a_rejected_batch_moves_nothing_for_ever(policy):
    maker, checker = make_staff()
    request, user = waiting(maker)
    vote(request, checker, REJECT)
    assert apply(request).status == "REJECTED"
    assert available(user) == 0
    with pytest.raises(BatchStateError):
        services.release_batch(batch_id=request.batch_id)


def test_small_batches_split_by_one_maker_end_up_waiting():
    make_policy(maker_day_tokens_min=10)
    maker = make_user(role=Role.OPERATOR)
    refs = [make_user().user_ref]
    states = [recharge(refs, 4, actor=maker).status for _part in range(3)]
    assert states == ["applied", "applied", "pending_approval"]


def test_votes_at_once_release_or_refuse_the_batch_once(policy):
    change_policy(policy, approvals_required=2)
    maker, *checkers = make_staff(4)
    request, user = waiting(maker)
    errors = in_threads(
        lambda: vote(request, checkers[0]),
        lambda: vote(request, checkers[1]),
        lambda: vote(request, checkers[2], REJECT),
    )
    assert all(isinstance(error, ApprovalClosedError) for error in errors)
    batch = apply(request)
    request.refresh_from_db()
    outcome = {"APPROVED": ("APPLIED", 10), "REJECTED": ("REJECTED", 0)}[request.status]
    assert (batch.status, available(user)) == outcome
    ends = ["recharge_batch.released", "recharge_batch.rejected"]
    assert AuditEvent.objects.filter(action__in=ends).count() == 1


def test_a_stopped_batch_is_recalled(policy):
    maker, checker = make_staff()
    request, user = waiting(maker)
    assert services.stop_batch(batch_id=request.batch_id, actor_id=maker.pk).status == "stopped"
    request.refresh_from_db()
    assert request.status == "RECALLED"
    with pytest.raises(ApprovalClosedError):
        vote(request, checker)
    assert available(user) == 0


def test_stopping_and_voting_at_once_do_not_deadlock(policy):
    maker, checker = make_staff()
    for _round in range(5):
        request, user = waiting(maker)
        errors = in_threads(
            lambda: services.stop_batch(batch_id=request.batch_id, actor_id=maker.pk),  # noqa: B023
            lambda: vote(request, checker),  # noqa: B023
        )
        assert all(isinstance(error, ApprovalClosedError) for error in errors)
        batch = RechargeBatch.objects.get(pk=request.batch_id)
        assert batch.status == "STOPPED"
        assert available(user) == 0


def test_the_sweep_ends_what_is_overdue(policy):
    maker, checker = make_staff()
    (first, nobody), (second, user) = waiting(maker), waiting(maker)
    assert approval_handlers.expire_approvals() == 0
    make_overdue(first)
    assert approval_handlers.expire_approvals() == 1
    assert approval_handlers.expire_approvals() == 0
    first.refresh_from_db()
    assert (first.status, first.batch.status) == ("EXPIRED", "APPROVAL_EXPIRED")
    assert AuditEvent.objects.filter(action="approval_request.expired", actor=None).count() == 1
    with pytest.raises(ApprovalClosedError):
        vote(first, checker)
    vote(second, checker)
    assert apply(second).status == "APPLIED"
    assert (available(nobody), available(user)) == (0, 10)


def test_sweeps_at_once_end_it_once(policy):
    request, _user = waiting(make_user(role=Role.OPERATOR))
    make_overdue(request)
    assert in_threads(*[expire_approvals] * 4) == []
    request.refresh_from_db()
    assert (request.status, request.batch.status) == ("EXPIRED", "APPROVAL_EXPIRED")
    assert AuditEvent.objects.filter(action="approval_request.expired").count() == 1
