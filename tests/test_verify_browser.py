"""The page that tells where a file comes from: on a phone in Chinese, by keyboard, and for axe."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache

from inference import handlers
from inference.tests import factories
from inference.tests.conftest import fast_swap  # noqa: F401  # a fixture
from tests.browsers import DESKTOP, PHONE, needs_chromium, shoot

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@dataclass(frozen=True)
class Visitor:
    """What a browser asks for, and what its owner reads."""

    locale: str
    color_scheme: str
    viewport: dict[str, int]
    yes: str
    edited: str

    def open(self, browser, live_server, **options):
        return browser.new_context(
            base_url=live_server.url,
            locale=self.locale,
            color_scheme=self.color_scheme,
            viewport=self.viewport,
            **options,
        )


ENGLISH = Visitor(
    "en-GB", "light", DESKTOP, "Yes, this file was made here", "Made here, and changed since"
)
CHINESE = Visitor("zh-CN", "dark", PHONE, "是的,此文件由本站生成", "由本站生成,之后被改动过")


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("visitor", [ENGLISH, CHINESE], ids=lambda visitor: visitor.locale)
def test_anybody_checks_a_file(browser, live_server, settings, tmp_path, visitor):
    cache.clear()
    settings.MEDIA_ROOT = tmp_path / "media"
    target = factories.picture(width=320, height=240, format="PNG")
    job = factories.make_job(owner_id=factories.make_user(tokens=5).pk, target=target)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    result = settings.MEDIA_ROOT / job.result_key
    changed = tmp_path / "changed.png"
    data = bytearray(result.read_bytes())
    data[-len(data) // 4] ^= 1
    changed.write_bytes(data)
    context = visitor.open(browser, live_server, java_script_enabled=False)
    page = context.new_page()
    page.goto("/verify")
    shoot(page, f"verify-{visitor.locale}-empty")
    for name, path, title in (("yes", result, visitor.yes), ("edited", changed, visitor.edited)):
        page.set_input_files("#file", path)
        page.focus("#file")
        for _step in range(2):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#verdict-title")
        assert page.inner_text("h1").replace("\uff0c", ",") == title
        shoot(page, f"verify-{visitor.locale}-{name}")
    page.fill("#sha256", job.result_sha256)
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict--original")
    assert re.search(r"GB 45438", page.inner_text(".verdict"))
    context.close()
    scripted = visitor.open(browser, live_server)
    page = scripted.new_page()
    page.goto("/verify")
    found = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in found] == []
    scripted.close()
