"""The pages in a real browser: a person signs in, swaps a face, reads the statement.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.types import Role
from inference import face_handlers, handlers, tasks
from inference.models import SwapJob
from inference.tests import real_engine
from tests.browsers import CONTRAST, DESKTOP, PASSWORD, PHONE, POLICY, needs_chromium, shoot
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.types import RechargeItem, RechargeMode, RechargeRequest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "samples" / "astronaut.png"
TARGET = ROOT / "samples" / "grace_hopper.jpg"
NO_FACE = ROOT / "samples" / "coffee.png"
STUDIO_URL = re.compile(r"^http://[^/]+/studio/$")

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _surroundings(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.TOKENS_PRICE_VIDEO_SECOND = 2
    cache.clear()


@pytest.fixture
def worker(monkeypatch):
    """One thread in the place of a worker process; messages take the short way.

    Yields an event: the thread starts a job only while it is set.
    """
    call_command("models", "build")
    pool = ThreadPoolExecutor(max_workers=1)
    is_free = threading.Event()
    is_free.set()

    def run(work, **ids):
        is_free.wait(timeout=60)
        work(**ids)
        connections.close_all()

    for task, work in (
        (tasks.run_swap_job, handlers.run_swap_job),
        (tasks.find_faces, face_handlers.find_faces),
    ):
        monkeypatch.setattr(
            task, "apply_async", lambda kwargs, work=work: pool.submit(run, work, **kwargs)
        )
    yield is_free
    is_free.set()
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
    page.wait_for_url(STUDIO_URL)


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
    worker.clear()
    run.click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("[data-part=progress-text]")).to_have_text("Waiting for a free machine…")
    shoot(page, f"studio-running-{name}")
    worker.set()
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


def test_a_person_without_a_mouse_swaps_a_face_in_chinese(open_page, worker, mia):
    page = open_page(DESKTOP, locale="zh-CN")
    page.goto("/login/?next=/studio/")
    expect(page.get_by_label("用户名")).to_be_focused()
    page.keyboard.type("mia")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(STUDIO_URL)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
    page.locator("#source-file").focus()
    assert (
        page.locator(".slot__label").first.evaluate("label => getComputedStyle(label).outlineStyle")
        == "solid"
    )
    for name, path in (("source", SOURCE), ("target", TARGET)):
        with page.expect_file_chooser() as chooser:
            page.locator(f"#{name}-file").press("Enter")
        chooser.value.set_files(path)
    run = page.get_by_role("button", name="开始换脸")
    expect(run).to_be_enabled()
    worker.clear()
    run.press("Enter")
    expect(page.locator("[data-part=progress-panel]")).to_be_focused()
    worker.set()
    title = page.get_by_role("heading", name="结果")
    expect(title).to_be_focused(timeout=60_000)
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    split = "figure => getComputedStyle(figure).getPropertyValue('--split')"
    assert page.locator(".compare").evaluate(split) == "100%"
    shoot(page, "studio-result-zh")
    job_address = page.url
    page.goto("/")
    shoot(page, "home-zh")
    page.goto(job_address)
    expect(title).to_be_visible()
    expect(page.locator("#source-status")).to_contain_text("已就绪")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_person_swaps_a_video_with_the_keyboard(open_page, worker, mia, tmp_path, viewport):
    clip = real_engine.film(tmp_path / "clip.mp4", seconds=1, fps=12, size=(320, 180))
    name = viewport["width"]
    page = open_page(viewport)
    sign_in(page)
    page.locator("#source-file").set_input_files(SOURCE)
    page.locator("#target-file").set_input_files(clip)
    expect(page.locator("#target-status")).to_have_text(
        "Ready: 320 by 180 pixels, 1.0 seconds, 12 frames."
    )
    poster = page.get_by_alt_text("What you chose to change")
    assert poster.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 320
    page.get_by_label("replace the largest").press("Space")
    run = page.get_by_role("button", name="Run the swap")
    expect(run).to_be_enabled()
    expect(page.locator("[data-part=price-detail]")).to_have_text(
        "Started seconds: 1, at 2 tokens each."
    )
    shoot(page, f"studio-video-quoted-{name}")
    run.press("Enter")
    expect(page.get_by_role("heading", name="The result")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-part=result-text]")).to_have_text(
        "The swap is ready. Charged: 2. Given back: 0."
    )
    player = page.get_by_label("The video after the swap")
    length_s = player.evaluate(
        """async (video) => {
          video.muted = true;
          await video.play();
          video.currentTime = 0.5;
          await new Promise((done) => video.addEventListener("seeked", done, { once: true }));
          return video.duration;
        }"""
    )
    assert length_s == pytest.approx(1.0, abs=0.1)
    expect(page.get_by_alt_text("The picture after the swap")).to_be_hidden()
    shoot(page, f"studio-video-result-{name}")


def test_a_person_cancels_a_waiting_swap_with_the_keyboard_in_chinese(open_page, worker, mia):
    page = open_page(PHONE, locale="zh-CN")
    page.goto("/login/?next=/studio/")
    page.keyboard.type("mia")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(STUDIO_URL)
    page.locator("#source-file").set_input_files(SOURCE)
    page.locator("#target-file").set_input_files(TARGET)
    run = page.get_by_role("button", name="开始换脸")
    expect(run).to_be_enabled()
    worker.clear()
    run.press("Enter")
    cancel = page.locator("[data-part=cancel]")
    dialog = page.get_by_role("dialog")
    expect(cancel).to_be_visible()

    cancel.press("Enter")
    expect(dialog).to_contain_text("1")
    assert page.evaluate(CONTRAST) == []
    shoot(page, "studio-cancel-zh")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert SwapJob.objects.get().status == SwapJob.Status.QUEUED

    cancel.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=problem]")).to_be_visible()
    expect(page.locator("[data-part=order-panel]")).to_be_visible()
    job = SwapJob.objects.get()
    assert job.status == SwapJob.Status.CANCELED
    assert tokens_selectors.balance(user_id=mia.pk).available == 5


@pytest.mark.parametrize(
    ("viewport", "language"), [(DESKTOP, "en"), (PHONE, "zh-CN")], ids=["desktop", "phone-zh"]
)
def test_a_person_without_a_mouse_chooses_a_face_of_a_group(
    open_page, worker, mia, viewport, language
):
    words = {
        "en": ("Username", "Password", "Run the swap", "Faces to replace", "Face {}", "The result"),
        "zh-CN": ("用户名", "密码", "开始换脸", "要替换的人脸", "人脸 {}", "结果"),
    }[language]
    name_label, password_label, run_text, group_text, face_text, result_text = words
    page = open_page(viewport, locale=language)
    page.goto("/login/?next=/studio/")
    page.get_by_label(name_label).fill("mia")
    page.get_by_label(password_label).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(STUDIO_URL)
    page.locator("#source-file").set_input_files(SOURCE)
    page.locator("#target-file").set_input_files(
        {
            "name": "group.png",
            "mimeType": "image/png",
            "buffer": real_engine.side_by_side("astronaut.png", "grace_hopper.jpg"),
        }
    )
    group = page.get_by_role("group", name=group_text)
    expect(group).to_be_visible(timeout=30_000)
    first, second = (
        group.get_by_role("checkbox", name=face_text.format(number)) for number in (1, 2)
    )
    expect(first).to_be_checked()
    picture = group.locator("img").first
    assert picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") > 0
    run = page.get_by_role("button", name=run_text)
    expect(run).to_be_enabled()
    first.focus()
    page.keyboard.press("Space")
    expect(run).to_be_disabled()
    page.keyboard.press("Tab")
    expect(second).to_be_focused()
    page.keyboard.press("Space")
    expect(run).to_be_enabled()
    shoot(page, f"studio-faces-{viewport['width']}-{language}")
    run.press("Enter")
    expect(page.get_by_role("heading", name=result_text)).to_be_visible(timeout=60_000)
    shoot(page, f"studio-faces-result-{viewport['width']}-{language}")
    job = SwapJob.objects.get()
    (person,) = job.report["people"]
    assert (person["target_face_id"], person["frames_swapped"]) == (
        second.get_attribute("value"),
        1,
    )
    assert len(job.faces) == 1
    page.reload()
    expect(second).to_be_checked(timeout=30_000)
    expect(first).not_to_be_checked()


def test_every_refusal_says_what_to_do(open_page, worker, mia):
    page = open_page(PHONE, ignore=("status of 4",))
    sign_in(page)
    page.locator("#source-file").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )
    expect(page.locator("#source-status")).to_contain_text("Choose another one.")
    page.locator("#source-file").set_input_files(
        {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"hello"}
    )
    expect(page.locator("#source-status")).to_have_text(
        "The file is not a JPEG, PNG or still WebP picture, nor a video that we read."
    )
    page.locator("#source-file").set_input_files(NO_FACE)
    page.locator("#target-file").set_input_files(TARGET)
    page.get_by_role("button", name="Run the swap").click()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("There is no face in the source picture.", timeout=60_000)
    expect(problem).to_contain_text("The swap failed and cost nothing: 1 given back.")
    expect(page.locator("[data-part=price-available]")).to_have_text("5")
    shoot(page, "studio-failed")
    page.context.clear_cookies(name="sessionid")
    page.locator("#source-file").set_input_files(SOURCE)
    expect(problem).to_contain_text("Your session has ended. Sign in again to go on.")
    expect(problem.get_by_role("link", name="Sign in")).to_have_attribute(
        "href", re.compile(r"^/login/\?next=%2Fstudio%2F")
    )


def test_too_few_tokens_are_seen_before_the_run(open_page, mia, settings):
    settings.TOKENS_PRICE_IMAGE = 6
    page = open_page(DESKTOP)
    sign_in(page)
    page.locator("#source-file").set_input_files(SOURCE)
    page.locator("#target-file").set_input_files(TARGET)
    expect(page.locator("[data-part=price-status]")).to_have_text(
        "You have too few tokens for this swap. Ask the operator for a recharge."
    )
    expect(page.get_by_role("button", name="Run the swap")).to_be_disabled()


def test_the_appearance_is_kept(open_page):
    page = open_page(DESKTOP, color_scheme="light")
    page.goto("/")
    page.get_by_role("button", name="Use the dark appearance").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.get_by_role("button", name="Use the light appearance")).to_be_visible()
    shoot(page, "landing-dark")


def test_texts_have_enough_contrast(open_page, mia):
    """WCAG 2.2 AA, measured on every text of the pages: 4.5, or 3 for large text."""
    for scheme in ("light", "dark"):
        page = open_page(DESKTOP, color_scheme=scheme, ignore=("status of 404",))
        page.goto("/")
        checks = [page.evaluate(CONTRAST)]
        sign_in(page)
        for path in ("/studio/", "/", "/errors/", "/nothing-here"):
            page.goto(path)
            checks.append(page.evaluate(CONTRAST))
        assert [weak for check in checks for weak in check] == [], scheme
