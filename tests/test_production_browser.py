"""The page of a production in a real browser: on a phone, by keyboard, in Chinese.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.tests import authenticators
from accounts.types import Role
from productions import services
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tests.productions import factories
from tests.productions.conftest import media_root

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True)]
__all__ = ["media_root"]


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


def sign_in(page, user, path: str) -> None:
    page.goto(f"/login/?next={path}")
    page.locator("#id_username").fill(user.username)
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))


def test_an_operator_starts_a_production_on_a_phone_and_reads_it_in_chinese(open_page):
    studio = factories.studio()
    operator = accounts_services.register_user(
        username="ops", password=PASSWORD, role=Role.OPERATOR
    )
    authenticators.enrol(operator)
    cast = (
        factories.person("ada", owner_id=studio.pk, name="Ada Example", token_quota=9),
        factories.person("bob", owner_id=studio.pk, job_quota=1),
    )
    production = factories.make_production(studio, people=cast, rows=6, is_automatic=False)
    services.estimate(production=production, actor_id=studio.pk)
    path = reverse("admin:productions_production_change", args=[production.pk])
    services.fund(production=production, actor_id=operator.pk)

    phone = open_page(PHONE)
    sign_in(phone, operator, path)
    shoot(phone, "production-phone")
    phone.goto(reverse("admin:productions_production_start", args=[production.pk]))
    shoot(phone, "production-start-phone")
    phone.get_by_role("button", name="Start").focus()
    phone.keyboard.press("Enter")
    phone.wait_for_url(re.compile(rf"{re.escape(path)}$"))
    expect(phone.locator("#production-states")).to_contain_text("Queued")

    desktop = open_page(DESKTOP, locale="zh-CN")
    sign_in(desktop, operator, path)
    shoot(desktop, "production-chinese")
    expect(desktop.locator("#production-people")).to_contain_text("Ada Example")
    desktop.goto(reverse("admin:productions_production_changelist"))
    shoot(desktop, "productions-chinese")
