"""The console's pages on which people decide: batches that wait, and policy changes."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.tests.authenticators import code_of, enrol, forget_used_codes, forget_wrong_codes
from accounts.types import Role
from facefusion_site.console import navigation
from tokens import batch_handlers, services
from tokens.models import (
    ApprovalAnswer,
    ApprovalPolicy,
    ApprovalRequest,
    ApprovalVote,
    PolicyChange,
    RechargeBatch,
)
from tokens.recharge_rows import staged
from tokens.tests.approvals import ballot, change_policy, make_policy, make_staff, propose
from tokens.tests.factories import make_user
from tokens.tests.recharges import create, order
from tokens.types import LotTerms, RechargeItem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


@pytest.fixture
def policy():
    return make_policy(name="ten tokens", batch_tokens_min=10)


@pytest.fixture
def maker():
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def checker():
    user = make_user(role=Role.OPERATOR)
    enrol(user)
    return user


def waiting(maker, items=None):
    create(items or [(make_user().user_ref, 10)], actor=maker)
    return ApprovalRequest.objects.get()


def as_(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(row) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])


def text_of(reply) -> str:
    assert reply.status_code == 200
    return str(reply.content.decode())


def send(client, row, step="vote", **fields):
    defaults = {"content_sha256": row.content_sha256} if step == "vote" else {}
    return client.post(page_of(row), {"step": step} | defaults | fields)


# --- Reading --------------------------------------------------------------------------------------


def test_the_page_shows_what_an_approver_has_to_know(policy, maker, checker):
    items = [(make_user().user_ref, 1_000 + number) for number in range(12)]
    items.append(("+bad ref", 5))
    request = waiting(maker, items)
    text = text_of(as_(checker).get(page_of(request)))
    for shown in (
        maker.user_ref,
        "ten tokens",
        request.content_sha256,
        "12,071",
        "Largest rows",
        "0 of 1",
        "Expires",
        "2\xa0days, 23\xa0hours",
    ):
        assert shown in text, shown
    assert 'value="approve"' in text
    assert "You made it" not in text


def test_outliers_are_the_ten_largest_and_the_first_rows_the_first_ten(policy, maker, checker):
    request = waiting(maker, [(f"user-{number}", 100 + number) for number in range(1, 13)])
    text = text_of(as_(checker).get(page_of(request)))
    outliers, first = text.split('id="outliers"')[1].split('id="first-rows"')
    assert "user-12<" in outliers
    assert "user-3<" in outliers
    assert "user-2<" not in outliers
    assert outliers.index("user-12<") < outliers.index("user-3<")
    assert "user-10<" in first
    assert "user-11<" not in first


def test_rows_that_cannot_be_read_are_known_before_and_failures_after(policy, maker, checker):
    unreadable = staged(RechargeItem("x", 0), terms=LotTerms())._replace(fault="user_missing")
    good = staged(RechargeItem(make_user().user_ref, 10), terms=LotTerms())
    unknown = staged(RechargeItem("nobody", 10), terms=LotTerms())
    services.create_batch(
        order=order("soft_fail"),
        rows=lambda: [unreadable, good, unknown],
        actor_id=maker.pk,
        idempotency_key="k",
    )
    request = ApprovalRequest.objects.get()
    client = as_(checker)
    faults = text_of(client.get(page_of(request))).split('id="faults"')[1].split("</table>")[0]
    assert "user_missing" in faults
    assert "account_not_found" not in faults
    services.vote_on_batch(request_id=request.pk, voter_id=checker.pk, ballot=ballot(request))
    batch_handlers.apply_recharge_batch(batch_id=request.batch_id)
    text = text_of(client.get(page_of(request)))
    faults = text.split('id="faults"')[1].split("</table>")[0]
    assert "user_missing" in faults
    assert "No active user has this reference" in faults
    assert "Applied" in text.split('id="first-rows"')[1]


def test_what_is_not_there_and_who_may_not_look(policy, maker):
    request = waiting(maker)
    missing = reverse("admin:tokens_approvalrequest_change", args=["x"])
    assert as_(maker).get(missing).status_code == 404
    assert as_(make_user()).get(page_of(request)).status_code == 302


# --- Deciding -------------------------------------------------------------------------------------


def test_a_checker_approves_with_a_code_and_then_without(policy, maker, checker):
    change_policy(policy, approvals_required=2)
    request = waiting(maker)
    client = as_(checker)
    text = text_of(send(client, request, decision="approve"))
    assert "Prove your second factor to vote." in text
    text = text_of(send(client, request, decision="approve", code="000000"))
    assert "The code is wrong" in text
    forget_wrong_codes(checker)
    assert send(client, request, decision="approve", code=code_of(checker)).status_code == 302
    vote = ApprovalVote.objects.get()
    assert (vote.voter_id, vote.second_factor_at is not None) == (checker.pk, True)
    text = text_of(client.get(page_of(request)))
    assert "Recorded; the request stays open." in text
    assert "You have voted" in text
    assert 'id="vote-form"' not in text
    other = make_user(role=Role.ADMIN)
    enrol(other)
    client = as_(other)
    client.post("/second-factor/", {"action": "prove", "code": code_of(other)})
    assert "Not needed: you proved it" in text_of(client.get(page_of(request)))
    assert send(client, request, decision="approve").status_code == 302
    assert RechargeBatch.objects.get().status == "QUEUED"
    assert "It is decided." in text_of(client.get(page_of(request)))


def test_a_checker_rejects_with_words(policy, maker, checker):
    request = waiting(maker)
    client = as_(checker)
    text = text_of(send(client, request, decision="reject", code=code_of(checker)))
    assert "Say why, or what you want to know." in text
    assert send(client, request, decision="reject", comment="Too much.").status_code == 302
    assert RechargeBatch.objects.get().status == "REJECTED"


def test_nothing_is_decided_without_a_choice_or_on_another_content(policy, maker, checker):
    request = waiting(maker)
    client = as_(checker)
    code = {"code": code_of(checker)}
    assert "This field is required." in text_of(send(client, request, **code))
    assert "Select a valid choice" in text_of(send(client, request, decision="maybe", **code))
    other = {"decision": "approve", "content_sha256": "0" * 64}
    assert "another content" in text_of(send(client, request, **other, **code))
    forget_used_codes(checker)
    assert send(client, request, step="else").status_code == 403
    assert client.post(page_of(request), {}).status_code == 403
    assert not ApprovalVote.objects.exists()


def test_own_requests_are_seen_and_not_approvable(policy, maker):
    enrol(maker)
    request = waiting(maker)
    client = as_(maker)
    text = text_of(client.get(page_of(request)))
    assert "You made it, so others decide it." in text
    assert 'id="vote-form"' not in text
    text = text_of(send(client, request, decision="approve", code=code_of(maker)))
    assert "You made this batch, so others decide it." in text
    assert RechargeBatch.objects.get().status == "PENDING_APPROVAL"


def test_other_roles_are_told_who_decides(maker):
    make_policy(roles=["ADMIN"])
    request = waiting(maker)
    text = text_of(as_(make_user(role=Role.OPERATOR)).get(page_of(request)))
    assert "It is decided by other roles than yours." in text


def test_a_person_without_an_authenticator_is_sent_to_get_one(policy, maker):
    request = waiting(maker)
    text = text_of(as_(make_user(role=Role.OPERATOR)).get(page_of(request)))
    assert f"/second-factor/?next={page_of(request)}" in text


# --- Questions, answers, recall -------------------------------------------------------------------


def test_a_question_is_asked_and_answered_on_the_page(policy, maker, checker):
    request = waiting(maker)
    assert send(as_(checker), request, decision="ask", comment="For whom?").status_code == 302
    question = ApprovalVote.objects.get()
    client = as_(maker)
    assert "Your answer" in text_of(client.get(page_of(request)))
    assert "Your answer" not in text_of(as_(checker).get(page_of(request)))
    empty = {"question_id": question.pk, "comment": " "}
    assert "This field is required." in text_of(send(client, request, step="answer", **empty))
    answer = {"question_id": question.pk, "comment": "June's winners."}
    assert send(as_(checker), request, step="answer", **answer).status_code == 200
    assert send(client, request, step="answer", **answer).status_code == 302
    assert ApprovalAnswer.objects.get().author_id == maker.pk
    text = text_of(as_(checker).get(page_of(request)))
    assert "June&#x27;s winners." in text
    assert send(as_(checker), request, decision="approve", code=code_of(checker)).status_code == 302


def test_the_maker_recalls(policy, maker, checker):
    request = waiting(maker)
    assert "Recall" not in text_of(as_(checker).get(page_of(request)))
    assert send(as_(checker), request, step="recall").status_code == 403
    assert send(as_(maker), request, step="recall").status_code == 302
    request.refresh_from_db()
    assert (request.status, RechargeBatch.objects.get().status) == ("RECALLED", "STOPPED")
    assert "It is decided." in text_of(as_(checker).get(page_of(request)))


# --- The list and the menu ------------------------------------------------------------------------


def test_the_list_is_filtered_by_state_and_the_menu_counts_what_waits(policy, maker, checker, rf):
    request = waiting(maker)
    client = as_(checker)
    url = reverse("admin:tokens_approvalrequest_changelist")
    assert str(request.pk) in text_of(client.get(url, {"status__exact": "OPEN"}))
    assert str(request.pk) not in text_of(client.get(url, {"status__exact": "APPROVED"}))

    def badge(user, title="Approvals"):
        asked = rf.get("/admin/")
        asked.user = user
        items = [item for group in navigation(asked) for item in group["items"]]
        (count,) = [item["badge"] for item in items if item["title"] == title]
        return count

    assert (badge(checker), badge(maker)) == (1, 0)
    services.vote_on_batch(request_id=request.pk, voter_id=checker.pk, ballot=ballot(request))
    assert badge(checker) == 0
    admin, other = make_staff(2, role=Role.ADMIN)
    propose(admin, policy.pk, rows_min=5)
    counts = [badge(user, "Policy changes") for user in (admin, other, checker)]
    assert counts == [0, 1, 0]


# --- Policies -------------------------------------------------------------------------------------

FORM = {
    "name": "large",
    "subject": "RECHARGE",
    "is_active": "on",
    "batch_tokens_min": "5",
    "approvals_required": "1",
    "roles": ["ADMIN", "OPERATOR"],
    "expires_after_s": "600",
}
LIST = "/admin/tokens/approvalpolicy/"


@pytest.fixture
def admins():
    people = make_staff(2, role=Role.ADMIN)
    for person in people:
        enrol(person)
    return people


def proven(user) -> Client:
    client = as_(user)
    forget_used_codes(user)
    reply = client.post("/second-factor/", {"action": "prove", "code": code_of(user)})
    assert reply.status_code == 302
    return client


def test_policies_are_changed_after_a_second_factor_only(admins):
    client = as_(admins[0])
    assert "second-factor" in text_of(client.get(LIST))
    assert client.get(f"{LIST}add/").status_code == 403
    operator = make_user(role=Role.OPERATOR)
    assert as_(operator).get(LIST).status_code == 200
    assert as_(operator).get(f"{LIST}add/").status_code == 403


def test_the_first_policy_is_in_force_at_once(admins):
    client = proven(admins[0])
    saved = client.post(f"{LIST}add/", FORM)
    change = PolicyChange.objects.get()
    assert (saved.status_code, saved["Location"]) == (302, page_of(change))
    assert ApprovalPolicy.objects.get().roles == ["ADMIN", "OPERATOR"]
    text = text_of(client.get(page_of(change)))
    assert "The first policy is in force." in text
    assert "A new policy." in text
    assert client.get(f"{LIST}{change.policy_id}/delete/").status_code == 403


def test_a_change_is_proposed_by_one_and_decided_by_another(admins):
    policy = make_policy(name="large", batch_tokens_min=5, expires_after_s=600, roles=["ADMIN"])
    client = proven(admins[0])
    url = f"{LIST}{policy.pk}/change/"
    form = FORM | {"roles": ["ADMIN"]}
    refused = client.post(url, form | {"batch_tokens_min": ""})
    assert "Set at least one bound." in text_of(refused)
    assert client.post(url, form | {"approvals_required": "2"}).status_code == 302
    change = PolicyChange.objects.get()
    assert ApprovalPolicy.objects.get().approvals_required == 1
    text = text_of(client.get(page_of(change)))
    assert "Proposed; another administrator decides." in text
    assert "You made it, so others decide it." in text
    other = as_(admins[1])
    text = text_of(other.get(page_of(change)))
    row = text.split('id="differences"')[1].split("</table>")[0]
    assert "Approvals needed" in row
    assert "Batch total" not in row
    assert "Prove your second factor" in text_of(send(other, change, decision="approve"))
    assert "Say why." in text_of(send(other, change, decision="reject", code=code_of(admins[1])))
    assert send(other, change, decision="approve").status_code == 302
    assert ApprovalPolicy.objects.get().approvals_required == 2
    assert "It is decided." in text_of(other.get(page_of(change)))
    assert other.get(reverse("admin:tokens_policychange_changelist")).status_code == 200


def test_the_service_refuses_on_the_page_what_the_form_cannot_know(admins):
    policy = make_policy(name="large", batch_tokens_min=5, expires_after_s=600, roles=["ADMIN"])
    propose(admins[1], policy.pk, rows_min=5)
    client = proven(admins[0])
    form = FORM | {"roles": ["ADMIN"], "approvals_required": "3"}
    reply = client.post(f"{LIST}{policy.pk}/change/", form, follow=True)
    assert "Another change of this policy waits for a decision." in text_of(reply)
    assert PolicyChange.objects.count() == 1


def test_a_proposal_is_recalled_by_its_maker(admins):
    policy = make_policy(name="large", batch_tokens_min=5)
    change = propose(admins[0], policy.pk, rows_min=5)
    other = as_(admins[1])
    assert "Recall:" not in text_of(other.get(page_of(change)))
    send(other, change, step="recall")
    assert PolicyChange.objects.get().status == "OPEN"
    assert send(as_(admins[0]), change, step="recall").status_code == 302
    assert PolicyChange.objects.get().status == "RECALLED"
    assert send(other, change, step="else").status_code == 403


def test_operators_read_changes_and_do_not_decide(admins, checker):
    policy = make_policy(name="large", batch_tokens_min=5)
    change = propose(admins[0], policy.pk, rows_min=5)
    client = as_(checker)
    assert "It is decided by other roles than yours." in text_of(client.get(page_of(change)))
    text = text_of(send(client, change, decision="approve", code=code_of(checker)))
    assert "Only administrators and owners change approval policies." in text
    assert PolicyChange.objects.get().status == "OPEN"
