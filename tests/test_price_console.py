"""The console's pages of prices: draft, preview, publish by another, try, stop, calibrate."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from inference import handlers, runtime
from inference.pipeline.types import SwapResult
from inference.tests import factories
from inference.tests.real_engine import SAMPLES
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tokens import price_selectors, services
from tokens.models import RateCard
from tokens.price_types import Curve, Load
from tokens.tests import rate_cards
from tokens.tests.approvals import make_staff

pytestmark = pytest.mark.django_db(transaction=True)
CURVE_PAGE = "admin:tokens_pricetick_curve"


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    cache.clear()


@pytest.fixture
def managers():
    people = make_staff(2, role=Role.PRICING)
    for person in people:
        enrol(person)
    return people


def as_(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(answer) -> str:
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def form_of(**changes) -> dict[str, object]:
    given: dict[str, object] = {
        "note": "Evenings are busy",
        "image_swap_default": 2,
        "image_swap_vip": 1,
        "video_swap_default": 12,
        "floor": 80,
        "cap": 200,
        "calm_wait_s": 60,
        "full_wait_s": 900,
        "smoothing_s": 300,
        "step": 5,
        "time_zone": "Asia/Shanghai",
        "hours": "23:00-06:30, 12:00-13:00",
        "weekdays": ["0", "1", "2", "3", "4"],
        "wanted_from": "",
        "code": "",
    }
    return given | changes


def a_busy_hour() -> None:
    """An hour of ticks, of the card that is in force now: load that comes and goes."""
    now = timezone.now()
    for minute in range(60):
        load = Load(oldest_wait_s=900 if 20 <= minute < 40 else 0, waiting_count=9, running_count=3)
        at = now - dt.timedelta(minutes=60 - minute)
        assert services.record_price(load=load, now=at) is not None


def test_a_card_goes_from_draft_over_preview_to_publication_by_another_person(managers):
    a_busy_hour()
    maker, checker = (as_(person) for person in managers)
    add = reverse("admin:tokens_ratecard_add")
    shown = text_of(maker.get(add))
    assert 'name="image_swap_default" value="1"' in shown.replace("\n", " ")

    preview = text_of(maker.post(add, form_of(intent="preview")))
    assert "<svg" in preview
    assert "the price was between" in preview
    assert RateCard.objects.count() == 0

    refused = text_of(maker.post(add, form_of(intent="propose")))
    assert "Prove your second factor" in refused
    sent = maker.post(add, form_of(intent="propose", code=code_of(managers[0])))
    card = RateCard.objects.get()
    page = reverse("admin:tokens_ratecard_change", args=[card.pk])
    assert sent.headers["Location"] == page
    assert [(one["start_minute"], one["end_minute"]) for one in card.off_peak] == [
        (23 * 60, 6 * 60 + 30),
        (12 * 60, 13 * 60),
    ]
    assert card.prices["image_swap"] == {"default": 2, "vip": 1}
    assert "You made it, so others decide it." in text_of(maker.get(page))

    shown = text_of(checker.get(page))
    assert "23:00-06:30 Mon Tue Wed Thu Fri, 12:00-13:00 Mon Tue Wed Thu Fri" in shown
    vote = {"step": "vote", "content_sha256": card.content_sha256, "comment": ""}
    answer = checker.post(page, vote | {"decision": "approve", "code": code_of(managers[1])})
    assert answer.status_code == 302
    assert price_selectors.in_force().card.version == card.version
    assert "It is decided." in text_of(checker.get(page))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cap": 103}, "fit two steps"),
        ({"hours": "late"}, "Write quiet hours like 22:00-06:00."),
        ({"hours": ""}, "needs quiet hours"),
        ({"time_zone": "Mars"}, "There is no time zone of this name."),
        ({"image_swap_default": ""}, "This field is required."),
        ({"wanted_from": "2020-01-01 00:00"}, "within 90 days"),
    ],
)
def test_a_draft_that_cannot_be_is_told_what_is_wrong(managers, changes, said):
    answer = as_(managers[0]).post(
        reverse("admin:tokens_ratecard_add"), form_of(intent="preview", **changes)
    )
    assert said in text_of(answer)
    assert RateCard.objects.count() == 0


def test_a_card_is_tried_recalled_and_rejected_on_its_page(managers):
    maker, checker = (as_(person) for person in managers)
    card = rate_cards.propose(managers[0])
    page = reverse("admin:tokens_ratecard_change", args=[card.pk])
    assert "less than or equal to 100" in text_of(
        maker.post(page, {"step": "trial", "percent": 101})
    )
    assert maker.post(page, {"step": "trial", "percent": 20}).status_code == 302
    card.refresh_from_db()
    assert card.shadow_percent == 20
    assert maker.post(page, {"step": "recall"}).status_code == 302
    card.refresh_from_db()
    assert (card.status, card.shadow_percent) == ("RECALLED", 0)
    assert maker.post(page, {"step": "nonsense"}).status_code == 403

    other = rate_cards.propose(managers[0])
    page = reverse("admin:tokens_ratecard_change", args=[other.pk])
    vote = {"step": "vote", "content_sha256": other.content_sha256, "decision": "reject"}
    code = code_of(managers[1])
    assert "Say why." in text_of(checker.post(page, vote | {"comment": "", "code": code}))
    assert checker.post(page, vote | {"comment": "too dear", "code": ""}).status_code == 302


def test_who_only_reads_prices_changes_nothing(managers):
    (reader,) = make_staff(1, role=Role.FINANCE)
    card = rate_cards.propose(managers[0])
    client = as_(reader)
    page = reverse("admin:tokens_ratecard_change", args=[card.pk])
    assert "trial-form" not in text_of(client.get(page))
    assert client.get(reverse("admin:tokens_ratecard_add")).status_code == 403
    assert "stop-form" not in text_of(client.get(reverse(CURVE_PAGE)))
    assert client.post(reverse(CURVE_PAGE), {"step": "stop", "reason": "x"}).status_code == 403
    assert not price_selectors.is_stopped()


def test_the_curve_page_shows_the_price_and_stops_it(managers):
    client = as_(managers[0])
    assert "No price was measured yet." in text_of(client.get(reverse(CURVE_PAGE)))
    rate_cards.publish()
    for minute in range(3):
        at = timezone.now() + dt.timedelta(minutes=minute - 2)
        services.record_price(load=Load(3_600, 50, 2, utilisation_percent=100), now=at)
    shown = text_of(client.get(reverse(CURVE_PAGE)))
    assert "the price is at its upper limit" in shown or "Many jobs are waiting" in shown
    assert client.post(reverse(CURVE_PAGE), {"step": "stop", "reason": "drill"}).status_code == 302
    stopped = text_of(client.get(reverse(CURVE_PAGE)))
    assert "every quote has the ordinary price" in stopped
    assert "drill" in stopped
    assert price_selectors.is_stopped()
    client.post(reverse(CURVE_PAGE), {"step": "release", "reason": "over"})
    assert not price_selectors.is_stopped()


@pytest.mark.usefixtures("fast_work")
def test_calibration_and_the_effect_of_a_card_are_pages_and_a_file(managers):
    client = as_(managers[0])
    page = reverse("admin:inference_jobmeter_calibration")
    assert "No job has ended in these days." in text_of(client.get(page))
    card = rate_cards.publish()
    job = factories.make_job(owner_id=factories.make_user(tokens=10).pk)
    handlers.run_swap_job(job_id=job.pk)
    shown = text_of(client.get(page, {"days": 3}))
    assert "up to 1 megapixel" in shown
    answer = client.get(f"{page}?days=3&as=csv")
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["operation"], row["plan"], row["tokens"]) == ("image_swap", "free", "2")
    assert "No job has ended" in text_of(client.get(page, {"days": "x"}))

    effect = reverse("admin:inference_jobmeter_effect")
    assert 'id="effect"' in text_of(client.get(effect, {"card": card.version}))
    assert client.get(effect, {"card": 99}).status_code == 302
    assert client.get(effect, {"card": "x" * 30}).status_code == 404
    assert text_of(client.get(reverse("admin:inference_jobmeter_changelist")))


@pytest.fixture
def fast_work(monkeypatch):
    """The swap itself is another test's business: the target comes back as it is."""
    monkeypatch.setattr(
        runtime, "swap", lambda *, target_bgr, **_: SwapResult(image_bgr=target_bgr, faces=())
    )


