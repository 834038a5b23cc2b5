"""Tokens of the day and campaigns in a real browser: by keyboard, on a phone, in Chinese.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.models import User
from accounts.types import Role
from tests.browsers import CONTRAST, DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tests.promotions.factories import make_campaign
from tokens.tests.recharges import available

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


def sign_in(page, name, path):
    page.goto(f"/login/?next={path}")
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))


def test_a_person_claims_the_tokens_of_the_day_by_keyboard(open_page):
    user = accounts_services.register_user(username="mia", password=PASSWORD)
    page = open_page(PHONE, timezone_id="Asia/Tokyo")
    sign_in(page, "mia", "/")
    shoot(page, "claim-phone")
    button = page.get_by_role("button", name="Claim 5 free tokens")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("5 tokens are yours")
    expect(page.get_by_text("(Asia/Tokyo)")).to_be_visible()
    expect(button).to_have_count(0)
    assert page.evaluate(CONTRAST) == []
    shoot(page, "claimed-phone")
    assert available(User.objects.get(pk=user.pk)) == 5


@pytest.mark.parametrize(("viewport", "locale"), [(DESKTOP, "en"), (PHONE, "zh-CN")])
def test_a_campaign_is_looked_at_and_previewed(open_page, viewport, locale):
    maker = accounts_services.register_user(
        username="june", password=PASSWORD, user_ref="june-1", role=Role.MAKER
    )
    campaign = make_campaign(maker=maker, name="spring", user_ref_prefix="june-")
    page = open_page(viewport, locale=locale)
    sign_in(page, "june", "/admin/")
    name = f"{locale}-{viewport['width']}"
    for model in ("tokens_planrule", "promotions_campaign", "promotions_rewardrule"):
        page.goto(reverse(f"admin:{model}_changelist"))
        shoot(page, f"{model}-{name}")
    page.goto(reverse("admin:promotions_campaign_add"))
    shoot(page, f"campaign-new-{name}")
    page.goto(reverse("admin:promotions_campaign_preview", args=[campaign.pk]))
    page.locator("form[method=post] button[type=submit]").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#content-main")).to_contain_text("10")
    shoot(page, f"campaign-preview-{name}")
    page.goto(reverse("admin:promotions_campaign_change", args=[campaign.pk]))
    shoot(page, f"campaign-{name}")
