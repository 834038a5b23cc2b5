"""What API keys are bound to: addresses, budgets, rates, signatures, HTTPS; and their rotation."""

from __future__ import annotations

import json
import re
import time
import uuid

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services, signatures
from accounts.errors import ApiKeyRequestInvalidError
from accounts.models import ApiKey, WebhookEvent
from accounts.types import KeyLimits

PASSWORD = "calm-otter-4711"
NO_REDIS = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
}


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


@pytest.fixture
def user(db):
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


def issue(user, *scopes, **limits):
    return services.issue_api_key(
        user_id=user.pk, name="test", scopes=scopes or ("jobs:read",), limits=KeyLimits(**limits)
    )


def client_with(key, **extra):
    client = APIClient(**extra)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def me(key, **extra):
    return client_with(key, **extra).get("/api/v1/me")


def person(user):
    client = APIClient()
    client.force_login(user)
    return client


class TestAddresses:
    @pytest.mark.parametrize(
        ("network", "address", "status"),
        [
            ("203.0.113.0/24", "203.0.113.9", 200),
            ("203.0.113.0/24", "203.0.114.9", 403),
            ("203.0.113.9", "203.0.113.9", 200),
            ("203.0.113.0/24", "::ffff:203.0.113.9", 200),
            ("2001:db8::/32", "2001:db8::1", 200),
            ("2001:db8::/32", "2001:db9::1", 403),
            ("2001:db8::/32", "203.0.113.9", 403),
        ],
    )
    def test_a_key_works_from_its_networks_only(self, user, network, address, status):
        issued = issue(user, allowed_networks=(network,))
        answer = me(issued.key, REMOTE_ADDR=address)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "api_key_address_refused"

    def test_a_client_cannot_claim_another_address(self, user, settings):
        settings.TRUSTED_PROXY_HOPS, settings.TRUSTED_PROXIES = 1, ["10.0.0.0/8"]
        issued = issue(user, allowed_networks=("203.0.113.0/24",))
        said = {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}
        assert me(issued.key, REMOTE_ADDR="10.1.2.3", **said).status_code == 200
        assert me(issued.key, REMOTE_ADDR="198.51.100.1", **said).status_code == 403

    @pytest.mark.parametrize("network", ["203.0.113.9/24", "nowhere", "1.2.3.4/33", ""])
    def test_what_is_no_network_is_refused(self, user, network):
        with pytest.raises(ApiKeyRequestInvalidError):
            issue(user, allowed_networks=(network,))

    def test_the_address_of_the_last_use_is_kept(self, user):
        me(issue(user).key, REMOTE_ADDR="203.0.113.9")
        assert ApiKey.objects.get().last_used_from == "203.0.113.9"


