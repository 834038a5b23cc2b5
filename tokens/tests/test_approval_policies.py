"""Policies and their changes: one administrator proposes, another one decides."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import services as accounts_services
from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Role
from tokens import approval_handlers, approval_selectors, policy_selectors
from tokens.approval_errors import (
    OnlyTheMakerError,
    PolicyChangeClosedError,
    PolicyChangedMeanwhileError,
    PolicyChangeExpiredError,
    PolicyChangeNotFoundError,
    PolicyChangeOpenError,
)
from tokens.approvals import Obstacle, VoteDecision
from tokens.errors import (
    ApprovalCommentMissingError,
    InvalidCursorError,
    InvalidPolicyError,
    MakerMayNotCheckError,
    PolicyNotFoundError,
)
from tokens.models import ApprovalPolicy, ApprovalRequest, AuditEvent, PolicyChange
from tokens.services import policies
from tokens.tests.approvals import (
    ballot,
    change_policy,
    decide,
    make_policy,
    make_staff,
    open_request,
    propose,
    vote,
)
from tokens.tests.factories import make_user
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
REJECT = VoteDecision.REJECT
LARGE = {"name": "large", "batch_tokens_min": 100, "roles": ["ADMIN", "OPERATOR"]}


@pytest.fixture
def admins():
    return make_staff(2, role=Role.ADMIN)


def make_overdue(change):
    """Move the change into the past, which its trigger would refuse."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tokens_policychange DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE tokens_policychange SET opened_at = now() - interval '2 minutes',"
            " expires_at = now() - interval '1 minute' WHERE id = %s",
            [change.pk],
        )
        cursor.execute("ALTER TABLE tokens_policychange ENABLE TRIGGER USER")


def test_the_first_policy_of_all_needs_one_administrator_and_leaves_a_trace(admins):
    change = propose(admins[0], **LARGE)
    assert (change.status, change.is_bootstrap, change.checker_id) == ("APPLIED", True, None)
    shown = approval_selectors.policy(policy_id=change.policy_id)
    assert (shown.name, shown.batch_tokens_min, shown.approvals_required) == ("large", 100, 1)
    first, created = AuditEvent.objects.order_by("pk")
    assert (first.action, first.actor_id) == ("policy_change.applied_as_first", admins[0].pk)
    assert (created.action, created.before) == ("approval_policy.created", None)
    # Switched off, it still is the first one: another needs a second person.
    change_policy(ApprovalPolicy.objects.get(), is_active=False)
    assert propose(admins[0], **LARGE | {"name": "second"}).status == "OPEN"
    assert ApprovalPolicy.objects.count() == 1


def test_first_policies_at_once_are_one(admins):
    assert in_threads(*[lambda: propose(admins[0], **LARGE | {"name": uuid.uuid4().hex})] * 4) == []
    assert ApprovalPolicy.objects.count() == 1
    assert PolicyChange.objects.filter(status="OPEN").count() == 3


def test_a_change_is_in_force_when_another_administrator_approves(admins):
    policy = make_policy(**LARGE)
    change = propose(admins[0], policy.pk, approvals_required=2, is_active=False)
    assert approval_selectors.policy(policy_id=policy.pk).approvals_required == 1
    assert decide(change, admins[1], comment="agreed") is False
    shown = approval_selectors.policy(policy_id=policy.pk)
    assert (shown.approvals_required, shown.is_active, shown.batch_tokens_min) == (2, False, 100)
    proposed, applied, changed = AuditEvent.objects.order_by("pk")
    assert [proposed.action, applied.action, changed.action] == [
        "policy_change.proposed",
        "policy_change.applied",
        "approval_policy.changed",
    ]
    assert (proposed.actor_id, changed.actor_id) == (admins[0].pk, admins[1].pk)
    assert changed.before is not None
    assert changed.after is not None
    assert changed.before["approvals_required"] == 1
    assert changed.after["approvals_required"] == 2
    # The same decision again is a retry; another one comes too late.
    assert decide(change, admins[1], comment="agreed") is True
    with pytest.raises(PolicyChangeClosedError):
        decide(change, admins[1], REJECT)
    with pytest.raises(PolicyChangeClosedError):
        decide(change, make_user(role=Role.ADMIN))
    assert AuditEvent.objects.count() == 3


