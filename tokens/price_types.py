"""Values of prices: load, curves, cards, tariffs. Whole numbers everywhere.

Multipliers are in basis points: 10,000 is the ordinary price. Pressure and its smoothed form are in
millionths: 0 is an idle platform, 1,000,000 one that cannot be busier.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext_lazy as _

from tokens.types import Operation

ORDINARY_BP: Final = 10_000
PRESSURE_MAX: Final = 1_000_000
# The card of the settings, in force until one is published.
SETTINGS_VERSION: Final = 0
# The price of all plans that a card does not name.
DEFAULT_PLAN: Final = "default"


class PriceReason(StrEnum):
    """Why the price of the moment is what it is."""

    ORDINARY = "ordinary"
    BUSY = "busy"
    AT_CAP = "at_cap"
    OFF_PEAK = "off_peak"
    SWITCHED_OFF = "switched_off"
    NO_MEASURE = "no_measure"


REASON_TEXTS: Final = {
    PriceReason.ORDINARY: _("The ordinary price."),
    PriceReason.BUSY: _("Many jobs are waiting, so the price is higher for now."),
    PriceReason.AT_CAP: _("Very many jobs are waiting: the price is at its upper limit."),
    PriceReason.OFF_PEAK: _("These are quiet hours, so the price is lower."),
    PriceReason.SWITCHED_OFF: _("The ordinary price: the operator has switched changes off."),
    PriceReason.NO_MEASURE: _("The ordinary price: the load was not measured lately."),
}


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the platform is at one moment.

    Attributes:
        oldest_wait_s: whole seconds that the oldest piece of work waits for a worker.
        waiting_count: pieces of work that wait for a worker.
        running_count: pieces of work that workers are at.
        utilisation_percent: of the workers' processors, 0..100; None where nobody reports it.
    """

    oldest_wait_s: int
    waiting_count: int
    running_count: int
    utilisation_percent: int | None = None


@dataclass(frozen=True, slots=True)
class OffPeak:
    """Hours of the day in minutes from local midnight; an early end is on the next day.

    Attributes:
        start_minute: 0..1439, the first minute.
        end_minute: 0..1439, the minute behind the last; up to the start: on the next day.
        weekdays: on which days they start; 0 is Monday.
    """

    start_minute: int
    end_minute: int
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Curve:
    """How the multiplier follows the load.

    Attributes:
        floor_bp: the multiplier of quiet hours without load; at most 10,000.
        cap_bp: the multiplier that no load exceeds; at least 10,000.
        calm_wait_s: waiting up to this long changes nothing.
        full_wait_s: waiting this long is full pressure.
        smoothing_s: time constant of the average that the multiplier follows.
        step_bp: the multiplier stays where it is until it would move by this much.
        time_zone: of the quiet hours, by its name in the IANA database.
        off_peak: the quiet hours.
    """

    floor_bp: int = ORDINARY_BP
    cap_bp: int = ORDINARY_BP
    calm_wait_s: int = 60
    full_wait_s: int = 900
    smoothing_s: int = 300
    step_bp: int = 500
    time_zone: str = "UTC"
    off_peak: tuple[OffPeak, ...] = ()


@dataclass(frozen=True, slots=True)
class CurveState:
    """What one decision passes on to the next."""

    smoothed_ppm: int = 0
    multiplier_bp: int = ORDINARY_BP


@dataclass(frozen=True, slots=True)
class CurveStep:
    """One decision of the controller, and what it was made of."""

    pressure_ppm: int
    smoothed_ppm: int
    target_bp: int
    multiplier_bp: int
    reason: PriceReason

    @property
    def state(self) -> CurveState:
        """What the next decision starts from."""
        return CurveState(smoothed_ppm=self.smoothed_ppm, multiplier_bp=self.multiplier_bp)


@dataclass(frozen=True, slots=True)
class PriceCard:
    """Ordinary prices and the curve of their multiplier.

    Attributes:
        version: 0 is the card of the settings.
        prices: by operation and plan, whole tokens a picture or started second; each operation
            has a ``DEFAULT_PLAN``.
        curve: how the multiplier follows the load.
        effective_at: since when it is in force; None for the card of the settings.
    """

    version: int
    prices: Mapping[str, Mapping[str, int]]
    curve: Curve = field(default_factory=Curve)
    effective_at: dt.datetime | None = None

    def unit_tokens(self, operation: Operation, *, plan: str) -> int:
        """The ordinary price of a picture or started second for an account of this plan."""
        of_operation = self.prices[operation.value]
        return of_operation.get(plan, of_operation[DEFAULT_PLAN])


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one account pays at one moment.

    Attributes:
        card: where the ordinary prices come from.
        plan: of the account.
        multiplier_bp: of the moment.
        reason: why it is that.
        shadow: what a card under trial would have it pay, for accounts of the trial. Never charged.
    """

    card: PriceCard
    plan: str
    multiplier_bp: int = ORDINARY_BP
    reason: PriceReason = PriceReason.ORDINARY
    shadow: Tariff | None = None

    def unit_tokens(self, operation: Operation) -> int:
        """The ordinary price of a picture or started second."""
        return self.card.unit_tokens(operation, plan=self.plan)


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A moment of a real or simulated price."""

    at: dt.datetime
    load: Load
    step: CurveStep


@dataclass(frozen=True, slots=True)
class RateCardDraft:
    """A card as it is proposed; ``wanted_from`` None: in force as soon as it is published."""

    note: str
    prices: Mapping[str, Mapping[str, int]]
    curve: Curve
    wanted_from: dt.datetime | None = None
