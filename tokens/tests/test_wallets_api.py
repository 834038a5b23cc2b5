"""Wallets and adjustments over HTTP and in the console."""

from __future__ import annotations

import re
import uuid

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.tests.authenticators import code_of, enrol, forget_wrong_codes
from accounts.types import Role, Scope
from tokens.models import Adjustment, AuditEvent, Wallet
from tokens.tests.approvals import make_policy
from tokens.tests.factories import make_user
from tokens.tests.recharges import available
from tokens.tests.test_approval_api import outcome, signed_in, with_key

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/adjustments"


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


@pytest.fixture
def operator():
    user = make_user(role=Role.OPERATOR)
    enrol(user)
    return user


def wallet_url(user, step: str = "") -> str:
    return f"/api/v1/wallets/{user.user_ref}{step and '/'}{step}"


def steer(api, user, step, *, code=None, **body):
    headers = {} if code is None else {"X-Step-Up-Code": code}
    return api.post(
        wallet_url(user, step), {"reason": "why"} | body, format="json", headers=headers
    )


def adjust(api, user, amount, *, code=None, key=None, changes=()):
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    if code is not None:
        headers["X-Step-Up-Code"] = code
    body = {"user": user.user_ref, "amount": amount, "reason": "why"} | dict(changes)
    return api.post(URL, body, format="json", headers=headers)


def test_a_wallet_is_frozen_read_thawed_and_closed(operator):
    user, api = make_user(tokens=5), signed_in(operator)
    frozen = steer(api, user, "freeze", reason="stolen card")
    assert frozen.status_code == 200, frozen.data
    assert frozen.data == api.get(wallet_url(user)).data
    assert (frozen.data["user"], frozen.data["status"]) == (user.user_ref, "frozen")
    assert (frozen.data["available"], frozen.data["reason"]) == (5, "stolen card")
    assert steer(api, user, "unfreeze").data["status"] == "active"
    refused = steer(api, user, "close")
    assert outcome(refused) == (409, "wallet_not_empty")
    assert (refused.data["available"], refused.data["held"]) == (5, 0)
    assert outcome(steer(api, user, "close", write_off=True)) == (403, "step_up_required")
    closed = steer(api, user, "close", write_off=True, code=code_of(operator))
    assert (closed.status_code, closed.data["status"]) == (200, "closed")
    assert outcome(steer(api, user, "unfreeze")) == (409, "wallet_closed")
    assert AuditEvent.objects.filter(actor=operator, action="wallet.closed").exists()


def test_a_reference_with_a_colon_has_an_address(operator):
    user = make_user(user_ref="shop:freeze@x.y")
    assert steer(signed_in(operator), user, "freeze").data["user"] == "shop:freeze@x.y"


def test_a_wallet_with_many_tokens_asks_for_a_code_as_a_recharge_does(operator, settings):
    settings.RECHARGE_STEP_UP_TOKENS = 4
    user, api = make_user(tokens=5), signed_in(operator)
    assert outcome(steer(api, user, "freeze")) == (403, "step_up_required")
    done = steer(api, user, "freeze", code=code_of(operator))
    assert done.data["status"] == "frozen"
    # Who froze so many tokens leaves the thaw to somebody else.
    again = steer(api, user, "unfreeze")
    assert outcome(again) == (403, "freeze_needs_another")
    # Programs are exempt while the setting says so, and refused otherwise.
    program = with_key(make_user(role=Role.OPERATOR), Scope.WALLETS_WRITE)
    assert steer(program, user, "unfreeze").status_code == 200
    settings.STEP_UP_EXEMPTS_API_KEYS = False
    assert outcome(steer(program, user, "freeze")) == (403, "step_up_required")


def who(kind, operator):
    """A client of each kind of caller."""
    clients = {
        "user": lambda: signed_in(make_user()),
        "operator": lambda: signed_in(operator),
        "admin": lambda: signed_in(make_user(role=Role.ADMIN)),
        "reading key": lambda: with_key(operator, Scope.WALLETS_READ),
        "writing key": lambda: with_key(operator, Scope.WALLETS_WRITE),
        "recharging key": lambda: with_key(operator, Scope.RECHARGES_WRITE),
    }
    return clients[kind]()


ROLES = [
    # caller, read, freeze, close with a write-off, adjust
    ("user", "role_required", "role_required", "role_required", "role_required"),
    ("operator", 200, 200, "step_up_required", "step_up_required"),
    ("admin", 200, 200, "second_factor_missing", "second_factor_missing"),
    ("reading key", 200, "scope_missing", "scope_missing", "scope_missing"),
    ("writing key", "scope_missing", 200, "step_up_required", "step_up_required"),
    ("recharging key", "scope_missing", "scope_missing", "scope_missing", "scope_missing"),
]


