from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError

from accounts import services as accounts_services
from accounts.errors import RoleRequiredError
from accounts.types import Role
from tokens import approval_selectors
from tokens.errors import InvalidPolicyError, PolicyNotFoundError
from tokens.models import ApprovalPolicy, ApprovalRequest, AuditEvent
from tokens.services import policies
from tokens.tests.approvals import make_policy, make_staff, open_request, vote
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def save(actor, policy_id=None, **values):
    return policies.save_policy(actor_id=actor.pk, policy_id=policy_id, values=values)


def test_administrators_create_and_change_policies_and_leave_a_trace():
    admin = make_user(role=Role.ADMIN)
    policy_id = save(admin, name="large", batch_tokens_min=100, roles=["OPERATOR", "ADMIN"])
    save(admin, policy_id, approvals_required=2, is_active=False)
    shown = approval_selectors.policy(policy_id=policy_id)
    assert (shown.approvals_required, shown.is_active, shown.batch_tokens_min) == (2, False, 100)
    created, changed = AuditEvent.objects.order_by("pk")
    assert (created.action, created.before) == ("approval_policy.created", None)
    assert (changed.action, changed.actor_id) == ("approval_policy.changed", admin.pk)
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before["approvals_required"], changed.after["approvals_required"]) == (1, 2)
    assert changed.before_sha256 == created.after_sha256


def test_nobody_else_does():
    operator = make_user(role=Role.OPERATOR)
    with pytest.raises(RoleRequiredError):
        save(operator, name="x", rows_min=1, roles=["ADMIN"])
    former = make_user(role=Role.ADMIN)
    accounts_services.set_role(user_id=former.pk, role=Role.USER)
    with pytest.raises(RoleRequiredError):
        save(former, name="x", rows_min=1, roles=["ADMIN"])
    assert ApprovalPolicy.objects.count() == 0


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
        save(admin, **good | values)
    assert pointer in [fault["pointer"] for fault in caught.value.errors]
    assert AuditEvent.objects.count() == 0


def test_the_database_refuses_nonsense_as_well():
    with pytest.raises(IntegrityError, match="approvalpolicy_has_a_bound"):
        ApprovalPolicy.objects.create(name="x", roles=["ADMIN"])
    with pytest.raises(IntegrityError, match="approvalpolicy_roles_are_known"):
        ApprovalPolicy.objects.create(name="x", roles=["USER"], rows_min=1)


def test_there_is_no_such_policy():
    with pytest.raises(PolicyNotFoundError):
        save(make_user(role=Role.ADMIN), uuid.uuid4(), rows_min=1)
    with pytest.raises(PolicyNotFoundError):
        approval_selectors.policy(policy_id=uuid.uuid4())


def test_a_loosened_policy_does_not_loosen_what_waits():
    policy = make_policy(approvals_required=2)
    maker, checker = make_staff()
    request = open_request(maker)
    save(make_user(role=Role.ADMIN), policy.pk, approvals_required=1)
    assert vote(request, checker).status == "open"
    assert ApprovalRequest.objects.get().approvals_required == 2
