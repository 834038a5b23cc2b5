"""Keys and users over HTTP."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import keys, services
from accounts.models import ApiKey, User
from accounts.types import Role

PASSWORD = "calm-otter-4711"


@pytest.fixture
def user(db):
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


@pytest.fixture
def operator(db):
    return services.register_user(username="ops", password=PASSWORD, role=Role.OPERATOR)


def session_client(user):
    client = APIClient()
    client.force_login(user)
    return client


def key_client(user, *scopes):
    issued = services.issue_api_key(user_id=user.pk, name="test", scopes=scopes)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=issued.key)
    return client


def test_a_person_issues_lists_and_revokes_keys(user):
    client = session_client(user)
    made = client.post(
        "/api/v1/api-keys", {"name": "laptop", "scopes": ["jobs:read"]}, format="json"
    )
    assert made.status_code == 201
    assert keys.is_well_formed(made.json()["key"])
    assert made["Cache-Control"] == "no-store"
    (listed,) = client.get("/api/v1/api-keys").json()["items"]
    assert "key" not in listed
    assert (listed["name"], listed["last4"]) == ("laptop", made.json()["key"][-4:])
    gone = client.delete(f"/api/v1/api-keys/{listed['id']}")
    assert gone.status_code == 204
    first = ApiKey.objects.get().revoked_at
    assert first is not None
    assert client.delete(f"/api/v1/api-keys/{listed['id']}").status_code == 204
    assert ApiKey.objects.get().revoked_at == first


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_key_cannot_manage_keys(user, method):
    client = key_client(user, "jobs:read")
    body = {"name": "worm", "scopes": ["jobs:read"]} if method == "post" else None
    answer = getattr(client, method)("/api/v1/api-keys", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "key_cannot_manage_keys")
    assert ApiKey.objects.count() == 1


def test_nobody_revokes_anothers_key(user, operator):
    issued = services.issue_api_key(user_id=operator.pk, name="k", scopes=["users:read"])
    answer = session_client(user).delete(f"/api/v1/api-keys/{issued.id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "api_key_not_found")
    assert ApiKey.objects.get().revoked_at is None


def test_bad_key_request_points_at_the_fields(user):
    answer = session_client(user).post(
        "/api/v1/api-keys", {"scopes": ["jobs:read", "nonsense"]}, format="json"
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    faults = {(e["pointer"], e["code"]) for e in answer.json()["errors"]}
    assert faults == {("#/name", "required"), ("#/scopes/1", "invalid_choice")}


def test_session_writes_need_the_csrf_token(user):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    answer = client.post("/api/v1/api-keys", {"name": "x", "scopes": ["jobs:read"]}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not ApiKey.objects.exists()


def test_an_integrator_creates_and_reads_users(operator):
    client = key_client(operator, "users:write", "users:read")
    made = client.post("/api/v1/users", {"user_ref": "shop:42@eu"}, format="json")
    assert made.status_code == 201
    assert made.json()["role"] == "user"
    assert not User.objects.get(user_ref="shop:42@eu").has_usable_password()
    read = client.get(made["Location"])
    assert read.json() == made.json()


def test_a_user_without_any_name_gets_a_random_reference(operator):
    made = key_client(operator, "users:write").post("/api/v1/users", {}, format="json")
    assert made.status_code == 201
    assert made.json()["user_ref"].startswith("usr_")
    assert made.json()["username"] == made.json()["user_ref"]


def test_references_are_case_sensitive_and_unique(operator):
    client = key_client(operator, "users:write")
    statuses = [
        client.post("/api/v1/users", {"user_ref": ref}, format="json").status_code
        for ref in ("Ann", "ann", "Ann")
    ]
    assert statuses == [201, 201, 409]


@pytest.mark.parametrize(
    ("body", "param"), [({"user_ref": "mia-1"}, "user_ref"), ({"username": "mia"}, "username")]
)
def test_a_taken_name_is_named(user, operator, body, param):
    answer = key_client(operator, "users:write").post("/api/v1/users", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "user_exists")
    assert answer.json()["param"] == param


@pytest.mark.parametrize("ref", ["", " x", "-x", "ü", "a b", "x" * 65, "a/b", "x\n"])
def test_bad_references_are_refused(operator, ref):
    client = key_client(operator, "users:write")
    answer = client.post("/api/v1/users", {"user_ref": ref}, format="json")
    assert answer.status_code == 400
    assert list(User.objects.all()) == [operator]


def test_an_easy_password_is_refused_with_reasons(operator):
    answer = key_client(operator, "users:write").post(
        "/api/v1/users", {"user_ref": "ann", "password": "12345"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "password_refused")
    assert {e["code"] for e in answer.json()["errors"]} >= {"password_too_short"}
    assert not User.objects.filter(user_ref="ann").exists()


def test_users_do_not_create_users(user):
    answer = session_client(user).post("/api/v1/users", {"user_ref": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


@pytest.mark.parametrize(("caller", "status"), [(Role.OPERATOR, 403), (Role.ADMIN, 201)])
def test_only_administrators_create_operators(db, caller, status):
    boss = services.register_user(username="boss", password=PASSWORD, role=caller)
    answer = session_client(boss).post(
        "/api/v1/users", {"user_ref": "new-op", "role": "operator"}, format="json"
    )
    assert answer.status_code == status
    assert User.objects.filter(user_ref="new-op", is_staff=True).exists() is (status == 201)


@pytest.mark.parametrize("ref", ["nobody", "%00", "ü"])
def test_an_unknown_user_is_a_404_problem(operator, ref):
    answer = key_client(operator, "users:read").get(f"/api/v1/users/{ref}")
    assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


def test_errors_follow_the_callers_language(db):
    answer = APIClient().get("/api/v1/me", HTTP_ACCEPT_LANGUAGE="zh-CN,zh;q=0.9,en;q=0.5")
    assert answer.json()["title"] == "请先登录"
    assert answer.json()["code"] == "not_authenticated"
    assert APIClient().get("/api/v1/me").json()["title"] == "Sign in first"
