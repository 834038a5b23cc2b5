"""Prices against what work really takes: income, measured cost, and the price that would cover it.

Money is in millionths of the operator's currency, so that no fraction of a cent is lost; every
figure is a whole number. Sandboxes are left out: nobody pays there.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    F,
    Max,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce, TruncMinute

from inference import load_selectors
from inference.models import JobMeter, SwapJob, SwapQuote
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import ORDINARY_BP, PriceCard, PricePoint, Tariff
from tokens.types import Operation, UsageLine

# Pixels of a picture or frame, and what the size is called; larger ones are the last.
SIZES: Final = ((1_000_000, "1mp"), (2_100_000, "2mp"), (8_400_000, "8mp"))
LARGEST: Final = "above_8mp"
_MS_PER_S: Final = 1_000
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class CostRates:
    """What work costs and a token brings, in millionths of the currency; and the wanted margin."""

    cpu_second_micros: int
    gpu_second_micros: int
    token_value_micros: int
    margin_percent: int

    @classmethod
    def from_settings(cls) -> CostRates:
        """As the operator has set them."""
        return cls(
            cpu_second_micros=settings.COST_CPU_SECOND_MICROS,
            gpu_second_micros=settings.COST_GPU_SECOND_MICROS,
            token_value_micros=settings.TOKEN_VALUE_MICROS,
            margin_percent=settings.CALIBRATION_MARGIN_PERCENT,
        )


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """Jobs of one operation, plan and size that ended in the range.

    Attributes:
        operation: in lower case.
        plan: of the account when it asked; empty for jobs from before plans were kept.
        size: pixels of the target, see ``SIZES``.
        jobs_count: that ended, however.
        units: pictures or started seconds of those that succeeded.
        tokens: charged for good.
        attempts_count: that were measured, failed ones included.
        wall_ms: of all attempts.
        cpu_ms: of all attempts.
        gpu_ms: of all attempts on a GPU.
        memory_peak_bytes: the most of any attempt.
        gpu_memory_peak_bytes: the most of any attempt.
        bytes_in: of all attempts.
        bytes_out: of all attempts.
        frames_count: that were swapped.
        pixels_count: of those frames.
        rates: what all that costs.
    """

    operation: str
    plan: str
    size: str
    jobs_count: int
    units: int
    tokens: int
    attempts_count: int
    wall_ms: int
    cpu_ms: int
    gpu_ms: int
    memory_peak_bytes: int
    gpu_memory_peak_bytes: int
    bytes_in: int
    bytes_out: int
    frames_count: int
    pixels_count: int
    rates: CostRates

    @property
    def cost_micros(self) -> int:
        """What the attempts cost, rounded up."""
        cpu = self.cpu_ms * self.rates.cpu_second_micros
        gpu = self.gpu_ms * self.rates.gpu_second_micros
        return -(-(cpu + gpu) // _MS_PER_S)

    @property
    def income_micros(self) -> int:
        """What the tokens brought."""
        return self.tokens * self.rates.token_value_micros

    @property
    def margin_percent(self) -> int | None:
        """What is left of the income, in percent of it; None without income."""
        if not self.income_micros:
            return None
        return _HUNDRED * (self.income_micros - self.cost_micros) // self.income_micros

    @property
    def proposed_unit_tokens(self) -> int | None:
        """The lowest price of a unit that covers its cost and the margin; None without measures."""
        if not self.units or not self.attempts_count:
            return None
        wanted = self.cost_micros * (_HUNDRED + self.rates.margin_percent)
        return max(1, -(-wanted // (_HUNDRED * self.units * self.rates.token_value_micros)))


@dataclass(frozen=True, slots=True)
class TrialRow:
    """Quotes that a card on trial priced too: what was asked, and what it would have asked."""

    card_version: int
    operation: str
    plan: str
    quotes_count: int
    tokens: int
    shadow_tokens: int


@dataclass(frozen=True, slots=True)
class EffectRow:
    """Jobs that succeeded: what was charged, and what a card would have charged."""

    operation: str
    plan: str
    jobs_count: int
    tokens: int
    card_tokens: int


@dataclass(frozen=True, slots=True)
class CardEffect:
    """What a card would have done in a range: its price of each minute, and the charges."""

    points: tuple[PricePoint, ...]
    rows: tuple[EffectRow, ...]


def calibrate(
    *, since: dt.datetime, until: dt.datetime, rates: CostRates | None = None
) -> list[CalibrationRow]:
    """Income and measured cost of the jobs that ended in a range. Two queries."""
    rates = rates or CostRates.from_settings()
    keys = ("quote__operation", "quote__plan", "size")
    jobs = (
        _with_size(_ended(since=since, until=until), target="quote__target")
        .values(*keys)
        .annotate(
            jobs_count=Count("pk"),
            units=Coalesce(
                Sum(_units("quote__price_lines"), filter=Q(status=SwapJob.Status.SUCCEEDED)), 0
            ),
            tokens=Coalesce(Sum(F("hold__settled") + F("hold__overrun") - F("hold__refunded")), 0),
        )
        .order_by(*keys)
    )
    taken = {
        (row["operation"], row["plan"], row["size"]): row
        for row in _taken(since=since, until=until)
    }
    return [
        CalibrationRow(
            operation=row["quote__operation"].lower(),
            plan=row["quote__plan"],
            size=row["size"],
            jobs_count=row["jobs_count"],
            units=int(row["units"]),
            tokens=int(row["tokens"]),
            rates=rates,
            **{
                # PostgreSQL adds big integers up as decimals.
                name: int(taken.get(tuple(row[key] for key in keys), {}).get(f"total_{name}") or 0)
                for name in _MEASURES
            },
        )
        for row in jobs
    ]


def trial(*, since: dt.datetime, until: dt.datetime) -> list[TrialRow]:
    """What cards on trial would have asked for quotes of a range. One query."""
    keys = ("shadow_card_version", "operation", "plan")
    rows = (
        SwapQuote.objects.filter(
            created_at__gte=since, created_at__lt=until, shadow_tokens__isnull=False
        )
        .values(*keys)
        .annotate(count=Count("pk"), asked=Sum("tokens"), shadow=Sum("shadow_tokens"))
        .order_by(*keys)
    )
    return [
        TrialRow(
            card_version=row["shadow_card_version"],
            operation=row["operation"].lower(),
            plan=row["plan"],
            quotes_count=row["count"],
            tokens=int(row["asked"]),
            shadow_tokens=int(row["shadow"]),
        )
        for row in rows
    ]


def card_effect(*, card: PriceCard, since: dt.datetime, until: dt.datetime) -> CardEffect:
    """What a card would have done: the load of a range is replayed through its curve.

    The load is the recorded one; where none was recorded, what the rows of jobs tell. People who
    would have come more, or less, at other prices are not in it.
    """
    recorded = [(point.at, point.load) for point in price_selectors.ticks(since=since, until=until)]
    loads = recorded or load_selectors.past_load(since=since, until=until)
    points = tokens_services.simulate_prices(loads=loads, curve=card.curve)
    moments = [point.at for point in points]
    totals: dict[tuple[str, str], list[int]] = {}
    for row in _charged(since=since, until=until):
        place = bisect_right(moments, row["minute"])
        multiplier_bp = points[place - 1].step.multiplier_bp if place else ORDINARY_BP
        operation = Operation[row["quote__operation"]]
        tariff = Tariff(card=card, plan=row["quote__plan"], multiplier_bp=multiplier_bp)
        # Whole seconds again, as the quote has counted them.
        quantity = row["units"] * (_MS_PER_S if operation is Operation.VIDEO_SWAP else 1)
        price = tokens_services.price_usage(lines=[UsageLine(operation, quantity)], tariff=tariff)
        total = totals.setdefault((operation.value, row["quote__plan"]), [0, 0, 0])
        total[0] += row["count"]
        total[1] += int(row["tokens"])
        total[2] += row["count"] * price.tokens
    rows = tuple(EffectRow(*key, *total) for key, total in sorted(totals.items()))
    return CardEffect(points=tuple(points), rows=rows)


CSV_COLUMNS: Final = (
    "operation",
    "plan",
    "size",
    "jobs_count",
    "units",
    "tokens",
    "attempts_count",
    "wall_ms",
    "cpu_ms",
    "gpu_ms",
    "memory_peak_bytes",
    "gpu_memory_peak_bytes",
    "bytes_in",
    "bytes_out",
    "frames_count",
    "pixels_count",
    "income_micros",
    "cost_micros",
    "margin_percent",
    "proposed_unit_tokens",
)
_ATTEMPTS: Final = "attempts_count"
_MEASURES: Final = CSV_COLUMNS[6:16]
_PEAKS: Final = frozenset({"memory_peak_bytes", "gpu_memory_peak_bytes"})


def as_csv(rows: Sequence[CalibrationRow]) -> Iterator[list[Any]]:
    """The report as rows of a file, its head first; what is not known is empty."""
    yield list(CSV_COLUMNS)
    for row in rows:
        values = (getattr(row, name) for name in CSV_COLUMNS)
        yield ["" if value is None else value for value in values]


def _ended(*, since: dt.datetime, until: dt.datetime) -> QuerySet[SwapJob]:
    return SwapJob.objects.filter(
        finished_at__gte=since, finished_at__lt=until, owner__sandbox_of__isnull=True
    )


def _taken(*, since: dt.datetime, until: dt.datetime) -> Iterable[dict[str, Any]]:
    meters = JobMeter.objects.filter(
        job__finished_at__gte=since,
        job__finished_at__lt=until,
        job__owner__sandbox_of__isnull=True,
    )
    rows: Iterable[dict[str, Any]] = (
        _with_size(meters, target="job__quote__target")
        .annotate(operation=F("job__quote__operation"), plan=F("job__quote__plan"))
        .values("operation", "plan", "size")
        .annotate(
            total_attempts_count=Count("pk"),
            **{
                f"total_{name}": Max(name) if name in _PEAKS else Sum(name)
                for name in _MEASURES
                if name != _ATTEMPTS
            },
        )
    )
    return rows


def _charged(*, since: dt.datetime, until: dt.datetime) -> Iterable[dict[str, Any]]:
    """Jobs that succeeded, those of one minute and size together: each would cost the same."""
    rows: Iterable[Any] = (
        _ended(since=since, until=until)
        .filter(status=SwapJob.Status.SUCCEEDED)
        .annotate(minute=TruncMinute("quote__created_at"), units=_units("quote__price_lines"))
        .filter(units__gt=0)
        .values("quote__operation", "quote__plan", "minute", "units")
        .annotate(count=Count("pk"), tokens=Sum("quote__tokens"))
    )
    return rows


def _with_size(rows: Any, *, target: str) -> Any:
    """Rows with ``size``: what the pixels of the target are called."""
    width_px = Cast(F(f"{target}__width_px"), BigIntegerField())
    return rows.annotate(pixels=width_px * F(f"{target}__height_px")).annotate(
        size=Case(
            *(When(pixels__lte=pixels, then=Value(name)) for pixels, name in SIZES),
            default=Value(LARGEST),
            output_field=CharField(),
        )
    )


def _units(lines: str) -> Cast:
    """Pictures or started seconds; a quote has one line."""
    return Cast(KeyTextTransform("units", KeyTransform(0, lines)), BigIntegerField())