@needs_chromium
def test_the_pages_in_a_browser(browser, live_server):
    """By an administrator, on a desk and on a phone, in English and in Chinese."""
    user = accounts_services.register_user(
        username="paula", password=PASSWORD, user_ref="paula-1", role=Role.PRICING
    )
    rate_cards.publish(curve=Curve(cap_bp=25_000, smoothing_s=300))
    a_busy_hour()
    card = rate_cards.propose(user, note="Evenings are busy")
    pages = {
        "curve": reverse(CURVE_PAGE),
        "card": reverse("admin:tokens_ratecard_change", args=[card.pk]),
        "draft": reverse("admin:tokens_ratecard_add"),
        "calibration": reverse("admin:inference_jobmeter_calibration"),
        "effect": reverse("admin:inference_jobmeter_effect"),
    }
    session = as_(user).cookies["sessionid"].value
    for language, viewport in (("en", DESKTOP), ("zh-hans", PHONE)):
        context = browser.new_context(base_url=live_server.url, viewport=viewport)
        for name, value in (("sessionid", session), ("django_language", language)):
            context.add_cookies([{"name": name, "value": value, "url": live_server.url}])
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error, found=complaints: found.append(str(error)))
        for name, url in pages.items():
            page.goto(url)
            assert page.locator("#content-main").is_visible()
            shoot(page, f"price-{name}-{language}")
        assert complaints == []
        context.close()


@needs_chromium
def test_the_studio_says_why_a_price_is_not_the_ordinary_one(browser, live_server):
    rate_cards.publish()
    for minute in range(2):
        at = timezone.now() + dt.timedelta(minutes=minute)
        services.record_price(load=Load(3_600, 50, 2, utilisation_percent=100), now=at)
    session = as_(factories.make_user(tokens=10)).cookies["sessionid"].value
    context = browser.new_context(base_url=live_server.url, viewport=PHONE, locale="en")
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto("/studio/")
    for slot, name in (("source", "astronaut.png"), ("target", "grace_hopper.jpg")):
        page.locator(f"[data-slot={slot}] input[type=file]").set_input_files(SAMPLES / name)
    reason = page.locator("[data-part=price-reason]")
    expect(reason).to_have_text(
        "Price now: 300 % of the ordinary one. "
        "Very many jobs are waiting: the price is at its upper limit."
    )
    expect(page.locator("[data-part=price-tokens]")).to_have_text("6")
    shoot(page, "price-studio")
    context.close()