class TestRotation:
    def test_both_keys_work_until_the_grace_is_over(self, user):
        old = issue(user, "jobs:read", "media:read", daily_token_budget=5)
        answer = person(user).post(
            f"/api/v1/api-keys/{old.id}/rotate", {"grace_s": 60}, format="json"
        )
        assert answer.status_code == 201
        new = answer.json()
        assert new["scopes"] == ["jobs:read", "media:read"]
        assert new["daily_token_budget"] == 5
        assert new["id"] != str(old.id)
        assert me(old.key).status_code == me(new["key"]).status_code == 200
        row = ApiKey.objects.get(pk=old.id)
        assert str(row.replaced_by_id) == new["id"]
        assert row.expires_at is not None
        ApiKey.objects.filter(pk=old.id).update(expires_at=timezone.now())
        assert me(old.key).json()["code"] == "api_key_expired"
        assert me(new["key"]).status_code == 200

    def test_a_key_is_replaced_once(self, user):
        old = issue(user)
        services.rotate_api_key(key_id=old.id, user_id=user.pk, grace_s=60)
        answer = person(user).post(f"/api/v1/api-keys/{old.id}/rotate", {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (409, "api_key_not_active")

    def test_nobody_rotates_the_key_of_another(self, user):
        other = services.register_user(username="eve", password=PASSWORD)
        answer = person(other).post(f"/api/v1/api-keys/{issue(user).id}/rotate", {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (404, "api_key_not_found")


def seconds_left(answer) -> int:
    """Until the key's minute ends."""
    found = re.search(r'"key";r=\d+;t=(\d+)', answer["RateLimit"])
    assert found is not None
    return int(found[1])


class TestLimits:
    def test_a_key_has_a_rate_of_its_own_and_says_so(self, user):
        issued = issue(user, requests_per_minute=2)
        answers = [me(issued.key)]
        if (left_s := seconds_left(answers[0])) < 5:
            time.sleep(left_s + 0.1)
            answers = [me(issued.key)]
        answers += [me(issued.key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert '"key";q=2;w=60' in answers[0]["RateLimit-Policy"]
        assert '"account";q=' in answers[0]["RateLimit-Policy"]
        assert '"key";r=1;t=' in answers[0]["RateLimit"]
        assert '"key";r=0;t=' in answers[2]["RateLimit"]
        assert answers[2].json()["code"] == "rate_limited"
        assert 1 <= int(answers[2]["Retry-After"]) <= 60
        assert me(issue(user).key).status_code == 200

    def test_the_limit_of_an_account_follows_its_plan(self, user, settings):
        settings.API_RATE = "2/h"
        key = issue(user).key
        assert [me(key).status_code for _ in range(3)] == [200, 200, 429]
        type(user).objects.update(plan="vip")
        assert '"account";q=4;w=3600' in me(key)["RateLimit-Policy"]

    def test_probes_are_not_counted(self, client):
        assert "RateLimit" not in client.get("/healthz").headers

    def test_without_redis_reads_work_and_money_does_not(self, user, settings):
        settings.CACHES = NO_REDIS
        key = issue(user, "jobs:read", "jobs:write").key
        assert me(key).status_code == 200
        assert client_with(key).get("/api/v1/jobs").status_code == 200
        answer = client_with(key).post(
            "/api/v1/jobs",
            {"quote_id": str(uuid.uuid4())},
            format="json",
            HTTP_IDEMPOTENCY_KEY="k",
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert answer["Retry-After"] == "10"


class TestSignatures:
    @pytest.fixture
    def issued(self, user):
        return issue(user, "jobs:read", "jobs:write", requires_signature=True)

    def send(self, issued, *, age_s=0, nonce=None, signed=None, **changed):
        sent = json.dumps({"quote_id": str(uuid.UUID(int=1))}).encode()
        stamp, nonce = str(int(time.time()) - age_s), nonce or uuid.uuid4().hex
        signature = signatures.sign(
            secret=issued.signing_secret,
            timestamp=stamp,
            nonce=nonce,
            target="POST /api/v1/jobs",
            idempotency_key="order-1",
            body=sent if signed is None else signed,
        )
        headers = {
            "HTTP_IDEMPOTENCY_KEY": "order-1",
            "HTTP_X_SIGNATURE": signature,
            "HTTP_X_SIGNATURE_TIMESTAMP": stamp,
            "HTTP_X_SIGNATURE_NONCE": nonce,
        } | changed
        return client_with(issued.key).post(
            "/api/v1/jobs", sent, content_type="application/json", **headers
        )

    def test_a_signed_request_gets_through_once(self, issued):
        # The quote does not exist: the request has passed the door.
        assert self.send(issued, nonce="n" * 16).json()["code"] == "quote_not_found"
        assert self.send(issued, nonce="n" * 16).json()["code"] == "signature_replayed"

    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"signed": b"{}"}, "signature_invalid"),
            ({"HTTP_IDEMPOTENCY_KEY": "order-2"}, "signature_invalid"),
            ({"HTTP_X_SIGNATURE": "v1=" + "0" * 64}, "signature_invalid"),
            ({"HTTP_X_SIGNATURE": "v2=x"}, "signature_invalid"),
            ({"HTTP_X_SIGNATURE_NONCE": "short"}, "signature_invalid"),
            ({"HTTP_X_SIGNATURE_TIMESTAMP": "soon"}, "signature_invalid"),
            ({"age_s": 301}, "signature_expired"),
            ({"age_s": -310}, "signature_expired"),
            ({"HTTP_X_SIGNATURE": ""}, "signature_required"),
        ],
    )
    def test_what_is_not_signed_as_sent_is_refused(self, issued, changed, code):
        answer = self.send(issued, **changed)
        assert (answer.status_code, answer.json()["code"]) == (401, code)

    def test_a_body_too_large_to_be_checked_is_refused(self, issued, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
        answer = self.send(issued)
        assert (answer.status_code, answer.json()["code"]) == (413, "signed_body_too_large")

    def test_reads_need_no_signature(self, issued):
        assert client_with(issued.key).get("/api/v1/jobs").status_code == 200

    def test_the_secret_of_another_key_signs_nothing(self, issued, user):
        other = issue(user, "jobs:write", requires_signature=True)
        mixed = type(issued)(key=issued.key, id=issued.id, signing_secret=other.signing_secret)
        assert self.send(mixed).json()["code"] == "signature_invalid"

    def test_without_redis_signed_requests_are_refused(self, issued, settings):
        settings.CACHES = NO_REDIS
        answer = self.send(issued)
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


class TestHttps:
    @pytest.fixture(autouse=True)
    def _https(self, settings):
        settings.API_HTTPS_ONLY, settings.SECURE_SSL_REDIRECT = True, True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.TRUSTED_PROXY_HOPS, settings.TRUSTED_PROXIES = 1, ["10.0.0.0/8"]

    def test_a_key_sent_in_clear_is_refused_and_marked(self, user):
        issued = issue(user)
        answer = me(issued.key, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="http")
        assert (answer.status_code, answer.json()["code"]) == (403, "https_required")
        assert ApiKey.objects.get().exposed_at is not None
        told = me(issued.key, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https")
        assert told.status_code == 200

    def test_only_our_proxy_may_say_that_it_was_https(self, user):
        key = issue(user).key
        answer = me(key, REMOTE_ADDR="198.51.100.1", HTTP_X_FORWARDED_PROTO="https")
        assert answer.json()["code"] == "https_required"

    def test_pages_are_still_redirected(self, client):
        assert client.get("/login/", REMOTE_ADDR="198.51.100.1").status_code == 301

    def test_an_unknown_key_in_clear_tells_nobody(self, db):
        assert me("ffk_live_nonsense", REMOTE_ADDR="10.0.0.1").json()["code"] == "https_required"
        assert not WebhookEvent.objects.exists()


class TestRefreshTokens:
    def sign_in(self):
        return (
            APIClient()
            .post("/api/v1/auth/token", {"username": "mia", "password": PASSWORD}, format="json")
            .json()
        )

    def refresh(self, token):
        return APIClient().post("/api/v1/auth/token/refresh", {"refresh": token}, format="json")

    def test_a_stolen_refresh_token_ends_the_sign_in(self, user):
        first, other = self.sign_in(), self.sign_in()
        second = self.refresh(first["refresh"]).json()
        reused = self.refresh(first["refresh"])
        assert (reused.status_code, reused.json()["code"]) == (401, "refresh_token_reused")
        assert self.refresh(second["refresh"]).json()["code"] == "token_invalid"
        assert self.refresh(other["refresh"]).status_code == 200

    def test_a_new_password_ends_all_sign_ins(self, user):
        pair = self.sign_in()
        services.set_password(user_id=user.pk, password="quiet-heron-0815")
        assert self.refresh(pair["refresh"]).json()["code"] == "token_invalid"

    def test_an_access_token_refreshes_nothing(self, user):
        assert self.refresh(self.sign_in()["access"]).json()["code"] == "token_invalid"


def test_a_key_is_issued_with_its_limits_over_http(user):
    answer = person(user).post(
        "/api/v1/api-keys",
        {
            "name": "shop",
            "scopes": ["jobs:write"],
            "allowed_networks": ["203.0.113.0/24", "2001:db8::/32"],
            "daily_token_budget": 500,
            "requests_per_minute": 30,
            "requires_signature": True,
        },
        format="json",
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body["allowed_networks"] == ["2001:db8::/32", "203.0.113.0/24"]
    assert (body["daily_token_budget"], body["requests_per_minute"]) == (500, 30)
    assert body["signing_secret"].startswith("ffs_")
    (listed,) = person(user).get("/api/v1/api-keys").json()["items"]
    assert "signing_secret" not in listed
    assert listed["requires_signature"] is True
