from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.types import Role, Scope
from tokens.models import RechargeBatch, Wallet
from tokens.tests.factories import make_user
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/recharge-batches"


def client(user, *, scopes: tuple[Scope, ...] | None = None) -> APIClient:
    """A caller with an API key of its own."""
    issued = accounts_services.issue_api_key(
        user_id=user.pk, name="test", scopes=scopes or tuple(Scope)[:5]
    )
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return api


@pytest.fixture
def operator():
    user = make_user(role=Role.OPERATOR)
    return client(user, scopes=(Scope.RECHARGES_WRITE, Scope.RECHARGES_READ))


def recharge(api, body, key="k"):
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post(URL, body, format="json", headers=headers)


def body(users, amount=100, mode="soft_fail", **more):
    return {"users": users, "amount": amount, "mode": mode, "reason": "June", **more}


def test_soft_fail_reports_the_failed_users(operator):
    alice, bob = make_user(), make_user()
    reply = recharge(
        operator, body([alice.user_ref, bob.user_ref, "nobody"], operator="june.campaign")
    )
    assert reply.status_code == 201, reply.data
    assert reply.data["failed_users"] == ["nobody"]
    assert reply.data["failures"] == [
        {
            "row_no": 3,
            "key": "",
            "user": "nobody",
            "amount": 100,
            "code": "account_not_found",
            "message": "No active user has this reference",
        }
    ]
    assert reply.data["status"] == "partially_applied"
    assert reply.data["operator"] == "june.campaign"
    assert client(alice).get("/api/v1/balance").data == {
        "available": 100,
        "held": 0,
        "total": 100,
    }
    stored = operator.get(reply["Location"])
    assert stored.data == reply.data


def test_lines_carry_amounts_of_their_own(operator):
    alice, bob = make_user(), make_user()
    reply = recharge(
        operator,
        {
            "lines": [
                {"user": alice.user_ref, "amount": 5},
                {"user": bob.user_ref, "amount": 0},
            ],
            "mode": "soft_fail",
            "reason": "prizes",
        },
    )
    assert (reply.status_code, reply.data["tokens_total"]) == (201, 5)
    assert [failure["code"] for failure in reply.data["failures"]] == ["amount_not_positive"]
    lines = operator.get(f"{reply['Location']}/lines").data
    assert [(line["row_no"], line["code"]) for line in lines["items"]] == [
        (1, "applied"),
        (2, "amount_not_positive"),
    ]


def test_a_refused_atomic_batch_points_at_the_bad_lines(operator):
    alice = make_user()
    request = body([alice.user_ref, "nobody", alice.user_ref], mode="atomic")
    reply = recharge(operator, request)
    assert reply.status_code == 422
    assert reply["Content-Type"] == "application/problem+json"
    assert reply.data["code"] == "recharge_refused"
    assert [(e["pointer"], e["code"]) for e in reply.data["errors"]] == [
        ("#/users/1", "account_not_found"),
        ("#/users/2", "duplicate_row_in_batch"),
    ]
    assert "Idempotency-Replayed" not in reply
    assert client(alice).get("/api/v1/balance").data["total"] == 0
    again = recharge(operator, request)
    assert (again.status_code, again["Idempotency-Replayed"]) == (422, "true")
    assert again.data["batch_id"] == reply.data["batch_id"]


def test_a_replay_says_so_and_another_body_is_refused(operator):
    alice = make_user()
    first = recharge(operator, body([alice.user_ref]))
    again = recharge(operator, body([alice.user_ref]))
    other = recharge(operator, body([alice.user_ref], amount=101))
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert again.data == first.data
    assert (other.status_code, other.data["code"]) == (422, "idempotency_key_reused")
    assert client(alice).get("/api/v1/balance").data["total"] == 100


