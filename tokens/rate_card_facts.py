"""What a rate card says, in words."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from accounts.types import Plan
from tokens.price_types import DEFAULT_PLAN, Curve, OffPeak, PriceCard
from tokens.types import Operation


def facts_of(card: PriceCard) -> Iterator[tuple[str, str]]:
    """Label and value of everything a card says, in the order of its form."""
    for operation in Operation:
        for plan, tokens in sorted(card.prices[operation.value].items(), key=_default_first):
            yield f"{_operation(operation)}: {_plan(plan)}", f"{tokens:,}"
    curve = card.curve
    yield _("Floor"), f"{curve.floor_bp // 100} %"
    yield _("Cap"), f"{curve.cap_bp // 100} %"
    yield _("Calm wait"), _seconds(curve.calm_wait_s)
    yield _("Full wait"), _seconds(curve.full_wait_s)
    yield _("Smoothing"), _seconds(curve.smoothing_s)
    yield _("Step"), f"{curve.step_bp // 100} %"
    yield _("Quiet hours"), quiet_hours(curve)


def quiet_hours(curve: Curve) -> str:
    """The quiet hours of a curve with their time zone; a dash where there are none."""
    if not curve.off_peak:
        return "—"
    return f"{', '.join(_hours(hours) for hours in curve.off_peak)} ({curve.time_zone})"


def _hours(hours: OffPeak) -> str:
    names = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
    clock = "-".join(
        f"{minute // 60:02d}:{minute % 60:02d}" for minute in (hours.start_minute, hours.end_minute)
    )
    if len(hours.weekdays) == len(names):
        return clock
    return f"{clock} {' '.join(names[day] for day in hours.weekdays)}"


def _operation(operation: Operation) -> str:
    if operation is Operation.IMAGE_SWAP:
        return _("Tokens a picture")
    return _("Tokens a started second of video")


def _plan(plan: str) -> str:
    return _("all other plans") if plan == DEFAULT_PLAN else str(Plan(plan).label)


def _default_first(price: tuple[str, int]) -> tuple[bool, str]:
    return price[0] != DEFAULT_PLAN, price[0]


def _seconds(seconds: int) -> str:
    return _("%(seconds)d seconds") % {"seconds": seconds}