def test_the_maker_never_checks(admins):
    policy = make_policy(**LARGE)
    change = propose(admins[0], policy.pk, rows_min=5)
    with pytest.raises(MakerMayNotCheckError):
        decide(change, admins[0])
    operator, former = make_user(role=Role.OPERATOR), make_user(role=Role.ADMIN)
    accounts_services.set_role(user_id=former.pk, role=Role.USER)
    for person in (operator, former):
        with pytest.raises(RoleRequiredError):
            decide(change, person)
    with pytest.raises(StepUpRequiredError):
        decide(change, admins[1], second_factor_at=None)
    with pytest.raises(StepUpRequiredError):
        decide(change, admins[1], second_factor_at=timezone.now() - dt.timedelta(hours=1))
    with pytest.raises(PolicyChangedMeanwhileError):
        decide(change, admins[1], content_sha256="0" * 64)
    with pytest.raises(ApprovalCommentMissingError):
        decide(change, admins[1], REJECT, comment=" ")
    assert ApprovalPolicy.objects.get().rows_min is None


def test_nobody_but_administrators_proposes():
    operator, admin = make_user(role=Role.OPERATOR), make_user(role=Role.ADMIN)
    with pytest.raises(RoleRequiredError):
        propose(operator, **LARGE)
    for moment in (None, timezone.now() - dt.timedelta(hours=1)):
        with pytest.raises(StepUpRequiredError):
            policies.propose_policy(
                actor_id=admin.pk, policy_id=None, values=LARGE, second_factor_at=moment
            )
    assert not PolicyChange.objects.exists()


def test_a_rejected_and_a_recalled_change_change_nothing(admins):
    policy = make_policy(**LARGE)
    rejected = propose(admins[0], policy.pk, rows_min=5)
    decide(rejected, admins[1], REJECT, comment="too strict")
    recalled = propose(admins[0], policy.pk, rows_min=6)
    with pytest.raises(OnlyTheMakerError):
        policies.recall_policy_change(change_id=recalled.pk, actor_id=admins[1].pk)
    for _again in range(2):
        policies.recall_policy_change(change_id=recalled.pk, actor_id=admins[0].pk)
    with pytest.raises(PolicyChangeClosedError):
        policies.recall_policy_change(change_id=rejected.pk, actor_id=admins[0].pk)
    with pytest.raises(PolicyChangeClosedError):
        decide(recalled, admins[1])
    assert ApprovalPolicy.objects.get().rows_min is None
    view = policy_selectors.policy_change(change_id=rejected.pk, viewer_id=admins[0].pk)
    assert (view.status, view.checker, view.comment) == (
        "rejected",
        admins[1].user_ref,
        "too strict",
    )


def test_a_policy_has_one_open_change(admins):
    policy = make_policy(**LARGE)
    propose(admins[0], policy.pk, rows_min=5)
    with pytest.raises(PolicyChangeOpenError):
        propose(admins[1], policy.pk, rows_min=6)


def test_a_name_taken_meanwhile_is_found_when_the_change_is_decided(admins):
    make_policy(**LARGE)
    one = propose(admins[0], name="twin", rows_min=5, roles=["ADMIN"])
    other = propose(admins[0], name="twin", rows_min=6, roles=["ADMIN"])
    decide(one, admins[1])
    with pytest.raises(InvalidPolicyError):
        decide(other, admins[1])
    other.refresh_from_db()
    assert other.status == "OPEN"


def test_decisions_at_once_apply_once(admins):
    policy = make_policy(**LARGE)
    change = propose(admins[0], policy.pk, rows_min=5)
    third = make_user(role=Role.ADMIN)
    errors = in_threads(
        lambda: decide(change, admins[1]),
        lambda: decide(change, third),
        lambda: decide(change, third, REJECT),
    )
    assert [type(error) for error in errors] == [PolicyChangeClosedError] * 2
    ends = ["policy_change.applied", "policy_change.rejected"]
    assert AuditEvent.objects.filter(action__in=ends).count() == 1


