"""The pages for people, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts_services
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from accounts.types import Role
from facefusion_site import web
from inference.models import SwapJob
from tokens import services as tokens_services
from tokens.models import Transfer
from tokens.types import RechargeItem, RechargeMode, RechargeRequest

PASSWORD = "calm-otter-4711"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_limits():
    cache.clear()


@pytest.fixture
def mia():
    return accounts_services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


def recharge(user_ref, amount):
    operator = accounts_services.register_user(
        username="ops", password=PASSWORD, role=Role.OPERATOR
    )
    tokens_services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user_ref=user_ref, amount=amount),),
            mode=RechargeMode.ATOMIC,
            operator="test",
            reason="welcome",
        ),
        actor_id=operator.pk,
        idempotency_key="welcome",
    )


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def test_visitors_see_the_landing_page(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "Face swaps with a price you know before they run" in text_of(page)
    assert "A picture costs 1 token." in text_of(page)


def test_the_landing_page_states_the_configured_price(client, settings):
    settings.TOKENS_PRICE_IMAGE = 3
    assert "A picture costs 3 tokens." in text_of(client.get("/"))


def test_signing_in_leads_to_where_the_visitor_wanted_to_go(client, mia):
    wanted = client.get("/studio/")
    assert wanted["Location"] == "/login/?next=/studio/"
    body = {"username": "mia", "password": PASSWORD, "next": "/studio/"}
    assert client.post("/login/", body)["Location"] == "/studio/"
    assert client.get("/studio/").status_code == 200


def test_signing_in_never_leads_to_another_site(client, mia):
    body = {"username": "mia", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/login/", body)["Location"] == "/"


def test_a_wrong_password_is_told_without_naming_the_half(client, mia):
    page = client.post("/login/", {"username": "mia", "password": "nope"})
    assert page.status_code == 200
    assert 'role="alert"' in page.content.decode()
    assert "correct username and password" in text_of(page)


def test_signing_in_is_limited_and_says_how_long_to_wait(client, mia, settings):
    settings.LOGIN_RATE = "1/h"
    client.post("/login/", {"username": "mia", "password": "nope"})
    page = client.post("/login/", {"username": "mia", "password": PASSWORD})
    assert page.status_code == 429
    assert 1 <= int(page["Retry-After"]) <= 3600
    assert "Too many requests. Try again in" in text_of(page)
    assert "_auth_user_id" not in client.session


def test_signing_in_is_refused_while_redis_is_away(client, mia, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    page = client.post("/login/", {"username": "mia", "password": PASSWORD})
    assert page.status_code == 503
    assert "cannot be counted right now" in text_of(page)
    assert "_auth_user_id" not in client.session


def test_frozen_people_read_what_they_may_not_do_and_until_when(client, mia):
    client.force_login(mia)
    assert "frozen" not in text_of(client.get("/"))
    until = timezone.now() + timedelta(days=1)
    accounts_services.freeze_account(
        user_id=mia.pk,
        kind=FreezeKind.SPEND,
        grounds=FreezeGrounds(
            code=FreezeCode.PAYMENT_DISPUTE, reason="case 7", notice="A payment was disputed."
        ),
        actor_id=None,
        expires_at=until,
    )
    for address in ("/", "/studio/"):
        text = text_of(client.get(address))
        assert "For now it may not: Spend tokens. A payment was disputed." in text
        assert f"This ends by itself: {until:%Y-%m-%d %H:%M} UTC" in text
        assert "case 7" not in text


def test_signing_out_takes_a_post(client, mia):
    client.force_login(mia)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/"
    assert "_auth_user_id" not in client.session


def test_forms_without_their_token_get_the_expired_page(mia):
    client = Client(enforce_csrf_checks=True)
    page = client.post("/login/", {"username": "mia", "password": PASSWORD})
    assert page.status_code == 403
    assert "The form has expired" in text_of(page)


def test_the_start_page_shows_balance_statement_and_no_one_elses(client, mia):
    recharge("mia-1", 7)
    accounts_services.register_user(username="bob", password=PASSWORD)
    client.force_login(mia)
    page = client.get("/")
    body = page.content.decode()
    assert re.search(r'data-testid="available">7<', body)
    assert re.search(r'data-testid="held">0<', body)
    assert "Recharge" in text_of(page)
    assert "+7" in text_of(page)
    assert "no-store" in page["Cache-Control"]
    client.logout()
    assert client.login(username="bob", password=PASSWORD)
    assert "+7" not in text_of(client.get("/"))


def test_a_new_user_is_told_how_to_get_tokens(client, mia):
    client.force_login(mia)
    assert "name your reference mia-1" in text_of(client.get("/"))


def test_the_start_page_needs_a_fixed_number_of_queries(client, mia, django_assert_max_num_queries):
    recharge("mia-1", 7)
    client.force_login(mia)
    with django_assert_max_num_queries(9):
        client.get("/")


def test_every_job_state_and_transfer_kind_has_words():
    assert set(web._STATE_TEXTS) == {status.lower() for status in SwapJob.Status.values}
    assert set(web._LINE_TEXTS) == {kind.lower() for kind in Transfer.Kind.values}


def test_the_language_switch_keeps_the_page_and_sticks(client):
    answer = client.post("/language/", {"language": "zh-hans", "next": "/login/"})
    assert answer["Location"] == "/login/"
    page = client.get("/login/")
    assert '<html lang="zh-Hans">' in page.content.decode()
    assert "登录" in text_of(page)
    assert page["Content-Language"] == "zh-hans"


@pytest.mark.parametrize("path", ["/", "/login/", "/errors/", "/errors/insufficient_tokens"])
def test_no_page_has_untranslated_remains_in_chinese(client, path):
    english = text_of(client.get(path, headers={"accept-language": "en"}))
    chinese = text_of(client.get(path, headers={"accept-language": "zh-CN"}))
    sentences = [s.strip() for s in re.split(r"(?<=[.?!])\s", english) if len(s.split()) >= 4]
    assert sentences
    assert [s for s in sentences if s in chinese] == []


@pytest.mark.parametrize("path", ["/", "/login/", "/studio/", "/errors/", "/nothing-here"])
def test_no_page_has_inline_code_or_styles(client, mia, path):
    client.force_login(mia)
    body = client.get(path).content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", body)
    scripts = re.findall(r"<script([^>]*)>", body)
    assert all("src=" in tag or 'type="application/json"' in tag for tag in scripts)


@pytest.mark.parametrize("path", ["/", "/login/", "/studio/", "/errors/", "/nothing-here"])
def test_every_form_field_and_picture_has_a_name(client, mia, path):
    client.force_login(mia)
    body = client.get(path).content.decode()
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", body))
    labelled = set(re.findall(r'<label[^>]*for="([^"]+)"', body))
    for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", body):
        if 'type="hidden"' in tag or 'type="radio"' in tag:
            continue
        name = re.search(r'\bid="([^"]+)"', tag)
        assert "aria-label=" in tag or (name is not None and name[1] in labelled), tag


def test_an_unknown_page_says_what_to_do(client):
    page = client.get("/nothing-here", HTTP_X_REQUEST_ID="req-7")
    assert page.status_code == 404
    assert "The address may be mistyped" in text_of(page)
    assert "req-7" in text_of(page)


def test_the_studio_hands_its_script_all_it_needs(client, mia, settings):
    client.force_login(mia)
    page = client.get(reverse("studio"))
    config = page.context["config"]
    assert config["urls"]["jobs"] == "/api/v1/jobs"
    script = "".join(
        path.read_text() for path in sorted((settings.BASE_DIR / "static/src/js").glob("*.js"))
    )
    used = set(re.findall(r"texts\.(\w+)", script))
    assert used == set(config["texts"])


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_pages_are_for_reading(client, mia, method):
    client.force_login(mia)
    assert getattr(client, method)("/studio/").status_code == 405
