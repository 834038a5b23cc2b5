"""Rate cards: one proposes, another publishes; trials; the kill switch; the price of a minute."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import partial

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Plan, Role
from facefusion_site.common.errors import InvalidRequestError
from tokens import price_selectors, services
from tokens.approval_errors import OnlyTheMakerError
from tokens.approvals import VoteDecision
from tokens.errors import ApprovalCommentMissingError, MakerMayNotCheckError
from tokens.models import AuditEvent, PriceTick, RateCard
from tokens.price_errors import (
    InvalidRateCardError,
    RateCardClosedError,
    RateCardNotFoundError,
    RateCardOutdatedError,
    TrialRunningError,
)
from tokens.price_types import Curve, Load, OffPeak, PriceReason
from tokens.tests.approvals import make_staff
from tokens.tests.factories import make_user
from tokens.tests.rate_cards import CURVE, PRICES, ballot, decide, draft, propose, publish
from tokens.tests.threads import in_threads
from tokens.types import Operation

pytestmark = pytest.mark.django_db(transaction=True)
FULL = Load(oldest_wait_s=3_600, waiting_count=50, running_count=2, utilisation_percent=100)
IDLE = Load(oldest_wait_s=0, waiting_count=0, running_count=0)
NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


@pytest.fixture
def managers():
    return make_staff(2, role=Role.PRICING)


def measure(load: Load, count: int = 2) -> None:
    """As many minutes of this load from now on."""
    start = timezone.now()
    for minute in range(count):
        at = start + dt.timedelta(minutes=minute)
        assert services.record_price(load=load, now=at) is not None


def test_a_card_is_in_force_once_another_person_has_published_it(managers):
    card = propose(managers[0])
    payer = make_user()
    assert price_selectors.tariff_of(owner_id=payer.pk).card.version == 0
    with pytest.raises(MakerMayNotCheckError):
        decide(card, managers[0])
    assert decide(card, managers[1]) is False
    tariff = price_selectors.tariff_of(owner_id=payer.pk)
    assert (tariff.card.version, tariff.unit_tokens(Operation.IMAGE_SWAP)) == (1, 2)
    assert tariff.card.curve == CURVE
    assert decide(card, managers[1]) is True
    actions = AuditEvent.objects.filter(subject=f"rate_card:{card.pk}").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "rate_card.proposed",
        "rate_card.published",
    ]


def test_a_plan_pays_what_the_card_says_for_it():
    publish()
    vip = make_user()
    type(vip).objects.filter(pk=vip.pk).update(plan=Plan.VIP)
    assert price_selectors.tariff_of(owner_id=vip.pk).unit_tokens(Operation.IMAGE_SWAP) == 1


def test_a_card_waits_for_the_moment_it_was_wanted_from():
    later = timezone.now() + dt.timedelta(days=1)
    card = publish(wanted_from=later)
    assert card.effective_at == later
    assert price_selectors.in_force().card.version == 0
    assert price_selectors.in_force(now=later).card.version == card.version


def test_who_may_not_steer_prices_is_refused(managers):
    (operator,) = make_staff(1, role=Role.OPERATOR)
    with pytest.raises(RoleRequiredError):
        propose(operator)
    with pytest.raises(StepUpRequiredError):
        services.propose_rate_card(actor_id=managers[0].pk, draft=draft(), second_factor_at=None)
    card = propose(managers[0])
    with pytest.raises(RoleRequiredError):
        decide(card, operator)
    with pytest.raises(RoleRequiredError):
        services.stop_prices(actor_id=operator.pk, is_stopped=True, reason="why")


def test_a_decision_is_about_the_content_that_was_seen(managers):
    card = propose(managers[0])
    with pytest.raises(RateCardOutdatedError):
        decide(card, managers[1], content_sha256="0" * 64)
    with pytest.raises(ApprovalCommentMissingError):
        decide(card, managers[1], VoteDecision.REJECT)
    decide(card, managers[1], VoteDecision.REJECT, comment="too dear")
    with pytest.raises(RateCardClosedError) as refused:
        decide(card, managers[1])
    assert refused.value.code == "rate_card_closed"
    with pytest.raises(RateCardNotFoundError) as missing:
        services.recall_rate_card(card_id=uuid.uuid4(), actor_id=managers[0].pk)
    assert missing.value.code == "rate_card_not_found"


def test_a_card_that_another_one_overtook_is_proposed_anew(managers):
    first, second = propose(managers[0]), propose(managers[0], note="other")
    decide(first, managers[1])
    with pytest.raises(RateCardOutdatedError) as refused:
        decide(second, managers[1])
    assert refused.value.code == "rate_card_outdated"


def test_of_two_publications_at_once_one_counts(managers):
    cards = [propose(managers[0], note=str(number)) for number in range(2)]

    (error,) = in_threads(*(partial(decide, card, managers[1]) for card in cards))
    assert isinstance(error, RateCardOutdatedError)
    assert RateCard.objects.filter(status=RateCard.Status.PUBLISHED).count() == 1


def test_only_its_maker_recalls_a_card(managers):
    card = propose(managers[0])
    with pytest.raises(OnlyTheMakerError):
        services.recall_rate_card(card_id=card.pk, actor_id=managers[1].pk)
    for _again in range(2):
        services.recall_rate_card(card_id=card.pk, actor_id=managers[0].pk)
    with pytest.raises(RateCardClosedError):
        decide(card, managers[1])


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"note": " "}, "#/note"),
        ({"prices": {"image_swap": {"default": 1}}}, "#/prices"),
        ({"prices": PRICES | {"video_swap": {"vip": 1}}}, "#/prices/video_swap"),
        ({"prices": PRICES | {"video_swap": {"default": 0}}}, "#/prices/video_swap/default"),
        ({"prices": PRICES | {"video_swap": {"default": 1, "x": 1}}}, "#/prices/video_swap/x"),
        ({"curve": Curve(cap_bp=10_500)}, "#/cap"),
        ({"curve": Curve(cap_bp=9_000)}, "#/cap"),
        ({"curve": Curve(floor_bp=500, off_peak=(OffPeak(0, 60),))}, "#/floor"),
        ({"curve": Curve(floor_bp=8_000)}, "#/off_peak"),
        ({"curve": Curve(off_peak=(OffPeak(60, 60),))}, "#/off_peak"),
        ({"curve": Curve(step_bp=50)}, "#/step"),
        ({"curve": Curve(calm_wait_s=900)}, "#/full_wait"),
        ({"curve": Curve(smoothing_s=0)}, "#/smoothing"),
        ({"curve": Curve(time_zone="Mars/Base")}, "#/time_zone"),
        ({"wanted_from": NOON}, "#/wanted_from"),
    ],
)
def test_a_card_that_cannot_be_is_refused_with_what_is_wrong(managers, changes, pointer):
    with pytest.raises(InvalidRateCardError) as refused:
        propose(managers[0], **changes)
    assert refused.value.code == "invalid_rate_card"
    assert pointer in {fault["pointer"] for fault in refused.value.errors}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tokens_ratecard SET prices = '{}'",
        "UPDATE tokens_ratecard SET cap_bp = 99000",
        "DELETE FROM tokens_ratecard",
        """UPDATE tokens_ratecard SET status = 'PUBLISHED', decided_at = now(),
           effective_at = now(), checker_id = maker_id, checker_factor_at = now()""",
        "UPDATE tokens_pricetick SET multiplier_bp = 1",
        "DELETE FROM tokens_pricestop",
    ],
)
def test_the_database_keeps_what_was_decided(managers, sql):
    propose(managers[0])
    measure(IDLE, 1)
    services.stop_prices(actor_id=managers[0].pk, is_stopped=True, reason="why")
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute(sql)


def test_the_price_follows_the_load_and_is_bound_by_the_tariff():
    publish()
    measure(FULL, 3)
    tariff = price_selectors.tariff_of(owner_id=make_user().pk)
    assert (tariff.multiplier_bp, tariff.reason) == (30_000, PriceReason.AT_CAP)
    changes, _cursor = price_selectors.price_changes(limit=100)
    series = [change.multiplier_bp for change in reversed(changes)]
    assert series == sorted(set(series))
    assert PriceTick.objects.count() == 3


def test_without_a_fresh_measure_the_ordinary_price_is_asked(settings):
    publish()
    measure(FULL, 1)
    settings.PRICE_TICK_FRESH_S = 0
    tariff = price_selectors.tariff_of(owner_id=make_user().pk)
    assert (tariff.multiplier_bp, tariff.reason) == (10_000, PriceReason.NO_MEASURE)


def test_a_multiplier_of_another_card_does_not_count():
    publish()
    measure(FULL)
    publish(note="calmer", curve=Curve(cap_bp=12_000))
    tariff = price_selectors.tariff_of(owner_id=make_user().pk)
    assert (tariff.card.version, tariff.multiplier_bp) == (2, 10_000)
    assert tariff.reason is PriceReason.NO_MEASURE


def test_the_kill_switch_stops_at_once_and_is_on_record(managers):
    publish()
    measure(FULL)
    stop = partial(services.stop_prices, actor_id=managers[0].pk, reason="incident")
    assert stop(is_stopped=True) is True
    assert stop(is_stopped=True) is False
    tariff = price_selectors.tariff_of(owner_id=make_user().pk)
    assert (tariff.multiplier_bp, tariff.reason) == (10_000, PriceReason.SWITCHED_OFF)
    later = timezone.now() + dt.timedelta(minutes=2)
    step = services.record_price(load=FULL, now=later)
    assert step is not None
    assert (step.multiplier_bp, step.reason) == (10_000, PriceReason.SWITCHED_OFF)
    assert stop(is_stopped=False) is True
    step = services.record_price(load=FULL, now=later + dt.timedelta(minutes=1))
    assert step is not None
    assert step.multiplier_bp == 30_000
    assert AuditEvent.objects.filter(action="prices.stopped").count() == 1
    with pytest.raises(InvalidRequestError):
        services.stop_prices(actor_id=managers[0].pk, is_stopped=True, reason=" ")


def test_of_two_measurements_at_once_one_counts():
    now = timezone.now()
    assert in_threads(*[partial(services.record_price, load=IDLE, now=now)] * 4) == []
    assert PriceTick.objects.count() == 1


def test_a_trial_prices_a_share_of_accounts_beside_what_they_pay(managers):
    publish()
    trial = propose(managers[0], prices=PRICES | {"image_swap": {"default": 9}})
    services.try_rate_card(card_id=trial.pk, actor_id=managers[0].pk, percent=100)
    measure(FULL)
    payer = make_user()
    tariff = price_selectors.tariff_of(owner_id=payer.pk)
    assert tariff.unit_tokens(Operation.IMAGE_SWAP) == 2
    assert tariff.shadow is not None
    assert tariff.shadow.unit_tokens(Operation.IMAGE_SWAP) == 9
    assert tariff.shadow.multiplier_bp == 30_000
    assert PriceTick.objects.filter(is_shadow=True).count() == 2

    other = propose(managers[0], note="other")
    with pytest.raises(TrialRunningError) as refused:
        services.try_rate_card(card_id=other.pk, actor_id=managers[0].pk, percent=1)
    assert refused.value.code == "price_trial_running"
    with pytest.raises(InvalidRequestError):
        services.try_rate_card(card_id=trial.pk, actor_id=managers[0].pk, percent=101)
    decide(trial, managers[1])
    trial.refresh_from_db()
    assert (trial.status, trial.shadow_percent) == (RateCard.Status.PUBLISHED, 0)
    assert price_selectors.tariff_of(owner_id=payer.pk).shadow is None


def test_the_share_of_a_trial_is_the_same_accounts_each_time_and_others_for_another_card():
    chosen = {
        version: {
            owner
            for owner in range(4_000)
            if price_selectors.is_on_trial(owner_id=owner, version=version, percent=10)
        }
        for version in (1, 2)
    }
    assert 320 < len(chosen[1]) < 480
    assert len(chosen[1] & chosen[2]) < len(chosen[1]) / 4
    wider = {
        owner
        for owner in range(4_000)
        if price_selectors.is_on_trial(owner_id=owner, version=1, percent=20)
    }
    assert chosen[1] < wider


def test_what_all_quotes_ask_for_is_two_statements(django_assert_num_queries):
    publish()
    payer = make_user()
    with django_assert_num_queries(2):
        price_selectors.tariff_of(owner_id=payer.pk)
    assert ballot(RateCard.objects.get()).content_sha256
