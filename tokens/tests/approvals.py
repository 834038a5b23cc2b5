"""Builders for tests of approvals: batches that wait, without the rows that fill them."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.types import Role
from tokens.approvals import Ballot, BatchFacts, VoteDecision
from tokens.models import ApprovalPolicy, ApprovalRequest, PolicyChange, RechargeBatch
from tokens.services import approvals, policies
from tokens.tests.factories import make_user

STAFF = [Role.OPERATOR.value, Role.ADMIN.value]


def make_policy(**fields) -> ApprovalPolicy:
    """Ten tokens in all need one approval of the staff, unless ``fields`` say otherwise."""
    bounds = {"row_tokens_min", "batch_tokens_min", "rows_min", "maker_day_tokens_min"}
    defaults: dict[str, Any] = {"name": uuid.uuid4().hex, "roles": STAFF}
    if not bounds & set(fields):
        defaults["batch_tokens_min"] = 10
    if not ApprovalPolicy.objects.exists():
        # The first one may come from anywhere; it leaves no events that tests would have to skip.
        return ApprovalPolicy.objects.create(**defaults | fields)
    change = propose(make_user(role=Role.ADMIN), **defaults | fields)
    decide(change, make_user(role=Role.ADMIN))
    return ApprovalPolicy.objects.get(pk=change.policy_id)


def change_policy(policy, **fields) -> ApprovalPolicy:
    """Other values for a policy, proposed and approved by two administrators."""
    change = propose(make_user(role=Role.ADMIN), policy.pk, **fields)
    decide(change, make_user(role=Role.ADMIN))
    return ApprovalPolicy.objects.get(pk=policy.pk)


def propose(actor, policy_id=None, **values) -> PolicyChange:
    """A proposal with a fresh second factor; the first policy of all is applied with it."""
    change_id = policies.propose_policy(
        actor_id=actor.pk, policy_id=policy_id, values=values, second_factor_at=timezone.now()
    )
    return PolicyChange.objects.get(pk=change_id)


def decide(change, checker, decision=VoteDecision.APPROVE, **fields) -> bool:
    """Approve a change, unless ``decision`` says otherwise."""
    return policies.decide_policy_change(
        change_id=change.pk, checker_id=checker.pk, ballot=ballot(change, decision, **fields)
    )


def make_batch(maker, *, status=RechargeBatch.Status.PENDING_APPROVAL, **fields) -> RechargeBatch:
    """A batch of one line that nothing was applied of."""
    serial = uuid.uuid4().hex
    return RechargeBatch.objects.create(
        actor=maker,
        reason="test",
        mode=RechargeBatch.Mode.ATOMIC,
        status=status,
        created_status=status,
        key_scope="test",
        idempotency_key=serial,
        request_fingerprint="0" * 64,
        content_sha256=hashlib.sha256(serial.encode()).hexdigest(),
        category="PAID",
        lines_count=1,
        **fields,
    )


@transaction.atomic
def assess(maker, *, tokens=10, rows=1, largest=None, now=None, is_reversal=False):
    """A new batch and whether it has to wait."""
    batch = make_batch(maker)
    is_waiting = approvals.open_if_required(
        batch_id=batch.pk,
        actor_id=maker.pk,
        facts=BatchFacts(
            rows_count=rows,
            tokens_total=tokens,
            largest_row=tokens if largest is None else largest,
            is_reversal=is_reversal,
        ),
        content_sha256=batch.content_sha256,
        now=now,
    )
    return batch, is_waiting


def open_request(maker, **facts) -> ApprovalRequest:
    """A request that waits."""
    batch, is_waiting = assess(maker, **facts)
    assert is_waiting
    return ApprovalRequest.objects.get(batch=batch)


def overdue_request(maker) -> ApprovalRequest:
    """A request whose time ran out a minute ago."""
    return open_request(maker, now=timezone.now() - dt.timedelta(hours=72, minutes=1))


def ballot(request, decision=VoteDecision.APPROVE, **fields) -> Ballot:
    """A vote with a fresh second factor on the content of the request."""
    defaults: dict[str, Any] = {
        "content_sha256": request.content_sha256,
        "comment": "" if decision is VoteDecision.APPROVE else "why",
        "second_factor_at": timezone.now(),
    }
    return Ballot(decision=decision, **defaults | fields)


@transaction.atomic
def vote(request, voter, decision=VoteDecision.APPROVE, **fields):
    """Cast a vote in a transaction of its own."""
    return approvals.vote(
        request_id=request.pk, voter_id=voter.pk, ballot=ballot(request, decision, **fields)
    )


def make_staff(count=2, role=Role.OPERATOR):
    """People who may check."""
    return [make_user(role=role) for _number in range(count)]
