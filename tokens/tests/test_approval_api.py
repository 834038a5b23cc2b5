"""Approvals over HTTP."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.cache import cache
from django.db import IntegrityError
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services as accounts_services
from accounts.tests.authenticators import code_of, enrol, forget_wrong_codes
from accounts.types import Role, Scope
from tokens import services
from tokens.approvals import VoteDecision
from tokens.models import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalVote,
    AuditEvent,
    RechargeBatch,
)
from tokens.tests.approvals import ballot, change_policy, make_policy, make_staff
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


def test_the_request_lives_as_long_as_its_policy_says(policy):
    change_policy(policy, expires_after_s=120)
    request, _user = waiting(make_user(role=Role.OPERATOR))
    assert request.expires_at - request.opened_at == dt.timedelta(seconds=120)


# --- Questions and answers ------------------------------------------------------------------------


def reply_to(api, request, question_id, comment="For the June campaign."):
    return api.post(
        f"/api/v1/approvals/{request.pk}/answer",
        {"question_id": question_id, "comment": comment},
        format="json",
    )


def test_the_maker_answers_a_question_and_the_digest_stays(policy):
    maker, checker, other = make_staff(3)
    request, _user = waiting(maker)
    asked = cast(signed_in(checker), request, "ask", comment="What is it for?")
    assert asked.status_code == 200, asked.data
    api = signed_in(maker)
    (question,) = api.get(f"/api/v1/approvals/{request.pk}").data["votes"]
    assert (question["decision"], question["answer"]) == ("ask", None)
    assert outcome(reply_to(signed_in(other), request, question["id"])) == (403, "only_the_maker")
    assert outcome(reply_to(signed_in(checker), request, question["id"])) == (403, "only_the_maker")
    reply = reply_to(api, request, question["id"])
    assert reply.status_code == 200, reply.data
    answer = reply.data["votes"][0]["answer"]
    assert (answer["author"], answer["comment"]) == (maker.user_ref, "For the June campaign.")
    assert (reply.data["content_sha256"], reply.data["obstacle"]) == (
        request.content_sha256,
        "maker",
    )
    # Everybody who decides reads it, and decides on the same digest.
    seen = signed_in(other).get(f"/api/v1/approvals/{request.pk}").data
    assert seen["votes"][0]["answer"] == answer
    again = reply_to(api, request, question["id"])
    assert (again.status_code, again["Idempotency-Replayed"]) == (200, "true")
    assert outcome(reply_to(api, request, question["id"], "Another story.")) == (
        409,
        "already_answered",
    )
    event = AuditEvent.objects.get(action="approval_request.answered_by")
    assert event.after is not None
    assert (event.actor_id, event.after["comment"]) == (maker.pk, "For the June campaign.")
    assert vote(request, checker).status == "approved"


def test_only_questions_of_open_requests_are_answered(policy):
    maker, checker, other = make_staff(3)
    request, _user = waiting(maker)
    vote(request, checker, VoteDecision.ASK, comment="Why?")
    question = ApprovalVote.objects.get()
    api = signed_in(maker)
    assert outcome(reply_to(api, request, question.pk + 1)) == (404, "approval_question_not_found")
    missing = ApprovalRequest(pk=uuid.uuid4())
    assert outcome(reply_to(api, missing, question.pk)) == (404, "approval_not_found")
    for body in ({"comment": "x"}, {"question_id": question.pk, "comment": " "}):
        url = f"/api/v1/approvals/{request.pk}/answer"
        assert outcome(api.post(url, body, format="json")) == (400, "invalid_request")
    reader = with_key(maker, Scope.APPROVALS_READ)
    assert outcome(reply_to(reader, request, question.pk)) == (403, "scope_missing")
    vote(request, other)
    approval = ApprovalVote.objects.get(decision="APPROVE")
    assert outcome(reply_to(api, request, approval.pk)) == (404, "approval_question_not_found")
    assert outcome(reply_to(api, request, question.pk)) == (409, "approval_closed")


def test_a_program_that_made_the_batch_answers_too(policy):
    maker, checker = make_staff()
    request, _user = waiting(maker)
    vote(request, checker, VoteDecision.ASK, comment="Why?")
    reply = reply_to(with_key(maker, Scope.RECHARGES_WRITE), request, ApprovalVote.objects.get().pk)
    assert reply.status_code == 200


def test_the_database_takes_answers_of_makers_only_and_keeps_them(policy):
    maker, checker = make_staff()
    request, _user = waiting(maker)
    vote(request, checker, VoteDecision.ASK, comment="Why?")
    question = ApprovalVote.objects.get()
    with pytest.raises(IntegrityError, match="only the maker answers"):
        ApprovalAnswer.objects.create(question=question, author=checker, comment="x")
    with pytest.raises(IntegrityError, match="approvalanswer_says_something"):
        ApprovalAnswer.objects.create(question=question, author=maker, comment="")
    ApprovalAnswer.objects.create(question=question, author=maker, comment="x")
    with pytest.raises(IntegrityError, match="immutable"):
        ApprovalAnswer.objects.update(comment="y")
    with pytest.raises(IntegrityError, match="immutable"):
        ApprovalAnswer.objects.all().delete()
    vote(request, checker, VoteDecision.ASK, comment="And why now?")
    vote(request, checker)
    late, no_question = ApprovalVote.objects.order_by("pk")[1:]
    with pytest.raises(IntegrityError, match="the request is closed"):
        ApprovalAnswer.objects.create(question=late, author=maker, comment="x")
    with pytest.raises(IntegrityError, match="no such question"):
        ApprovalAnswer.objects.create(question=no_question, author=maker, comment="x")
