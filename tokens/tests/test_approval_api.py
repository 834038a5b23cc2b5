"""Approvals over HTTP and in the console."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services as accounts_services
from accounts.tests.authenticators import code_of, enrol, forget_wrong_codes
from accounts.types import Role, Scope
from tokens import services
from tokens.approvals import VoteDecision
from tokens.models import ApprovalPolicy, ApprovalRequest, AuditEvent, RechargeBatch
from tokens.tests.approvals import ballot, make_policy, make_staff
from tokens.tests.factories import make_user, recharge
from tokens.types import RechargeMode

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


@pytest.fixture
def policy():
    return make_policy(name="ten", batch_tokens_min=10)


def waiting(maker, *, tokens=10):
    """A real batch that waits, its request, and who will get the tokens."""
    user = make_user()
    receipt = recharge([user.user_ref], tokens, actor=maker)
    assert receipt.status == "pending_approval"
    return ApprovalRequest.objects.get(batch_id=receipt.batch_id), user


def vote(request, voter, decision=VoteDecision.APPROVE, **fields):
    return services.vote_on_batch(
        request_id=request.pk, voter_id=voter.pk, ballot=ballot(request, decision, **fields)
    )


def signed_in(user):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return api


def with_key(user, *scopes):
    issued = accounts_services.issue_api_key(user_id=user.pk, name="key", scopes=scopes)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return api


def cast(api, request, decision="approve", *, code=None, **more):
    return api.post(
        f"/api/v1/approvals/{request.pk}/votes",
        {"decision": decision, "content_sha256": request.content_sha256} | more,
        format="json",
        headers={} if code is None else {"X-Step-Up-Code": code},
    )


def outcome(reply):
    return reply.status_code, reply.data.get("code")


def test_a_person_decides_with_a_code(policy):
    maker, checker = make_staff()
    request, _user = waiting(maker)
    api = signed_in(checker)
    inbox = api.get("/api/v1/approvals").data["items"]
    assert [(item["id"], item["is_my_turn"]) for item in inbox] == [(str(request.pk), True)]
    enrol(checker)
    assert outcome(cast(api, request)) == (403, "step_up_required")
    assert outcome(cast(api, request, code="000000"))[1] == "step_up_refused"
    forget_wrong_codes(checker)
    code = code_of(checker)
    reply = cast(api, request, code=code)
    assert reply.status_code == 200, reply.data
    assert reply.data["status"] == "approved"
    # The proof of a moment ago still counts, so a retry needs no new code.
    again = cast(api, request)
    assert (again.status_code, again["Idempotency-Replayed"]) == (200, "true")
    shown = api.get(f"/api/v1/approvals/{request.pk}").data
    assert (shown["status"], shown["votes"][0]["voter"]) == ("approved", checker.user_ref)
    assert shown["votes"][0]["second_factor_at"] is not None
    assert api.get("/api/v1/approvals").data["items"] == []
    assert len(api.get("/api/v1/approvals?inbox=all").data["items"]) == 1


def test_refusals_over_http_have_their_codes(policy):
    maker, checker, late = make_staff(3)
    request, _user = waiting(maker)
    for person in (maker, checker, late):
        enrol(person)
    assert outcome(cast(signed_in(maker), request, code=code_of(maker))) == (
        403,
        "maker_may_not_check",
    )
    api = signed_in(checker)
    assert outcome(cast(api, request, content_sha256="x")) == (400, "invalid_request")
    assert outcome(cast(api, request, content_sha256="0" * 64)) == (409, "approval_content_changed")
    assert outcome(cast(api, request, "reject", code=code_of(checker))) == (
        400,
        "approval_comment_missing",
    )
    assert cast(api, request, "ask", comment="Why?").status_code == 200
    assert cast(api, request, "reject", comment="No.").data["status"] == "rejected"
    assert outcome(cast(api, request)) == (409, "already_voted")
    assert outcome(cast(signed_in(late), request, code=code_of(late))) == (409, "approval_closed")
    missing = ApprovalRequest(pk=uuid.uuid4(), content_sha256="0" * 64)
    assert outcome(cast(api, missing)) == (404, "approval_not_found")
    assert outcome(api.get("/api/v1/approvals?cursor=x")) == (400, "invalid_cursor")
    assert outcome(api.get("/api/v1/approvals?inbox=x")) == (400, "invalid_request")


def test_scopes_and_roles_stand_before_approvals(policy):
    maker, checker = make_staff()
    request, user = waiting(maker)
    assert outcome(signed_in(user).get("/api/v1/approvals")) == (403, "role_required")
    reader = with_key(checker, Scope.APPROVALS_READ)
    assert reader.get("/api/v1/approvals").status_code == 200
    assert outcome(cast(reader, request)) == (403, "scope_missing")
    voter = with_key(checker, Scope.APPROVALS_VOTE)
    assert outcome(cast(voter, request)) == (403, "key_may_not_vote")
    assert APIClient().get("/api/v1/approvals").status_code == 401


def test_a_key_votes_where_the_policy_lets_it():
    make_policy(is_open_to_keys=True)
    maker, checker = make_staff()
    request, _user = waiting(maker)
    reply = cast(with_key(checker, Scope.APPROVALS_VOTE), request)
    assert (reply.status_code, reply.data["status"]) == (200, "approved")


def post_recharge(api, tokens, **headers):
    user = make_user()
    body = {"users": [user.user_ref], "amount": tokens, "mode": "soft_fail", "reason": "June"}
    return api.post(
        "/api/v1/recharge-batches",
        body,
        format="json",
        headers={"Idempotency-Key": uuid.uuid4().hex} | headers,
    )


def test_people_prove_the_second_factor_for_large_recharges(settings):
    settings.RECHARGE_STEP_UP_TOKENS = 100
    operator = make_user(role=Role.OPERATOR)
    api = signed_in(operator)
    assert post_recharge(api, 100).status_code == 201
    assert outcome(post_recharge(api, 101)) == (403, "step_up_required")
    enrol(operator)
    assert outcome(post_recharge(api, 101)) == (403, "step_up_required")
    # A key that was refused for want of the factor is still good.
    again = {"Idempotency-Key": "again"}
    assert post_recharge(api, 101, **again).status_code == 403
    reply = post_recharge(api, 101, **again, **{"X-Step-Up-Code": code_of(operator)})
    assert reply.status_code == 201, reply.data
    assert post_recharge(api, 101).status_code == 201
    assert RechargeBatch.objects.count() == 3


def test_files_retries_and_reversals_of_people_need_it_too(settings):
    operator = make_user(role=Role.OPERATOR)
    api = signed_in(operator)
    made = post_recharge(api, 101)
    settings.RECHARGE_STEP_UP_TOKENS = 100
    body = {"mode": "atomic", "reason": "wrong campaign", "operator": "ops"}
    url = f"/api/v1/recharge-batches/{made.data['id']}:reverse"
    refused = api.post(url, body, format="json", headers={"Idempotency-Key": "r"})
    assert outcome(refused) == (403, "step_up_required")
    failed = make_batch_with_failures(operator)
    url = f"/api/v1/recharge-batches/{failed}:retry-failed"
    refused = api.post(url, {}, format="json", headers={"Idempotency-Key": "t"})
    assert outcome(refused) == (403, "step_up_required")
    rows = f"user,amount\n{make_user().user_ref},101\n"
    refused = api.post(
        "/api/v1/recharge-batches?mode=atomic&reason=file",
        rows.encode(),
        content_type="text/csv",
        headers={"Idempotency-Key": "f"},
    )
    assert outcome(refused) == (403, "step_up_required")


def make_batch_with_failures(actor):
    receipt = recharge(["nobody"], 101, actor=actor, mode=RechargeMode.SOFT_FAIL)
    return receipt.batch_id


def test_api_keys_are_exempt_while_the_setting_says_so(settings):
    settings.RECHARGE_STEP_UP_TOKENS = 100
    api = with_key(make_user(role=Role.OPERATOR), Scope.RECHARGES_WRITE)
    assert post_recharge(api, 101).status_code == 201
    settings.STEP_UP_EXEMPTS_API_KEYS = False
    assert outcome(post_recharge(api, 101)) == (403, "step_up_required")


# --- Policies over HTTP and in the console --------------------------------------------------------


def test_administrators_write_policies_with_a_code():
    admin, operator = make_user(role=Role.ADMIN), make_user(role=Role.OPERATOR)
    body = {"name": "large", "batch_tokens_min": 5, "roles": ["admin", "operator"]}
    api = signed_in(admin)
    url = "/api/v1/approval-policies"
    enrol(admin)
    enrol(operator)
    assert outcome(api.post(url, body, format="json")) == (403, "step_up_required")
    code = {"X-Step-Up-Code": code_of(operator)}
    refused = signed_in(operator).post(url, body, format="json", headers=code)
    assert outcome(refused) == (403, "role_required")
    made = api.post(url, body, format="json", headers={"X-Step-Up-Code": code_of(admin)})
    assert made.status_code == 201, made.data
    assert api.get(made["Location"]).data == made.data
    changed = api.patch(made["Location"], {"approvals_required": 2}, format="json")
    assert (changed.data["approvals_required"], changed.data["batch_tokens_min"]) == (2, 5)
    assert [item["name"] for item in signed_in(operator).get(url).data["items"]] == ["large"]
    assert outcome(api.patch(made["Location"], {"batch_tokens_min": None}, format="json")) == (
        400,
        "invalid_approval_policy",
    )
    assert outcome(api.patch(f"{url}/{uuid.uuid4()}", {}, format="json")) == (
        404,
        "approval_policy_not_found",
    )
    keyed = with_key(admin, Scope.APPROVALS_READ, Scope.APPROVALS_VOTE)
    assert outcome(keyed.post(url, body, format="json")) == (403, "step_up_required")


def test_the_console_changes_policies_after_a_second_factor(client):
    admin = make_user(role=Role.ADMIN)
    enrol(admin)
    client.force_login(admin)
    url = "/admin/tokens/approvalpolicy/"
    assert "second-factor" in client.get(url).content.decode()
    assert client.get(f"{url}add/").status_code == 403
    reply = client.post("/second-factor/", {"action": "prove", "code": code_of(admin), "next": url})
    assert (reply.status_code, reply["Location"]) == (302, url)
    form = {
        "name": "large",
        "subject": "RECHARGE",
        "is_active": "on",
        "batch_tokens_min": "5",
        "approvals_required": "1",
        "roles": ["ADMIN", "OPERATOR"],
        "expires_after_s": "600",
    }
    saved = client.post(f"{url}add/", form)
    assert saved.status_code == 302, saved.content.decode()[:2000]
    made = ApprovalPolicy.objects.get()
    assert made.roles == ["ADMIN", "OPERATOR"]
    changed = client.post(f"{url}{made.pk}/change/", form | {"approvals_required": "2"})
    assert changed.status_code == 302
    assert ApprovalPolicy.objects.get().approvals_required == 2
    refused = client.post(f"{url}{made.pk}/change/", form | {"batch_tokens_min": ""})
    assert refused.status_code == 200
    assert AuditEvent.objects.filter(action__startswith="approval_policy.").count() == 2
    assert client.get(f"{url}{made.pk}/delete/").status_code == 403


def test_the_console_shows_requests_read_only(policy, client):
    maker, checker = make_staff()
    request, _user = waiting(maker)
    vote(request, checker)
    client.force_login(checker)
    assert client.get("/admin/tokens/approvalrequest/").status_code == 200
    page = client.get(f"/admin/tokens/approvalrequest/{request.pk}/change/")
    assert page.status_code == 200
    assert request.content_sha256 in page.content.decode()
    assert client.post(f"/admin/tokens/approvalrequest/{request.pk}/change/", {}).status_code == 403
    assert client.get("/admin/tokens/approvalpolicy/").status_code == 200
    assert client.get("/admin/tokens/approvalpolicy/add/").status_code == 403


def test_the_request_lives_as_long_as_its_policy_says(policy):
    ApprovalPolicy.objects.update(expires_after_s=120)
    request, _user = waiting(make_user(role=Role.OPERATOR))
    assert request.expires_at - request.opened_at == dt.timedelta(seconds=120)
