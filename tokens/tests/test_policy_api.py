"""Approval policies and their changes over HTTP."""

from __future__ import annotations

import uuid

import pytest
from django.core.cache import cache

from accounts.tests.authenticators import code_of, enrol, forget_used_codes
from accounts.types import Role, Scope
from tokens.models import ApprovalPolicy
from tokens.tests.approvals import make_policy
from tokens.tests.factories import make_user
from tokens.tests.test_approval_api import outcome, signed_in, with_key

pytestmark = pytest.mark.django_db(transaction=True)
POLICIES = "/api/v1/approval-policies"
CHANGES = "/api/v1/approval-policy-changes"
LARGE = {"name": "large", "batch_tokens_min": 5, "roles": ["admin", "operator"]}


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


@pytest.fixture
def admins():
    people = [make_user(role=Role.ADMIN) for _number in range(2)]
    for person in people:
        enrol(person)
    return people


def code(user):
    forget_used_codes(user)
    return {"X-Step-Up-Code": code_of(user)}


def propose(user, **values):
    policy = ApprovalPolicy.objects.get()
    return signed_in(user).patch(
        f"{POLICIES}/{policy.pk}", values, format="json", headers=code(user)
    )


def decide(user, change, decision="approve", *, headers=None, **more):
    return signed_in(user).post(
        f"{CHANGES}/{change['id']}/votes",
        {"decision": decision, "content_sha256": change["content_sha256"]} | more,
        format="json",
        headers=code(user) if headers is None else headers,
    )


def test_the_first_policy_is_made_by_one_administrator_with_a_code(admins):
    operator = make_user(role=Role.OPERATOR)
    enrol(operator)
    api = signed_in(admins[0])
    assert outcome(api.post(POLICIES, LARGE, format="json")) == (403, "step_up_required")
    refused = signed_in(operator).post(POLICIES, LARGE, format="json", headers=code(operator))
    assert outcome(refused) == (403, "role_required")
    keyed = with_key(admins[0], Scope.APPROVALS_READ, Scope.APPROVALS_VOTE)
    assert outcome(keyed.post(POLICIES, LARGE, format="json")) == (403, "step_up_required")
    made = api.post(POLICIES, LARGE, format="json", headers=code(admins[0]))
    assert made.status_code == 201, made.data
    assert (made.data["status"], made.data["is_bootstrap"]) == ("applied", True)
    assert api.get(made["Location"]).data == made.data
    (shown,) = signed_in(operator).get(POLICIES).data["items"]
    assert (shown["name"], shown["id"]) == ("large", made.data["policy_id"])
    assert api.get(f"{POLICIES}/{shown['id']}").data == shown


def test_later_changes_wait_for_another_administrator(admins):
    make_policy(name="large", batch_tokens_min=5)
    new = signed_in(admins[0]).post(
        POLICIES, LARGE | {"name": "second"}, format="json", headers=code(admins[0])
    )
    assert (new.status_code, new.data["status"], new.data["is_new"]) == (202, "open", True)
    assert ApprovalPolicy.objects.count() == 1
    change = propose(admins[0], approvals_required=2)
    assert change.status_code == 202, change.data
    before, after = change.data["before"], change.data["after"]
    assert (before["approvals_required"], after["approvals_required"]) == (1, 2)
    assert (change.data["is_my_turn"], change.data["obstacle"]) == (False, "maker")
    assert outcome(propose(admins[1], approvals_required=3)) == (409, "policy_change_open")
    assert ApprovalPolicy.objects.get().approvals_required == 1
    listed = signed_in(admins[1]).get(f"{CHANGES}?open=true").data["items"]
    assert [(item["id"], item["is_my_turn"]) for item in listed] == [
        (change.data["id"], True),
        (new.data["id"], True),
    ]
    decided = decide(admins[1], change.data)
    assert (decided.status_code, decided.data["status"]) == (200, "applied"), decided.data
    assert decided.data["checker"] == admins[1].user_ref
    assert ApprovalPolicy.objects.get().approvals_required == 2
    again = decide(admins[1], change.data)
    assert (again.status_code, again["Idempotency-Replayed"]) == (200, "true")
    assert len(signed_in(admins[1]).get(CHANGES).data["items"]) == 2


def test_refusals_have_their_codes(admins):
    make_policy(name="large", batch_tokens_min=5)
    operator = make_user(role=Role.OPERATOR)
    enrol(operator)
    assert outcome(propose(admins[0], batch_tokens_min=None)) == (400, "invalid_approval_policy")
    assert outcome(propose(admins[0], rows_min="x")) == (400, "invalid_request")
    url = f"{POLICIES}/{uuid.uuid4()}"
    missing = signed_in(admins[0]).patch(url, {}, format="json", headers=code(admins[0]))
    assert outcome(missing) == (404, "approval_policy_not_found")
    change = propose(admins[0], rows_min=9).data
    assert outcome(decide(admins[0], change)) == (403, "maker_may_not_check")
    assert outcome(decide(operator, change)) == (403, "role_required")
    assert outcome(decide(admins[1], change, headers={})) == (403, "step_up_required")
    assert outcome(decide(admins[1], change, "reject")) == (400, "approval_comment_missing")
    assert outcome(decide(admins[1], change, "ask")) == (400, "invalid_request")
    other = change | {"content_sha256": "0" * 64}
    assert outcome(decide(admins[1], other)) == (409, "policy_changed_meanwhile")
    assert outcome(decide(admins[1], change | {"id": uuid.uuid4()})) == (
        404,
        "policy_change_not_found",
    )
    voter = with_key(admins[1], Scope.APPROVALS_VOTE)
    keyed = with_key(admins[1], Scope.POLICIES_WRITE)
    body = {"decision": "approve", "content_sha256": change["content_sha256"]}
    reply = keyed.post(f"{CHANGES}/{change['id']}/votes", body, format="json")
    assert outcome(reply) == (403, "step_up_required")
    reply = voter.post(f"{CHANGES}/{change['id']}/votes", body, format="json")
    assert outcome(reply) == (403, "scope_missing")
    user = make_user()
    assert outcome(signed_in(user).get(CHANGES)) == (403, "role_required")
    recall = f"{CHANGES}/{change['id']}/recall"
    assert outcome(signed_in(admins[1]).post(recall)) == (403, "only_the_maker")
    recalled = signed_in(admins[0]).post(recall)
    assert (recalled.status_code, recalled.data["status"]) == (200, "recalled")
    assert outcome(decide(admins[1], change)) == (409, "policy_change_closed")
    assert outcome(signed_in(admins[1]).get(f"{CHANGES}?cursor=x")) == (400, "invalid_cursor")
    assert outcome(signed_in(admins[1]).get(f"{CHANGES}?open=perhaps")) == (400, "invalid_request")
