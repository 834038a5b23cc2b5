"""A customer's page in a real browser: a freeze and its effect on the API, pictures, a phone.

See ``browsers`` for what it needs.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.models import AccountFreeze, User
from accounts.tests.authenticators import enrol
from accounts.types import ROLE_SCOPES, Role
from inference import handlers
from inference.tests import factories
from inference.tests.conftest import fast_swap  # noqa: F401  # a fixture
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tokens.models import AuditEvent

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def open_page(browser, live_server):
    """Pages whose scripts must not complain."""
    cache.clear()
    contexts, complaints = [], []

    def make(viewport, **options):
        context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def customer(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return factories.make_user(tokens=1_250)


def make_person(name, role):
    user = accounts_services.register_user(
        username=name, password=PASSWORD, user_ref=f"{name}-1", role=role
    )
    enrol(user)
    return user


def sign_in(page, name, path):
    page.goto(f"/login/?next={path}")
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))


def address(customer):
    return reverse("admin:customer", args=[customer.user_ref])


@pytest.mark.usefixtures("fast_swap")
def test_a_freeze_stops_the_api_until_somebody_lifts_it(open_page, customer):
    handlers.run_swap_job(job_id=factories.make_job(owner_id=customer.pk).pk)
    issued = accounts_services.issue_api_key(
        user_id=customer.pk, name="shop", scopes=ROLE_SCOPES[Role.USER]
    )
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    assert program.get("/api/v1/balance").status_code == 200
    for name in ("rita", "ruth"):
        make_person(name, Role.OPERATOR)
    page = open_page(DESKTOP)
    sign_in(page, "rita", address(customer))
    shoot(page, "customer")
    page.locator("#actions a", has_text="Freeze").click()
    page.locator("#id_kind").select_option("api")
    page.locator("#id_code").select_option("velocity")
    page.locator("#id_reason").fill("many keys from many networks")
    page.locator("#id_notice").fill("Please write to support.")
    shoot(page, "customer-freeze")
    page.get_by_role("button", name="Freeze the account").click()
    expect(page.locator("#freezes")).to_contain_text("many keys from many networks")
    refused = program.get("/api/v1/balance")
    assert (refused.status_code, refused.json()["code"]) == (403, "api_frozen")
    assert refused.json()["notice"] == "Please write to support."
    shoot(page, "customer-frozen")
    # Somebody else looks at it, by keyboard.
    other = open_page(DESKTOP, color_scheme="dark")
    sign_in(other, "ruth", address(customer))
    shoot(other, "customer-dark")
    other.locator("#freezes a").first.focus()
    other.keyboard.press("Enter")
    other.locator("#id_reason").fill("a new office")
    other.keyboard.press("Enter")
    expect(other.locator("#timeline")).to_contain_text("a new office")
    assert program.get("/api/v1/balance").status_code == 200
    assert AccountFreeze.objects.filter(lifted_by__username="ruth").count() == 1
    # Pictures are shown when asked for, and that is kept.
    other.goto(f"{address(customer)}?part=jobs")
    shoot(other, "customer-jobs-dark")
    other.get_by_role("button", name="Show: Face").click()
    expect(other.get_by_role("img", name="Face", exact=True)).to_be_focused()
    seen = AuditEvent.objects.filter(action="media.revealed", after__picture="source")
    assert [event.actor_id for event in seen] == [User.objects.get(username="ruth").pk]


def test_the_page_on_a_phone_in_chinese(open_page, customer):
    make_person("rita", Role.OPERATOR)
    page = open_page(PHONE, locale="zh-CN")
    sign_in(page, "rita", address(customer))
    expect(page.locator("#wallet")).to_contain_text("1,250")
    shoot(page, "customer-zh-phone")
    page.locator("#note-form textarea").fill("客户来电并已回复。")
    page.locator("#note-form button").click()
    expect(page.locator("#notes")).to_contain_text("客户来电并已回复。")
    for part in ("jobs", "access"):
        page.goto(f"{address(customer)}?part={part}")
        shoot(page, f"customer-zh-phone-{part}")