def test_the_same_request_from_eight_threads_has_one_effect(operator):
    alice = make_user()
    replies = []
    raised = in_threads(
        *[lambda: replies.append(recharge(operator, body([alice.user_ref]))) for _ in range(8)]
    )
    assert raised == []
    created = [reply for reply in replies if reply.status_code == 201]
    running = [reply for reply in replies if reply.status_code == 409]
    assert len(created) + len(running) == 8
    assert {reply.data["code"] for reply in running} <= {"idempotency_in_progress"}
    assert all(reply["Retry-After"] == "1" for reply in running)
    assert sum("Idempotency-Replayed" not in reply for reply in created) == 1
    assert client(alice).get("/api/v1/balance").data["total"] == 100


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": 0}, "#/amount"),
        ({"amount": -5}, "#/amount"),
        ({"amount": "100"}, "#/amount"),
        ({"amount": 1.5}, "#/amount"),
        ({"amount": True}, "#/amount"),
        ({"amount": 10**30}, "#/amount"),
        ({"users": "alice"}, "#/users"),
        ({"users": [5]}, "#/users/0"),
        ({"mode": "maybe"}, "#/mode"),
        ({"mode": None}, "#/mode"),
        ({"reason": ""}, "#/reason"),
        ({"reason": "x" * 256}, "#/reason"),
        ({"lines": []}, "#"),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_stored(operator, change, pointer):
    reply = recharge(operator, {**body(["alice"]), **change})
    assert (reply.status_code, reply.data["code"]) == (400, "invalid_request")
    assert [error["pointer"] for error in reply.data["errors"]] == [pointer]
    assert not RechargeBatch.objects.exists()


@pytest.mark.parametrize("missing", ["mode", "reason", "amount", "users"])
def test_required_fields_have_no_default(operator, missing):
    request = body(["alice"])
    del request[missing]
    reply = recharge(operator, request)
    assert (reply.status_code, reply.data["errors"][0]["pointer"]) == (400, f"#/{missing}")


def test_empty_and_oversized_batches(operator, settings):
    settings.RECHARGE_LINES_MAX = 2
    empty = recharge(operator, body([]))
    large = recharge(operator, body(["a", "b", "c"]))
    assert (empty.status_code, empty.data["code"]) == (400, "invalid_recharge")
    assert (large.status_code, large.data["code"]) == (413, "recharge_too_large")
    assert not RechargeBatch.objects.exists()


def test_money_needs_a_key(operator):
    reply = recharge(operator, body(["alice"]), key=None)
    assert (reply.status_code, reply.data["code"]) == (400, "idempotency_key_missing")
    reply = recharge(operator, body(["alice"]), key="x" * 256)
    assert (reply.status_code, reply.data["code"]) == (400, "idempotency_key_invalid")


def test_only_staff_with_the_scope_may_recharge():
    user = make_user()
    anonymous = recharge(APIClient(), body([user.user_ref]))
    assert (anonymous.status_code, anonymous.data["code"]) == (401, "not_authenticated")
    plain = recharge(client(user), body([user.user_ref]))
    assert (plain.status_code, plain.data["code"]) == (403, "role_required")
    reader = client(make_user(role=Role.OPERATOR), scopes=(Scope.RECHARGES_READ,))
    scoped = recharge(reader, body([user.user_ref]))
    assert (scoped.status_code, scoped.data["code"]) == (403, "scope_missing")
    assert reader.get(URL).data == {"items": [], "next_cursor": None}
    assert not Wallet.objects.exists()


def test_an_unknown_batch_is_not_found(operator):
    missing = f"{URL}/00000000-0000-0000-0000-000000000000"
    for path in (missing, f"{missing}/lines"):
        reply = operator.get(path)
        assert (reply.status_code, reply.data["code"]) == (404, "recharge_batch_not_found")


def test_the_statement_pages_and_refuses_foreign_cursors():
    user = make_user(tokens=3)
    make_user(tokens=9)
    api = client(user)
    page = api.get("/api/v1/statement", {"limit": 1}).data
    (line,) = page["items"]
    assert (line["kind"], line["tokens"], line["available_after"]) == ("recharge", 3, 3)
    assert page["next_cursor"] is None
    wrong = api.get("/api/v1/statement", {"cursor": "x"})
    assert (wrong.status_code, wrong.data["code"]) == (400, "invalid_cursor")
    wrong = api.get("/api/v1/statement", {"limit": 1_000})
    assert (wrong.status_code, wrong.data["code"]) == (400, "invalid_request")
