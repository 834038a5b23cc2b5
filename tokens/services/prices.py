"""What work costs: prices of usage, the price of the moment, and prices that might have been."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tokens import price_curve, price_picture, price_selectors, pricing
from tokens.ledger import rate_cards
from tokens.models import PriceTick
from tokens.price_types import (
    ORDINARY_BP,
    Curve,
    CurveState,
    CurveStep,
    Load,
    PriceCard,
    PricePoint,
    PriceReason,
    Tariff,
)
from tokens.types import Price, UsageLine

log = structlog.get_logger(__name__)


def price_usage(*, lines: Sequence[UsageLine], tariff: Tariff) -> Price:
    """Price work for the account of a tariff (``price_selectors.tariff_of``).

    Raises:
        ValueError: there is no line, or a quantity is below 1.
    """
    return pricing.price(lines=lines, tariff=tariff)


@transaction.atomic(durable=True)
def record_price(*, load: Load, now: dt.datetime | None = None) -> CurveStep | None:
    """Decide the price of this moment and write it down. Owns its transaction.

    Of two processes that measure at once, the second finds the minute taken. A card on trial gets
    a price of its own, which nobody pays.

    Returns:
        The decision on the card in force; None when one was made within half a PRICE_TICK_S.
    """
    rate_cards.queue_up()
    now = now or timezone.now()
    prices = price_selectors.in_force(now=now)
    step = _record(prices.card, load=load, now=now, is_stopped=prices.is_stopped)
    if step is None:
        return None
    if prices.trial is not None:
        _record(prices.trial, load=load, now=now, is_shadow=True)
    transaction.on_commit(
        lambda: log.info(
            "tokens.price.measured",
            card_version=prices.card.version,
            multiplier_bp=step.multiplier_bp,
            reason=step.reason.value,
        )
    )
    return step


def simulate_prices(*, loads: Iterable[tuple[dt.datetime, Load]], curve: Curve) -> list[PricePoint]:
    """What a curve would have made of these loads, in the order of their moments."""
    return list(price_curve.replay(loads=loads, curve=curve))


def draw_prices(*, points: Sequence[PricePoint], curve: Curve, title: str) -> str:
    """Prices and waits as an SVG picture; an empty text where there is nothing to show."""
    return price_picture.draw(points=points, curve=curve, title=title)


def _record(
    card: PriceCard,
    *,
    load: Load,
    now: dt.datetime,
    is_stopped: bool = False,
    is_shadow: bool = False,
) -> CurveStep | None:
    before = price_selectors.state_of(version=card.version)
    state, elapsed_s = CurveState(), settings.PRICE_TICK_S
    if before is not None:
        state, elapsed_s = before[0], int((now - before[1]).total_seconds())
        if elapsed_s < settings.PRICE_TICK_S / 2:
            return None
    step = price_curve.decide(load=load, curve=card.curve, state=state, at=now, elapsed_s=elapsed_s)
    multiplier_bp, reason = step.multiplier_bp, step.reason
    if is_stopped:
        multiplier_bp, reason = ORDINARY_BP, PriceReason.SWITCHED_OFF
    last = price_selectors.newest_tick(is_shadow=is_shadow)
    PriceTick.objects.create(
        taken_at=now,
        card_version=card.version,
        is_shadow=is_shadow,
        is_change=last is None
        or (last.multiplier_bp, last.reason, last.card_version)
        != (multiplier_bp, reason.value, card.version),
        oldest_wait_s=load.oldest_wait_s,
        waiting_count=load.waiting_count,
        running_count=load.running_count,
        utilisation_percent=load.utilisation_percent,
        pressure_ppm=step.pressure_ppm,
        smoothed_ppm=step.smoothed_ppm,
        target_bp=step.target_bp,
        multiplier_bp=multiplier_bp,
        cap_bp=card.curve.cap_bp,
        reason=reason.value,
    )
    return CurveStep(step.pressure_ppm, step.smoothed_ppm, step.target_bp, multiplier_bp, reason)
