"""The pages in a real browser: a person signs in, swaps a face, reads the statement.

Needs Debian's Chromium. Set BROWSER_SHOTS to a folder to keep the screenshots.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from playwright.sync_api import expect, sync_playwright

from accounts import services as accounts_services
from accounts.types import Role
from inference import handlers, tasks
from tokens import services as tokens_services
from tokens.types import RechargeItem, RechargeMode, RechargeRequest

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = Path("/usr/bin/chromium")
SOURCE = ROOT / "samples" / "astronaut.png"
TARGET = ROOT / "samples" / "grace_hopper.jpg"
NO_FACE = ROOT / "samples" / "coffee.png"
PASSWORD = "calm-otter-4711"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 812}
# What a strict deployment would send; any inline script, style or handler would break the pages.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

pytestmark = [
    pytest.mark.skipif(
        not CHROMIUM.exists(),
        reason="no browser: install it with “apt-get install -y chromium fonts-noto-cjk”",
    ),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def browser(django_db_setup):
    # Playwright's loop stays in this thread, and Django takes that for asynchronous code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        is_root = os.geteuid() == 0
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"] if is_root else []
        )
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _surroundings(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    cache.clear()


@pytest.fixture
def worker(monkeypatch):
    """One thread in the place of a worker process; messages take the short way."""
    call_command("models", "build")
    pool = ThreadPoolExecutor(max_workers=1)

    def run(job_id):
        handlers.run_swap_job(job_id=job_id)
        connections.close_all()

    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs: pool.submit(run, kwargs["job_id"])
    )
    yield pool
    pool.shutdown(wait=True)


@pytest.fixture
def mia():
    user = accounts_services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")
    operator = accounts_services.register_user(
        username="ops", password=PASSWORD, role=Role.OPERATOR
    )
    tokens_services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user_ref="mia-1", amount=5),),
            mode=RechargeMode.ATOMIC,
            operator="test",
            reason="welcome",
        ),
        actor_id=operator.pk,
        idempotency_key="welcome",
    )
    return user


@pytest.fixture
def open_page(browser, live_server):
    """Pages under the strict policy; anything on the console fails the test."""
    contexts, complaints = [], []

    def policed(route):
        if route.request.resource_type != "document":
            route.continue_()
            return
        answer = route.fetch(max_redirects=0)
        route.fulfill(
            response=answer, headers={**answer.headers, "content-security-policy": POLICY}
        )

    def make(viewport, *, ignore=(), **options):
        context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
        contexts.append(context)
        context.route("**/*", policed)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type in {"error", "warning"}
                and not any(part in message.text for part in ignore)
                else None
            ),
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page):
    page.goto("/login/?next=/studio/")
    page.get_by_label("Username").fill("mia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def shoot(page, name):
    """Keep a picture of the page, and fail when it scrolls sideways."""
    folder = os.environ.get("BROWSER_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner, f"{name} scrolls sideways"


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_a_person_signs_in_and_swaps_a_face(open_page, worker, mia, viewport, scheme):
    name = f"{viewport['width']}-{scheme}"
    page = open_page(viewport, color_scheme=scheme)
    page.goto("/")
    shoot(page, f"landing-{name}")
    sign_in(page)
    expect(page.get_by_role("button", name="Run the swap")).to_be_disabled()
    shoot(page, f"studio-empty-{name}")
    page.locator("#source-file").set_input_files(SOURCE)
    expect(page.locator("#source-status")).to_have_text("Ready: 512 by 512 pixels.")
    page.locator("#target-file").set_input_files(TARGET)
    run = page.get_by_role("button", name="Run the swap")
    expect(run).to_be_enabled()
    expect(page.locator("[data-part=price-tokens]")).to_have_text("1")
    expect(page.locator("[data-part=price-after]")).to_have_text("4")
    shoot(page, f"studio-quoted-{name}")
    run.click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    shoot(page, f"studio-running-{name}")
    expect(page.get_by_role("heading", name="The result")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-part=result-text]")).to_have_text(
        "The swap is ready. Charged: 1. Given back: 0."
    )
    after = page.get_by_alt_text("The picture after the swap")
    assert after.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 512
    before = page.get_by_alt_text("The picture before the swap")
    assert before.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 512
    shoot(page, f"studio-result-{name}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the result").click()
    assert download.value.suggested_filename.endswith(".jpg")
    assert download.value.path().stat().st_size > 10_000
    page.goto("/")
    expect(page.get_by_test_id("available")).to_have_text("4")
    expect(page.get_by_role("cell", name="Swap charged")).to_be_visible()
    thumbnail = page.get_by_alt_text("Result of the swap")
    assert thumbnail.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") > 0
    shoot(page, f"home-{name}")
