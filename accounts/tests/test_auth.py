"""API keys and access tokens at the door of the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys, services
from accounts.errors import ApiKeyRequestInvalidError
from accounts.models import ApiKey, User
from accounts.types import Role

PASSWORD = "calm-otter-4711"


@pytest.fixture
def user(db):
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


@pytest.fixture
def operator(db):
    return services.register_user(username="ops", password=PASSWORD, role=Role.OPERATOR)


def issue(user, *scopes, **extra):
    return services.issue_api_key(user_id=user.pk, name="test", scopes=scopes, **extra)


def client_with(key, header="Authorization"):
    client = APIClient()
    client.credentials(
        **{"HTTP_AUTHORIZATION": f"Bearer {key}"} if header == "Authorization" else {header: key}
    )
    return client


def mistype(key):
    return key[:-8] + ("A" if key[-8] != "A" else "B") + key[-7:]


@pytest.mark.parametrize("header", ["Authorization", "HTTP_X_API_KEY"])
def test_a_key_signs_its_user_in_with_the_keys_scopes_only(user, header):
    issued = issue(user, "jobs:read", "media:read")
    answer = client_with(issued.key, header).get("/api/v1/me")
    assert answer.status_code == 200
    assert answer.json()["user_ref"] == "mia-1"
    assert answer.json()["scopes"] == ["jobs:read", "media:read"]


def test_only_a_hash_of_the_key_is_stored(user):
    issued = issue(user, "jobs:read")
    row = ApiKey.objects.get(pk=issued.id)
    stored = " ".join(str(value) for value in vars(row).values())
    assert issued.key not in stored
    assert issued.key[10:30] not in stored
    assert row.last4 == issued.key[-4:]
    assert issued.key not in repr(issued)


def test_the_hash_depends_on_the_pepper(user, settings):
    issued = issue(user, "jobs:read")
    settings.API_KEY_PEPPER = "another pepper " * 4
    assert client_with(issued.key).get("/api/v1/me").json()["code"] == "api_key_invalid"


def test_a_mistyped_key_is_refused_without_a_query(user, django_assert_num_queries):
    key = mistype(issue(user, "jobs:read").key)
    with django_assert_num_queries(0):
        answer = client_with(key).get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.json()["code"] == "api_key_invalid"
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "key", ["ffk_", "ffk_live_", "ffk_live_" + "é" * 38, "ffk_live_" + "0" * 38]
)
def test_malformed_keys_are_refused(db, key):
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=key)
    assert client.get("/api/v1/me").json()["code"] == "api_key_invalid"


def test_a_well_formed_but_unknown_key_is_refused(db):
    assert client_with(keys.generate()).get("/api/v1/me").json()["code"] == "api_key_invalid"


def test_an_expired_key_is_refused(user):
    issued = issue(user, "jobs:read", expires_at=timezone.now() + timedelta(days=1))
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = client_with(issued.key).get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_expired")


def test_a_revoked_key_is_refused_at_once(user):
    issued = issue(user, "jobs:read")
    services.revoke_api_key(key_id=issued.id, user_id=user.pk)
    answer = client_with(issued.key).get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_revoked")


def test_a_switched_off_users_key_is_refused(user):
    issued = issue(user, "jobs:read")
    User.objects.update(is_active=False)
    answer = client_with(issued.key).get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "user_inactive")


def test_last_use_is_written_at_most_once_a_minute(user, django_assert_num_queries):
    client = client_with(issue(user, "jobs:read").key)
    with django_assert_num_queries(2):
        client.get("/api/v1/me")
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        client.get("/api/v1/me")
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    client.get("/api/v1/me")
    assert ApiKey.objects.filter(last_used_at__gt=first).exists()


def test_a_key_without_the_scope_is_told_which_one_it_needs(operator):
    issued = issue(operator, "users:read")
    answer = client_with(issued.key).post("/api/v1/users", {"user_ref": "x"}, format="json")
    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"
    assert answer.json()["required_scope"] == "users:write"


def test_a_key_loses_what_its_user_loses(operator):
    issued = issue(operator, "users:read")
    services.set_role(user_id=operator.pk, role=Role.USER)
    answer = client_with(issued.key).get(f"/api/v1/users/{operator.user_ref}")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    assert client_with(issued.key).get("/api/v1/me").json()["scopes"] == []


def test_a_key_cannot_be_issued_beyond_the_role(user):
    with pytest.raises(ApiKeyRequestInvalidError, match="recharges:write"):
        issue(user, "jobs:read", "recharges:write")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"scopes": []},
        {"scopes": ["jobs:everything"]},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_bad_key_request_issues_nothing(user, bad):
    request = {"user_id": user.pk, "name": "test", "scopes": ["jobs:read"]} | bad
    with pytest.raises(ApiKeyRequestInvalidError):
        services.issue_api_key(**request)
    assert not ApiKey.objects.exists()


def test_access_token_journey(user):
    client = APIClient()
    pair = client.post(
        "/api/v1/auth/token", {"username": "mia", "password": PASSWORD}, format="json"
    )
    assert pair.status_code == 200
    renewed = client.post(
        "/api/v1/auth/token/refresh", {"refresh": pair.json()["refresh"]}, format="json"
    )
    assert renewed.json()["refresh"] != pair.json()["refresh"]
    me = client_with(renewed.json()["access"]).get("/api/v1/me")
    assert me.json()["username"] == "mia"
    assert "jobs:write" in me.json()["scopes"]
    assert "recharges:write" not in me.json()["scopes"]


def test_a_wrong_password_does_not_say_which_half_is_wrong(user):
    client = APIClient()
    answers = [
        client.post("/api/v1/auth/token", {"username": name, "password": "nope"}, format="json")
        for name in ("mia", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    first, second = (answer.json() | {"request_id": ""} for answer in answers)
    assert first == second
    assert first["code"] == "sign_in_failed"


@pytest.mark.parametrize("token", ["abc.def.ghi", "x"])
def test_a_wrong_access_token_is_a_401_problem(db, token):
    answer = client_with(token).get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_wrong_refresh_token_is_a_401_problem(db):
    answer = APIClient().post("/api/v1/auth/token/refresh", {"refresh": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_switched_off_users_token_is_refused(user):
    client = APIClient()
    pair = client.post(
        "/api/v1/auth/token", {"username": "mia", "password": PASSWORD}, format="json"
    ).json()
    User.objects.update(is_active=False)
    assert client_with(pair["access"]).get("/api/v1/me").json()["code"] == "token_invalid"
    answer = client.post("/api/v1/auth/token/refresh", {"refresh": pair["refresh"]}, format="json")
    assert answer.json()["code"] == "token_invalid"


def test_no_credentials_is_a_401_problem(db):
    answer = APIClient().get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_signing_in_is_limited_with_retry_after(user, settings):
    settings.LOGIN_RATE = "2/h"
    client = APIClient(REMOTE_ADDR="203.0.113.7")
    body = {"username": "mia", "password": "nope"}
    codes = [client.post("/api/v1/auth/token", body, format="json") for _ in range(3)]
    assert [answer.status_code for answer in codes] == [401, 401, 429]
    assert codes[-1].json()["code"] == "rate_limited"
    assert codes[-1].json()["retryable"] is True
    assert 1 <= int(codes[-1]["Retry-After"]) <= 3600


def test_signing_in_fails_closed_while_redis_is_away(user, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    answer = APIClient().post(
        "/api/v1/auth/token", {"username": "mia", "password": PASSWORD}, format="json"
    )
    assert answer.status_code == 503
    assert answer.json()["code"] == "service_unavailable"
    assert answer["Retry-After"] == "10"