def test_the_sweep_ends_what_nobody_decided(admins):
    policy = make_policy(**LARGE)
    change = propose(admins[0], policy.pk, rows_min=5)
    assert approval_handlers.expire_policy_changes() == 0
    make_overdue(change)
    with pytest.raises(PolicyChangeExpiredError):
        decide(change, admins[1])
    view = policy_selectors.policy_change(change_id=change.pk, viewer_id=admins[1].pk)
    assert (view.status, view.obstacle) == ("expired", Obstacle.EXPIRED)
    assert policy_selectors.waiting_count(viewer_id=admins[1].pk, role="ADMIN") == 0
    assert approval_handlers.expire_policy_changes() == 1
    assert approval_handlers.expire_policy_changes() == 0
    change.refresh_from_db()
    assert (change.status, change.checker_id) == ("EXPIRED", None)
    assert ApprovalPolicy.objects.get().rows_min is None


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"rows_min": None}, "#"),
        ({"rows_min": 0}, "#"),
        ({"row_tokens_min": -1}, "#"),
        ({"approvals_required": 0}, "#"),
        ({"approvals_required": 11}, "#"),
        ({"roles": []}, "#/roles"),
        ({"roles": ["USER"]}, "#/roles"),
        ({"expires_after_s": 59}, "#"),
        ({"name": "taken"}, "#/name"),
        ({"name": ""}, "#/name"),
    ],
)
def test_a_policy_that_says_nothing_or_nonsense_is_refused(values, pointer):
    make_policy(name="taken")
    admin = make_user(role=Role.ADMIN)
    good = {"name": "good", "rows_min": 5, "roles": ["ADMIN"]}
    with pytest.raises(InvalidPolicyError) as caught:
        propose(admin, **good | values)
    assert pointer in [fault["pointer"] for fault in caught.value.errors]
    assert AuditEvent.objects.count() == 0


def test_a_change_of_nothing_is_refused(admins):
    policy = make_policy(**LARGE)
    with pytest.raises(InvalidPolicyError, match="already"):
        propose(admins[0], policy.pk, batch_tokens_min=100)


def test_there_is_no_such_policy_and_no_such_change(admins):
    with pytest.raises(PolicyNotFoundError):
        propose(admins[0], uuid.uuid4(), rows_min=1)
    with pytest.raises(PolicyNotFoundError):
        approval_selectors.policy(policy_id=uuid.uuid4())
    with pytest.raises(PolicyChangeNotFoundError):
        policy_selectors.policy_change(change_id=uuid.uuid4(), viewer_id=admins[0].pk)
    with pytest.raises(PolicyChangeNotFoundError):
        policies.recall_policy_change(change_id=uuid.uuid4(), actor_id=admins[0].pk)


def test_changes_are_listed_as_their_viewer_sees_them(admins):
    policy = make_policy(**LARGE)
    operator = make_user(role=Role.OPERATOR)
    old = propose(admins[0], policy.pk, rows_min=5, roles=["ADMIN"])
    decide(old, admins[1])
    waiting = propose(admins[0], policy.pk, rows_min=6)
    page, cursor = policy_selectors.policy_changes(viewer_id=admins[1].pk, limit=1)
    assert [(view.id, view.is_my_turn) for view in page] == [(waiting.pk, True)]
    rest, end = policy_selectors.policy_changes(viewer_id=admins[1].pk, limit=1, cursor=cursor)
    assert ([view.id for view in rest], end) == ([old.pk], None)
    assert [(field.name, field.before, field.after) for field in rest[0].fields] == [
        ("rows_min", None, 5),
        ("roles", ["admin", "operator"], ["admin"]),
    ]
    (seen,), _cursor = policy_selectors.policy_changes(
        viewer_id=admins[0].pk, limit=9, is_open=True
    )
    assert seen.obstacle is Obstacle.MAKER
    (seen,), _cursor = policy_selectors.policy_changes(viewer_id=operator.pk, limit=9, is_open=True)
    assert seen.obstacle is Obstacle.ROLE
    counts = [
        policy_selectors.waiting_count(viewer_id=viewer.pk, role=viewer.role)
        for viewer in (admins[0], admins[1], operator)
    ]
    assert counts == [0, 1, 0]
    with pytest.raises(InvalidCursorError):
        policy_selectors.policy_changes(viewer_id=operator.pk, limit=1, cursor="x")


