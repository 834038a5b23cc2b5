"""The controller of the price: from the load of the platform to the multiplier of all prices.

Pure arithmetic of whole numbers. Each decision follows from the load, the time and the decision
before it, so a week is replayed exactly. See ADR 21 for why it is built like this.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from tokens.price_types import (
    ORDINARY_BP,
    PRESSURE_MAX,
    Curve,
    CurveState,
    CurveStep,
    Load,
    OffPeak,
    PricePoint,
    PriceReason,
)

# Processors that are busy up to here are what they are there for.
_CALM_UTILISATION_PERCENT: Final = 70
# Waiting is what customers feel, so it counts three times as much as busy processors.
_WAIT_WEIGHT: Final = 3
_BUSY_WEIGHT: Final = 1
# People are shown whole percents, so nothing between them is charged.
_PERCENT_BP: Final = 100
# A gap in the measurements is no reason to believe in one of them more than in an hour of others.
_ELAPSED_MAX_S: Final = 3_600


def decide(
    *, load: Load, curve: Curve, state: CurveState, at: dt.datetime, elapsed_s: int
) -> CurveStep:
    """The multiplier after ``elapsed_s`` seconds with this load.

    Args:
        load: what was measured.
        curve: how prices follow it.
        state: what the decision before left.
        at: the moment, aware of its time zone; decides about quiet hours.
        elapsed_s: whole seconds since the decision before.
    """
    pressed = pressure(load=load, curve=curve)
    smoothed = _smoothed(
        state.smoothed_ppm, pressed, elapsed_s=elapsed_s, smoothing_s=curve.smoothing_s
    )
    base_bp = curve.floor_bp if is_off_peak(curve=curve, at=at) else ORDINARY_BP
    target_bp = base_bp + (curve.cap_bp - base_bp) * smoothed // PRESSURE_MAX
    target_bp = (target_bp + _PERCENT_BP // 2) // _PERCENT_BP * _PERCENT_BP
    multiplier_bp = _published(state.multiplier_bp, target_bp, base_bp=base_bp, curve=curve)
    return CurveStep(
        pressure_ppm=pressed,
        smoothed_ppm=smoothed,
        target_bp=target_bp,
        multiplier_bp=multiplier_bp,
        reason=reason_of(multiplier_bp, curve=curve),
    )


def replay(*, loads: Iterable[tuple[dt.datetime, Load]], curve: Curve) -> Iterator[PricePoint]:
    """What the price would have been with these loads, in the order of their moments."""
    state = CurveState()
    before: dt.datetime | None = None
    for at, load in loads:
        elapsed_s = 0 if before is None else int((at - before).total_seconds())
        step = decide(load=load, curve=curve, state=state, at=at, elapsed_s=elapsed_s)
        yield PricePoint(at=at, load=load, step=step)
        state, before = step.state, at


def pressure(*, load: Load, curve: Curve) -> int:
    """How hard the load presses, 0..1,000,000; it never falls when there is more of anything.

    Where nobody reports how busy processors are, the share of work that waits stands in for it;
    but not before somebody waits long, or one job between two samples would be full pressure.
    """
    waited = _ramp(load.oldest_wait_s, low=curve.calm_wait_s, high=curve.full_wait_s)
    if load.utilisation_percent is not None:
        busy = _ramp(load.utilisation_percent, low=_CALM_UTILISATION_PERCENT, high=100)
    elif load.waiting_count and load.oldest_wait_s > curve.calm_wait_s:
        accepted = load.waiting_count + load.running_count
        busy = PRESSURE_MAX * load.waiting_count // accepted
    else:
        busy = 0
    return (_WAIT_WEIGHT * waited + _BUSY_WEIGHT * busy) // (_WAIT_WEIGHT + _BUSY_WEIGHT)


def is_off_peak(*, curve: Curve, at: dt.datetime) -> bool:
    """Whether quiet hours are on, by the local clock; hours that a clock change skips are short."""
    local = at.astimezone(ZoneInfo(curve.time_zone))
    minute, today = local.hour * 60 + local.minute, local.weekday()
    return any(_covers(hours, weekday=today, minute=minute) for hours in curve.off_peak)


def _covers(hours: OffPeak, *, weekday: int, minute: int) -> bool:
    if hours.start_minute < hours.end_minute:
        return weekday in hours.weekdays and hours.start_minute <= minute < hours.end_minute
    is_first_day = weekday in hours.weekdays and minute >= hours.start_minute
    is_second_day = (weekday - 1) % 7 in hours.weekdays and minute < hours.end_minute
    return is_first_day or is_second_day


def reason_of(multiplier_bp: int, *, curve: Curve) -> PriceReason:
    """Why a price that follows the curve is what it is."""
    if multiplier_bp < ORDINARY_BP:
        return PriceReason.OFF_PEAK
    if multiplier_bp == ORDINARY_BP:
        return PriceReason.ORDINARY
    return PriceReason.AT_CAP if multiplier_bp >= curve.cap_bp else PriceReason.BUSY


def _ramp(value: int, *, low: int, high: int) -> int:
    """0 up to ``low``, full pressure from ``high`` on, straight between them."""
    return min(max(value - low, 0) * PRESSURE_MAX // (high - low), PRESSURE_MAX)


def _smoothed(before: int, pressed: int, *, elapsed_s: int, smoothing_s: int) -> int:
    """The average follows faster the more time has passed; never beyond what it follows.

    Rounding down lets it come all the way back to an idle platform.
    """
    elapsed_s = min(max(elapsed_s, 0), _ELAPSED_MAX_S)
    if not elapsed_s:
        return before
    return before + (pressed - before) * elapsed_s // (elapsed_s + smoothing_s)


def _published(before_bp: int, target_bp: int, *, base_bp: int, curve: Curve) -> int:
    """The new multiplier: as before unless the way is long, or leads to an end of the range.

    The ends are always reached: without them a price could stay a little too high for ever.
    """
    before_bp = min(max(before_bp, curve.floor_bp), curve.cap_bp)
    is_far = abs(target_bp - before_bp) >= curve.step_bp
    return target_bp if is_far or target_bp in {base_bp, curve.cap_bp} else before_bp