@pytest.mark.parametrize(("kind", "read", "freeze", "write_off", "correct"), ROLES)
def test_who_may_do_what(operator, kind, read, freeze, write_off, correct):
    user, api = make_user(tokens=5), who(kind, operator)
    replies = [
        (api.get(wallet_url(user)), read),
        (steer(api, user, "freeze"), freeze),
        (steer(api, user, "close", write_off=True), write_off),
        (adjust(api, user, 1), correct),
    ]
    for reply, wanted in replies:
        assert reply.data.get("code", reply.status_code) == wanted, reply.data
        assert wanted == 200 or reply.status_code == 403
    assert available(user) == 5


def test_strangers_are_asked_to_sign_in(client):
    user = make_user()
    assert client.get(wallet_url(user)).status_code == 401
    assert client.post(wallet_url(user, "close")).status_code == 401
    assert client.post(URL).status_code == 401


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": ""}, "#/reason"),
        ({"reason": 5}, "#/reason"),
        ({"reason": "x" * 256}, "#/reason"),
        ({"reason": None}, "#/reason"),
        ({"amount": "5"}, "#/amount"),
        ({"amount": 1.5}, "#/amount"),
        ({"amount": 2**63}, "#/amount"),
        ({"user": 5}, "#/user"),
        ({"user": "x" * 65}, "#/user"),
    ],
)
def test_wrong_fields_are_named(operator, body, pointer):
    user, api = make_user(), signed_in(operator)
    replies = [adjust(api, user, 1, changes=body)]
    if pointer == "#/reason":
        replies += [steer(api, user, step, **body) for step in ("freeze", "unfreeze", "close")]
    for reply in replies:
        assert outcome(reply) == (400, "invalid_request")
        assert reply.data["errors"][0]["pointer"] == pointer
    assert not Wallet.objects.exists()


def test_unknown_people_are_not_found(operator):
    api = signed_in(operator)
    for ref in ("nobody", "a%00b", "x" * 65):
        assert outcome(api.get(f"/api/v1/wallets/{ref}")) == (404, "user_not_found")
    reply = api.post("/api/v1/wallets/nobody/freeze", {"reason": "why"}, format="json")
    assert outcome(reply) == (404, "user_not_found")


def test_an_adjustment_is_made_once_and_read_again(operator):
    user, api = make_user(tokens=5), signed_in(operator)
    done = adjust(api, user, -2, code=code_of(operator), key="k")
    assert done.status_code == 201, done.data
    assert (done.data["amount"], done.data["actor"]) == (-2, operator.user_ref)
    assert (done.data["available_before"], done.data["available_after"]) == (5, 3)
    assert [(t["kind"], t["tokens"]) for t in done.data["transfers"]] == [("debit", 2)]
    assert "Idempotency-Replayed" not in done
    again = adjust(api, user, -2, key="k")
    assert (again.status_code, again.data) == (201, done.data)
    assert again["Idempotency-Replayed"] == "true"
    assert api.get(done["Location"]).data == done.data
    assert outcome(adjust(api, user, -3, key="k")) == (422, "idempotency_key_reused")
    assert available(user) == 3
    assert outcome(api.get(f"{URL}/{uuid.uuid4()}")) == (404, "adjustment_not_found")


def test_an_adjustment_needs_a_key_and_a_code(operator):
    user, api = make_user(), signed_in(operator)
    body = {"user": user.user_ref, "amount": 1, "reason": "why"}
    assert outcome(api.post(URL, body, format="json")) == (400, "idempotency_key_missing")
    assert outcome(adjust(api, user, 1)) == (403, "step_up_required")
    assert outcome(adjust(api, user, 1, code="000000")) == (403, "step_up_refused")
    assert not Adjustment.objects.exists()


def test_refused_adjustments_have_their_codes(operator, settings):
    settings.RECHARGE_AMOUNT_MAX = 1_000
    user, api = make_user(tokens=5), signed_in(operator)
    assert outcome(adjust(api, user, -6, code=code_of(operator))) == (
        409,
        "adjustment_exceeds_balance",
    )
    assert outcome(adjust(api, user, 0)) == (400, "invalid_adjustment")
    assert outcome(adjust(api, user, 1_001)) == (400, "invalid_adjustment")
    Wallet.objects.filter(owner=user).update(balance_max=6)
    assert outcome(adjust(api, user, 2)) == (409, "exceeds_max_balance")
    make_policy(name="careful", row_tokens_min=1)
    refused = adjust(api, user, 1)
    assert outcome(refused) == (403, "adjustment_needs_approval")
    assert refused.data["policies"] == ["careful"]
    chinese = api.post(
        URL,
        {"user": user.user_ref, "amount": 1, "reason": "why"},
        format="json",
        headers={"Idempotency-Key": "z", "Accept-Language": "zh-CN"},
    )
    assert chinese.data["code"] == "adjustment_needs_approval"
    assert re.search("[\u4e00-\u9fff]", chinese.data["title"])
    assert re.search("[\u4e00-\u9fff]", chinese.data["detail"])
    assert available(user) == 5


