"""Read queries on prices: what is in force, what each account pays, and what prices were."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from tokens.errors import InvalidCursorError
from tokens.models import PriceStop, PriceTick, RateCard
from tokens.price_curve import reason_of
from tokens.price_errors import RateCardNotFoundError
from tokens.price_types import (
    DEFAULT_PLAN,
    ORDINARY_BP,
    SETTINGS_VERSION,
    Curve,
    CurveState,
    CurveStep,
    Load,
    OffPeak,
    PriceCard,
    PricePoint,
    PriceReason,
    Tariff,
)
from tokens.types import Operation

# What every quote asks for, so it is one statement: the card in force and the one on trial, each
# with its last multiplier if that is fresh, and the switch.
_IN_FORCE_SQL: Final = """
WITH card AS (
    SELECT * FROM tokens_ratecard WHERE status = 'PUBLISHED' AND effective_at <= %(now)s
     ORDER BY effective_at DESC, version DESC LIMIT 1),
trial AS (SELECT * FROM tokens_ratecard WHERE shadow_percent > 0),
fresh AS (
    SELECT wanted.version,
           (SELECT multiplier_bp FROM tokens_pricetick
             WHERE card_version = wanted.version AND taken_at > %(since)s
             ORDER BY id DESC LIMIT 1) AS multiplier_bp
      FROM (SELECT coalesce((SELECT version FROM card), 0) AS version
             UNION ALL SELECT version FROM trial) AS wanted)
SELECT (SELECT to_jsonb(card) FROM card),
       (SELECT to_jsonb(trial) FROM trial),
       (SELECT jsonb_object_agg(version, multiplier_bp) FROM fresh),
       (SELECT is_stopped FROM tokens_pricestop ORDER BY id DESC LIMIT 1)
"""

# More are no number of a row.
_ID_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class PricesInForce:
    """What prices are made of at one moment.

    Attributes:
        card: in force.
        trial: a card on trial; None for none.
        trial_percent: the share of accounts that it is tried with.
        multipliers: the last measured ones by version of card; absent or None when not fresh.
        is_stopped: whether the kill switch is on.
    """

    card: PriceCard
    trial: PriceCard | None
    trial_percent: int
    multipliers: dict[int, int | None]
    is_stopped: bool

    def moment(self, card: PriceCard) -> tuple[int, PriceReason]:
        """The multiplier of a card now, and why it is that.

        A multiplier that is not measured lately is worth nothing: better too cheap than wrong.
        """
        if self.is_stopped:
            return ORDINARY_BP, PriceReason.SWITCHED_OFF
        measured = self.multipliers.get(card.version)
        if measured is None:
            is_flat = card.curve.floor_bp == card.curve.cap_bp
            return ORDINARY_BP, PriceReason.ORDINARY if is_flat else PriceReason.NO_MEASURE
        return measured, reason_of(measured, curve=card.curve)


def in_force(*, now: dt.datetime | None = None) -> PricesInForce:
    """The card in force, the card on trial, their multipliers and the switch. One query."""
    now = now or timezone.now()
    fresh_s = dt.timedelta(seconds=settings.PRICE_TICK_FRESH_S)
    with connection.cursor() as cursor:
        cursor.execute(_IN_FORCE_SQL, {"now": now, "since": now - fresh_s})
        card, trial, multipliers, is_stopped = cursor.fetchone()
    card, trial = _loaded(card), _loaded(trial)
    return PricesInForce(
        card=settings_card() if card is None else _card(card),
        trial=None if trial is None else _card(trial),
        trial_percent=0 if trial is None else trial["shadow_percent"],
        multipliers={int(key): value for key, value in (_loaded(multipliers) or {}).items()},
        is_stopped=bool(is_stopped),
    )


def tariff_of(*, owner_id: int) -> Tariff:
    """What an account pays at this moment. Two queries."""
    prices = in_force()
    plan = accounts_selectors.plan_of(user_id=owner_id)
    multiplier_bp, reason = prices.moment(prices.card)
    shadow = None
    if prices.trial is not None and is_on_trial(
        owner_id=owner_id, version=prices.trial.version, percent=prices.trial_percent
    ):
        shadow_bp, shadow_reason = prices.moment(prices.trial)
        shadow = Tariff(prices.trial, plan, shadow_bp, shadow_reason)
    return Tariff(prices.card, plan, multiplier_bp, reason, shadow)


def is_on_trial(*, owner_id: int, version: int, percent: int) -> bool:
    """Whether a card is tried with an account: the same ones each time, others for each card."""
    digest = hashlib.sha256(f"rate_card:{version}:{owner_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % 100 < percent


def settings_card() -> PriceCard:
    """The card that is in force until one is published: the prices of the settings, no curve."""
    return PriceCard(
        version=SETTINGS_VERSION,
        prices={
            Operation.IMAGE_SWAP.value: {DEFAULT_PLAN: settings.TOKENS_PRICE_IMAGE},
            Operation.VIDEO_SWAP.value: {DEFAULT_PLAN: settings.TOKENS_PRICE_VIDEO_SECOND},
        },
    )


def card_of_version(*, version: int) -> PriceCard:
    """A card, published or not; version 0 is that of the settings.

    Raises:
        RateCardNotFoundError: there is none.
    """
    if version == SETTINGS_VERSION:
        return settings_card()
    row = RateCard.objects.filter(version=version).first()
    if row is None:
        raise RateCardNotFoundError(_("There is no rate card with this version."))
    return card_of(row)


def card_of(row: RateCard) -> PriceCard:
    """What a row says, as a value."""
    return _card({field.attname: getattr(row, field.attname) for field in row._meta.fields})  # noqa: SLF001


def is_stopped() -> bool:
    """Whether the kill switch is on."""
    last = PriceStop.objects.order_by("-pk").first()
    return last is not None and last.is_stopped


def ticks(
    *, since: dt.datetime, until: dt.datetime, version: int | None = None
) -> list[PricePoint]:
    """The price of each minute in a range, of the cards in force or of one on trial."""
    rows = PriceTick.objects.filter(taken_at__gte=since, taken_at__lt=until).order_by("taken_at")
    wanted = Q(is_shadow=False) if version is None else Q(card_version=version)
    return [point_of(row) for row in rows.filter(wanted)]


def price_changes(
    *, limit: int, cursor: str | None = None, since: dt.datetime | None = None
) -> tuple[list[PriceTick], str | None]:
    """The moments at which the price changed, newest first; and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    rows = PriceTick.objects.filter(is_shadow=False, is_change=True).order_by("-taken_at", "-id")
    if since is not None:
        rows = rows.filter(taken_at__gte=since)
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdigit() or len(cursor) > _ID_DIGITS_MAX:
            raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor")
        last = PriceTick.objects.filter(pk=int(cursor)).first()
        if last is None:
            raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor")
        rows = rows.filter(
            Q(taken_at__lt=last.taken_at) | Q(taken_at=last.taken_at, pk__lt=last.pk)
        )
    found = list(rows[: limit + 1])
    next_cursor = str(found[limit - 1].pk) if len(found) > limit else None
    return found[:limit], next_cursor


