"""What a proposed rate card must be like."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.types import Plan
from tokens.price_errors import InvalidRateCardError
from tokens.price_types import DEFAULT_PLAN, ORDINARY_BP, Curve, OffPeak, RateCardDraft
from tokens.types import Operation

UNIT_TOKENS_MAX: Final = 1_000_000
NOTE_MAX: Final = 200
AHEAD_MAX: Final = dt.timedelta(days=90)
_FLOOR_MIN_BP: Final = 1_000
_CAP_MAX_BP: Final = 100_000
_PERCENT_BP: Final = 100
_WAIT_MAX_S: Final = 86_400
_SMOOTHING_MAX_S: Final = 3_600
_DAY_MINUTES: Final = 1_440
_PLANS: Final = frozenset(Plan.values) | {DEFAULT_PLAN}
Fault = tuple[str, str, str | Promise]


def check(draft: RateCardDraft, *, now: dt.datetime) -> None:
    """Refuse a card that could not be charged by, or whose curve could flap.

    Raises:
        InvalidRateCardError: ``errors`` lists everything that is wrong.
    """
    faults = [*_prices(draft), *_curve(draft.curve), *_quiet_hours(draft.curve), *_rest(draft, now)]
    if faults:
        raise InvalidRateCardError(
            _("%(count)d things are wrong with the rate card.") % {"count": len(faults)},
            errors=[
                {"pointer": f"#/{pointer}", "code": code, "detail": str(text)}
                for pointer, code, text in faults
            ],
        )


def _prices(draft: RateCardDraft) -> Iterator[Fault]:
    wanted = {operation.value for operation in Operation}
    if set(draft.prices) != wanted:
        yield "prices", "operations", _("There must be a price for every operation.")
    for operation, plans in draft.prices.items():
        if DEFAULT_PLAN not in plans:
            yield f"prices/{operation}", "default", _("There must be a price for all other plans.")
        for plan, tokens in plans.items():
            if plan not in _PLANS:
                yield f"prices/{operation}/{plan}", "plan", _("There is no such plan.")
            if not 1 <= tokens <= UNIT_TOKENS_MAX:
                yield (
                    f"prices/{operation}/{plan}",
                    "tokens",
                    _("A price is 1 to 1,000,000 whole tokens."),
                )


def _curve(curve: Curve) -> Iterator[Fault]:
    if not _FLOOR_MIN_BP <= curve.floor_bp <= ORDINARY_BP:
        yield "floor", "range", _("The floor is 10 to 100 percent.")
    if not ORDINARY_BP <= curve.cap_bp <= _CAP_MAX_BP:
        yield "cap", "range", _("The cap is 100 to 1,000 percent.")
    if any(value % _PERCENT_BP for value in (curve.floor_bp, curve.cap_bp, curve.step_bp)):
        yield "step", "percent", _("Floor, cap and step are whole percents.")
    if not _PERCENT_BP <= curve.step_bp <= ORDINARY_BP:
        yield "step", "range", _("The step is 1 to 100 percent.")
    # A range of less than two steps could be crossed back and forth at once.
    spans = {curve.cap_bp - ORDINARY_BP, curve.cap_bp - curve.floor_bp} - {0}
    if any(span < 2 * curve.step_bp for span in spans):
        yield (
            "cap",
            "step",
            _("Between floor and cap, and between 100 percent and cap, fit two steps."),
        )
    if not 0 <= curve.calm_wait_s < curve.full_wait_s <= _WAIT_MAX_S:
        yield "full_wait", "range", _("The full wait is longer than the calm one, at most a day.")
    if not 1 <= curve.smoothing_s <= _SMOOTHING_MAX_S:
        yield "smoothing", "range", _("Smoothing takes 1 to 3,600 seconds.")


def _quiet_hours(curve: Curve) -> Iterator[Fault]:
    try:
        ZoneInfo(curve.time_zone)
    except (ValueError, OSError, KeyError):
        yield "time_zone", "unknown", _("There is no time zone of this name.")
    if curve.floor_bp < ORDINARY_BP and not curve.off_peak:
        yield "off_peak", "missing", _("A floor below 100 percent needs quiet hours.")
    if not all(_is_sound(hours) for hours in curve.off_peak):
        yield "off_peak", "range", _("Quiet hours have a start, another end, and weekdays.")


def _is_sound(hours: OffPeak) -> bool:
    minutes = (hours.start_minute, hours.end_minute)
    return (
        all(0 <= minute < _DAY_MINUTES for minute in minutes)
        and hours.start_minute != hours.end_minute
        and bool(hours.weekdays)
        and set(hours.weekdays) <= set(range(7))
    )


def _rest(draft: RateCardDraft, now: dt.datetime) -> Iterator[Fault]:
    if not 1 <= len(draft.note.strip()) <= NOTE_MAX:
        yield "note", "length", _("Say in up to 200 characters what is new, and why.")
    if draft.wanted_from is not None and not now <= draft.wanted_from <= now + AHEAD_MAX:
        yield "wanted_from", "range", _("A card comes into force within 90 days from now.")