def test_a_dry_run_needs_neither_key_nor_code(operator):
    user, api = make_user(tokens=5), signed_in(operator)
    body = {"user": user.user_ref, "amount": -2, "reason": "why", "dry_run": True}
    seen = api.post(URL, body, format="json")
    assert seen.status_code == 200, seen.data
    assert (seen.data["available_before"], seen.data["available_after"]) == (5, 3)
    assert [draw["tokens"] for draw in seen.data["draws"]] == [2]
    assert available(user) == 5


def key_in(page) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page.content.decode())
    assert found is not None
    return found[1]


def page_url(user, step: str) -> str:
    wallet = Wallet.objects.get(owner=user)
    return reverse(f"admin:tokens_wallet_{step}", args=[wallet.pk])


def test_the_console_freezes_and_thaws_with_a_reason(client, operator):
    client.force_login(operator)
    user = make_user(tokens=5)
    for step, status in (("freeze", "FROZEN"), ("unfreeze", "ACTIVE")):
        url = page_url(user, step)
        key = key_in(client.get(url))
        silent = client.post(url, {"key": key, "reason": " "})
        assert silent.status_code == 200
        assert Wallet.objects.get(owner=user).status != status
        done = client.post(url, {"key": key, "reason": "asked by the bank"})
        assert done.status_code == 302, done.content.decode()
        assert client.get(done["Location"]).status_code == 200
        assert Wallet.objects.get(owner=user).status == status
    listed = client.get(reverse("admin:tokens_wallet_changelist"), {"status__exact": "ACTIVE"})
    assert user.username in listed.content.decode()


def test_the_console_shows_a_correction_before_it_makes_it_once(client, operator):
    client.force_login(operator)
    user = make_user(tokens=5)
    url = page_url(user, "adjust")
    key = key_in(client.get(url))
    body = {"key": key, "amount": "-2", "reason": "paid twice"}
    seen = client.post(url, body | {"dry_run": "on"}).content.decode()
    assert "-2 tokens would make 5 available tokens 3" in seen
    assert 'id="preview-draws"' in seen
    unproven = client.post(url, body).content.decode()
    assert "Prove your second factor" in unproven
    assert available(user) == 5
    wrong = client.post(url, body | {"code": "000000"}).content.decode()
    assert "used before" in wrong
    forget_wrong_codes(operator)
    fresh = {"code": code_of(operator)}
    for _click in range(2):
        answer = client.post(url, body | fresh)
        assert answer.status_code == 302, answer.content.decode()
        fresh = {}
    assert available(user) == 3
    assert Adjustment.objects.get().reason == "paid twice"
    # Proven a moment ago, so the page asks for no code any more.
    assert 'name="code"' not in client.get(url).content.decode()
    journal = client.get(reverse("admin:tokens_transfer_changelist")).content.decode()
    assert f"adjustment:{Adjustment.objects.get().pk}" in journal
    listed = client.get(reverse("admin:tokens_adjustment_changelist"))
    assert "paid twice" in listed.content.decode()


def test_the_console_closes_for_good(client, operator):
    client.force_login(operator)
    user = make_user(tokens=5)
    url = page_url(user, "close")
    body = {"key": key_in(client.get(url)), "reason": "account deleted"}
    assert "still has tokens" in client.post(url, body).content.decode()
    assert (
        "Prove your second factor" in client.post(url, body | {"writes_off": "on"}).content.decode()
    )
    proven = body | {"writes_off": "on", "code": code_of(operator)}
    assert client.post(url, proven).status_code == 302
    assert Wallet.objects.get(owner=user).status == "CLOSED"
    assert "closed for good" in client.post(page_url(user, "freeze"), body).content.decode()


def test_users_stay_out_of_the_console_pages(client):
    user = make_user(tokens=5)
    client.force_login(user)
    for step in ("adjust", "freeze", "unfreeze", "close"):
        assert client.post(page_url(user, step), {"reason": "x", "key": "k"}).status_code == 302
    assert Wallet.objects.get(owner=user).status == "ACTIVE"
    assert available(user) == 5
