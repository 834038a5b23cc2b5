"""Reports and consent in a real browser: by keyboard, on a phone, in Chinese, seen by axe.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from accounts.types import Role
from inference.tests import factories
from tests.browsers import CONTRAST, DESKTOP, PHONE, needs_chromium, shoot
from tests.test_console_axe import LOOKS, RULES
from tests.trust.factories import report
from trust.models import BlockedHash, Consent, Takedown

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def open_page(browser, live_server, settings):
    settings.RATELIMIT_ENABLE = False
    cache.clear()
    contexts = []

    def make(look, viewport, user=None):
        context = browser.new_context(
            base_url=live_server.url, viewport=viewport, reduced_motion="reduce", **LOOKS[look]
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
            context.add_cookies([session | {"url": live_server.url}])
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


def check(page, name):
    shoot(page, name)
    faults = Axe().run(page, options=RULES).response["violations"]
    assert not faults, [(it["id"], [node["html"] for node in it["nodes"]]) for it in faults]


def test_somebody_reports_on_a_phone_in_chinese_by_keyboard(open_page):
    page = open_page("zh-dark", PHONE)
    page.goto(reverse("takedown"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    assert page.evaluate(CONTRAST) == []
    page.locator("#id_reason_0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.locator("#id_link")).to_be_focused()
    page.keyboard.type("https://example.com/picture.jpg")
    page.locator("#id_statement").fill("是我的脸。")
    page.locator("#id_contact").fill("mia@example.com")
    check(page, "takedown-form")
    page.locator("#id_contact").press("Enter")
    page.wait_for_url(re.compile("takedown/status"))
    row = Takedown.objects.get()
    assert row.reason == "likeness"
    expect(page.locator("main code").first).to_have_text(row.reference)
    check(page, "takedown-status")
    # Without saying which picture: told so, and what was typed is still there.
    page.goto(reverse("takedown"))
    page.locator("#id_reason_0").check()
    page.locator("#id_statement").fill("x")
    page.locator("#id_contact").fill("mia@example.com")
    page.locator("main form button").first.click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#id_contact")).to_have_value("mia@example.com")


def test_a_person_vouches_once_before_the_studio_opens(open_page, settings):
    settings.CONSENT_REQUIRED = "attest"
    user = factories.make_user()
    page = open_page("en-light", PHONE, user)
    page.goto(reverse("studio"))
    expect(page.locator("#studio")).to_have_count(0)
    check(page, "studio-attest")
    page.get_by_role("button", name="Go on to the studio").click()
    assert not Consent.objects.exists()
    page.locator("#attest-box").check()
    page.get_by_role("button", name="Go on to the studio").click()
    expect(page.locator("#studio")).to_be_visible()
    given = Consent.objects.get()
    assert (given.owner, given.kind, given.covers_account) == (user, "self", True)


@pytest.mark.parametrize(("look", "viewport"), [("en-light", DESKTOP), ("zh-dark", PHONE)])
def test_a_reviewer_decides_in_the_console(open_page, look, viewport):
    row = report()
    Takedown.objects.filter(pk=row.pk).update(due_at=row.created_at)
    page = open_page(look, viewport, factories.make_user(role=Role.SAFETY))
    page.goto(reverse("admin:index"))
    shoot(page, f"trust-overview-{look}")
    overdue = "48" if look == "zh-dark" else "the law gives 48 hours"
    expect(page.locator("main, #content, body").first).to_contain_text(overdue)
    page.goto(reverse("admin:trust_takedown_changelist"))
    shoot(page, f"takedowns-{look}")
    page.goto(reverse("admin:trust_takedown_uphold", args=[row.pk]))
    check(page, f"takedown-uphold-{look}")
    page.locator("#id_note").fill("We agree.")
    page.locator("#content-main form button[type=submit]").click()
    page.wait_for_url(re.compile(f"{row.pk}/change"))
    assert BlockedHash.objects.get().pk == row.sha256
    shoot(page, f"takedown-decided-{look}")
