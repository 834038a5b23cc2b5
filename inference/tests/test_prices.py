"""Prices that follow the load: what is measured, what quotes bind, what is published."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from inference import load_selectors, scheduled_tasks, services
from inference.models import JobBatch, SwapJob
from inference.tests import factories
from inference.types import SwapOptions
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import Load
from tokens.tests import rate_cards
from tokens.tests.approvals import make_staff
from tokens.types import Operation

User = get_user_model()
pytestmark = pytest.mark.django_db(transaction=True)
FULL = Load(oldest_wait_s=3_600, waiting_count=50, running_count=2, utilisation_percent=100)
IDLE = Load(oldest_wait_s=0, waiting_count=0, running_count=0)
MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    cache.clear()


@pytest.fixture
def user():
    return factories.make_user(tokens=100)


def rush() -> None:
    """A card in force, and load that lifts its multiplier to the cap."""
    rate_cards.publish()
    for minute in range(2):
        at = timezone.now() + dt.timedelta(minutes=minute)
        assert tokens_services.record_price(load=FULL, now=at) is not None


def at_minute(minute: float) -> dt.datetime:
    return MONDAY + dt.timedelta(minutes=minute)


def test_the_load_is_work_that_waits_for_a_worker_and_not_for_its_own_account(user):
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(4)]
    # Two have places, the others wait for those.
    placed = SwapJob.objects.filter(placed_at__isnull=False)
    assert placed.count() == 2
    placed.update(placed_at=timezone.now() - dt.timedelta(seconds=90))
    SwapJob.objects.filter(placed_at=None).update(queued_at=timezone.now() - dt.timedelta(hours=1))
    factories.take(jobs[0])
    load = load_selectors.current_load()
    assert (load.waiting_count, load.running_count) == (1, 1)
    assert 90 <= load.oldest_wait_s < 150

    User.objects.filter(pk=user.pk).update(sandbox_of=factories.make_user().pk)
    assert load_selectors.current_load() == IDLE


def test_a_message_sent_again_does_not_make_the_wait_shorter(user):
    job = factories.make_job(owner_id=user.pk)
    long_ago = timezone.now() - dt.timedelta(minutes=20)
    SwapJob.objects.filter(pk=job.pk).update(placed_at=long_ago, sent_at=timezone.now())
    assert load_selectors.current_load().oldest_wait_s >= 1_200


def test_the_beat_measures_and_writes_the_price_down(user):
    rate_cards.publish()
    factories.make_job(owner_id=user.pk)
    scheduled_tasks.measure_price()
    scheduled_tasks.measure_price()
    now = timezone.now()
    (point,) = price_selectors.ticks(since=now - dt.timedelta(minutes=1), until=now, version=1)
    assert point.load.waiting_count == 1


def test_past_load_is_told_by_the_spans_of_jobs():
    spans = [
        (at_minute(0), at_minute(3), at_minute(5)),
        (at_minute(1), at_minute(2), at_minute(3)),
        (at_minute(2.5), at_minute(4), None),
        (at_minute(6), None, None),
        # Canceled before it ran.
        (at_minute(7), None, at_minute(9)),
    ]
    told = load_selectors.load_of_spans(spans=spans, since=MONDAY, until=at_minute(10))
    found = [(load.waiting_count, load.running_count, load.oldest_wait_s) for _at, load in told]
    assert found == [
        (1, 0, 0),
        (2, 0, 60),
        (1, 1, 120),
        (1, 1, 30),
        (0, 2, 0),
        (0, 1, 0),
        (1, 1, 0),
        (2, 1, 60),
        (2, 1, 120),
        (1, 1, 180),
    ]


def test_past_load_comes_from_the_rows(user):
    job = factories.make_job(owner_id=user.pk)
    SwapJob.objects.filter(pk=job.pk).update(created_at=at_minute(0), placed_at=at_minute(0))
    told = dict(load_selectors.past_load(since=MONDAY, until=at_minute(3)))
    assert [told[at_minute(number)].oldest_wait_s for number in range(3)] == [0, 60, 120]


def test_a_quote_binds_the_price_of_its_moment_and_the_receipt_shows_it(user):
    rush()
    quote = factories.make_quote(owner_id=user.pk)
    # 2 tokens by the card, three times.
    assert (quote.tokens, quote.multiplier_bp, quote.rate_card_version) == (6, 30_000, 1)
    manager, _other = make_staff(2, role="PRICING")
    tokens_services.stop_prices(actor_id=manager.pk, is_stopped=True, reason="calm")
    http = APIClient()
    http.force_authenticate(user)
    accepted = http.post(
        "/api/v1/jobs",
        {"quote_id": str(quote.pk)},
        format="json",
        headers={"idempotency-key": uuid.uuid4().hex},
    ).json()
    assert accepted["receipt"]["held"] == 6
    assert accepted["receipt"]["price"] == {
        "rate_card_version": 1,
        "multiplier": 3.0,
        "multiplier_bp": 30_000,
        "reason": "at_cap",
        "reason_text": "Very many jobs are waiting: the price is at its upper limit.",
    }
    assert factories.make_quote(owner_id=user.pk).tokens == 2


def test_a_sandbox_pays_by_the_same_prices():
    rush()
    owner = factories.make_user()
    sandbox = factories.make_user()
    User.objects.filter(pk=sandbox.pk).update(sandbox_of=owner.pk)
    assert factories.make_quote(owner_id=sandbox.pk).tokens == 6


def test_all_rows_of_a_batch_have_one_price(user):
    rush()
    asset = factories.make_asset(owner_id=user.pk)
    row = services.BatchRow(
        source_asset_id=asset.pk,
        target_asset_id=asset.pk,
        operation=Operation.IMAGE_SWAP,
        options=SwapOptions(),
    )
    order = services.BatchOrder(rows=(row,) * 3, mode=JobBatch.Mode.SOFT_FAIL)
    preview = services.preview_job_batch(owner_id=user.pk, order=order)
    assert preview.tokens == 18


def test_a_card_on_trial_is_told_beside_the_quote_and_never_charged(user):
    rush()
    manager, _other = make_staff(2, role="PRICING")
    trial = rate_cards.propose(manager, prices=rate_cards.PRICES | {"image_swap": {"default": 5}})
    tokens_services.try_rate_card(card_id=trial.pk, actor_id=manager.pk, percent=100)
    quote = factories.make_quote(owner_id=user.pk)
    assert (quote.tokens, quote.shadow_tokens, quote.shadow_card_version) == (6, 5, 2)
    http = APIClient()
    http.force_authenticate(user)
    told = http.get(f"/api/v1/quotes/{quote.pk}").json()
    assert told["tokens"] == 6
    assert "shadow" not in str(told)


def test_prices_are_published_to_everybody(client):
    fixed = client.get("/api/v1/pricing").json()
    assert (fixed["rate_card_version"], fixed["multiplier"], fixed["reason"]) == (
        0,
        1.0,
        "ordinary",
    )
    rush()
    told = client.get("/api/v1/pricing", headers={"accept-language": "zh-hans"}).json()
    assert (told["multiplier"], told["cap_bp"], told["reason"]) == (3.0, 30_000, "at_cap")
    assert told["off_peak"] == [
        {"start": "02:00", "end": "02:01", "weekdays": [0, 1, 2, 3, 4, 5, 6]}
    ]
    assert {(row["plan"], row["unit_tokens"]) for row in told["prices"]} == {
        ("default", 2),
        ("vip", 1),
        ("default", 20),
    }


def test_the_history_is_told_page_by_page(client):
    rush()
    later = timezone.now() + dt.timedelta(minutes=2)
    tokens_services.record_price(load=IDLE, now=later)
    first = client.get("/api/v1/pricing/history?limit=1").json()
    assert first["items"][0]["multiplier_bp"] < 30_000
    rest = client.get(
        "/api/v1/pricing/history", {"cursor": first["next_cursor"], "limit": 50}
    ).json()
    assert rest["items"][0]["multiplier_bp"] == 30_000
    assert rest["next_cursor"] is None
    since = {"since": later.isoformat()}
    assert len(client.get("/api/v1/pricing/history", since).json()["items"]) == 1
    for cursor in ("x", "9" * 30, "999999"):
        answer = client.get("/api/v1/pricing/history", {"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_the_start_page_names_the_prices_in_force(client):
    rate_cards.publish()
    assert b"A picture costs 2 tokens." in client.get("/").content
    assert price_selectors.in_force().card.version == 1