def newest_tick(*, is_shadow: bool = False) -> PriceTick | None:
    """The last price of the cards in force, or of those on trial."""
    return PriceTick.objects.filter(is_shadow=is_shadow).order_by("-pk").first()


def state_of(*, version: int) -> tuple[CurveState, dt.datetime] | None:
    """What the last decision on a card left, and when; None when there was none."""
    last = PriceTick.objects.filter(card_version=version).order_by("-pk").first()
    return None if last is None else (point_of(last).step.state, last.taken_at)


def point_of(tick: PriceTick) -> PricePoint:
    """A row as a value."""
    return PricePoint(
        at=tick.taken_at,
        load=Load(
            oldest_wait_s=tick.oldest_wait_s,
            waiting_count=tick.waiting_count,
            running_count=tick.running_count,
            utilisation_percent=tick.utilisation_percent,
        ),
        step=CurveStep(
            pressure_ppm=tick.pressure_ppm,
            smoothed_ppm=tick.smoothed_ppm,
            target_bp=tick.target_bp,
            multiplier_bp=tick.multiplier_bp,
            reason=PriceReason(tick.reason),
        ),
    )


def _loaded(value: Any) -> Any:
    """JSON of a raw query, which comes as text where Django registered no reader for it."""
    return json.loads(value) if isinstance(value, str) else value


def _card(row: dict[str, Any]) -> PriceCard:
    effective_at = row["effective_at"]
    if isinstance(effective_at, str):
        effective_at = dt.datetime.fromisoformat(effective_at)
    return PriceCard(
        version=row["version"],
        prices=row["prices"],
        curve=Curve(
            floor_bp=row["floor_bp"],
            cap_bp=row["cap_bp"],
            calm_wait_s=row["calm_wait_s"],
            full_wait_s=row["full_wait_s"],
            smoothing_s=row["smoothing_s"],
            step_bp=row["step_bp"],
            time_zone=row["time_zone"],
            off_peak=tuple(
                OffPeak(hours["start_minute"], hours["end_minute"], tuple(hours["weekdays"]))
                for hours in row["off_peak"]
            ),
        ),
        effective_at=effective_at,
    )