def test_a_loosened_policy_does_not_loosen_what_waits():
    policy = make_policy(approvals_required=2)
    maker, checker = make_staff()
    request = open_request(maker)
    change_policy(policy, approvals_required=1)
    assert vote(request, checker).status == "open"
    assert ApprovalRequest.objects.get().approvals_required == 2


# --- The same rules for whoever writes SQL by hand ------------------------------------------------


def test_the_database_refuses_nonsense_as_well():
    with pytest.raises(IntegrityError, match="approvalpolicy_has_a_bound"):
        ApprovalPolicy.objects.create(name="x", roles=["ADMIN"])
    with pytest.raises(IntegrityError, match="approvalpolicy_roles_are_known"):
        ApprovalPolicy.objects.create(name="x", roles=["USER"], rows_min=1)


def test_the_database_changes_a_policy_by_an_approved_change_only(admins):
    policy = make_policy(**LARGE)
    by_hand = "approved policy change"
    with pytest.raises(IntegrityError, match=by_hand):
        ApprovalPolicy.objects.update(approvals_required=2)
    with pytest.raises(IntegrityError, match=by_hand):
        ApprovalPolicy.objects.create(name="x", roles=["ADMIN"], rows_min=1)
    with pytest.raises(IntegrityError, match=by_hand):
        policy.delete()
    change = propose(admins[0], policy.pk, rows_min=5)
    decide(change, admins[1])
    # The decision was for one transaction: it does not bring the old values back later.
    change_policy(ApprovalPolicy.objects.get(), rows_min=6)
    with pytest.raises(IntegrityError, match=by_hand):
        ApprovalPolicy.objects.update(rows_min=5)


def test_the_database_keeps_a_change_as_it_was_proposed_and_decides_it_by_two(admins):
    policy = make_policy(**LARGE)
    change = propose(admins[0], policy.pk, rows_min=5)
    operator = make_user(role=Role.OPERATOR)
    now = timezone.now()
    rows = PolicyChange.objects.filter(pk=change.pk)

    def applied_by(person):
        rows.update(
            status="APPLIED", checker=person, checker_factor_at=timezone.now(), decided_at=now
        )

    with pytest.raises(IntegrityError, match="what was proposed does not change"):
        rows.update(after={**change.after, "rows_min": 500_000})
    for person in (admins[0], operator, None):
        with pytest.raises(IntegrityError, match="another administrator decides"):
            applied_by(person)
    with pytest.raises(IntegrityError, match="policychange_is_decided_by_another"):
        rows.update(status="APPLIED", checker=admins[1], decided_at=now)
    with pytest.raises(IntegrityError, match="it has time left"):
        rows.update(status="EXPIRED", decided_at=now)
    with pytest.raises(IntegrityError, match="changes are kept"):
        rows.delete()
    with pytest.raises(IntegrityError, match="only the first policy"):
        PolicyChange.objects.create(
            policy_id=uuid.uuid4(),
            after=change.after,
            content_sha256="0" * 64,
            maker=admins[0],
            maker_factor_at=now,
            status="APPLIED",
            is_bootstrap=True,
            opened_at=now,
            expires_at=now + dt.timedelta(hours=1),
            decided_at=now,
        )
    make_overdue(change)
    with pytest.raises(IntegrityError, match="it has expired"):
        applied_by(admins[1])
    decided = propose_and_reject(admins)
    with pytest.raises(IntegrityError, match="it is decided"):
        PolicyChange.objects.filter(pk=decided.pk).update(status="OPEN", decided_at=None)


def propose_and_reject(admins):
    change = propose(admins[0], name="other", rows_min=5, roles=["ADMIN"])
    policies.decide_policy_change(
        change_id=change.pk, checker_id=admins[1].pk, ballot=ballot(change, REJECT)
    )
    return change
