"""The controller of the price: bounded, monotone, calm, and back to normal afterwards."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.price_curve import decide, is_off_peak, pressure, replay
from tokens.price_types import (
    ORDINARY_BP,
    PRESSURE_MAX,
    Curve,
    CurveState,
    Load,
    OffPeak,
    PriceReason,
)

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
CURVE = Curve(
    floor_bp=8_000,
    cap_bp=25_000,
    off_peak=(OffPeak(start_minute=22 * 60, end_minute=6 * 60),),
)
IDLE = Load(oldest_wait_s=0, waiting_count=0, running_count=0)
FULL = Load(oldest_wait_s=3_600, waiting_count=900, running_count=4, utilisation_percent=100)

loads = st.builds(
    Load,
    oldest_wait_s=st.integers(0, 100_000),
    waiting_count=st.integers(0, 100_000),
    running_count=st.integers(0, 1_000),
    utilisation_percent=st.none() | st.integers(0, 100),
)
curves = st.builds(
    Curve,
    floor_bp=st.integers(10, 90).map(lambda percent: percent * 100),
    cap_bp=st.integers(110, 1_000).map(lambda percent: percent * 100),
    calm_wait_s=st.integers(0, 600),
    full_wait_s=st.integers(601, 7_200),
    smoothing_s=st.integers(1, 3_600),
    step_bp=st.sampled_from([100, 300, 500]),
    off_peak=st.lists(
        st.builds(OffPeak, st.integers(0, 1_439), st.integers(0, 1_439)), max_size=2
    ).map(tuple),
)
states = st.builds(CurveState, st.integers(0, PRESSURE_MAX), st.integers(1, 200_000))
moments = st.integers(0, 2 * 365 * 1_440).map(
    lambda minute: dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
)


def minutes(load: Load, count: int, *, start: dt.datetime = NOON):
    return [(start + dt.timedelta(minutes=number), load) for number in range(count)]


def multipliers(loads_of_minutes, curve: Curve = CURVE) -> list[int]:
    return [point.step.multiplier_bp for point in replay(loads=loads_of_minutes, curve=curve)]


@given(loads, curves, states, moments, st.integers(0, 10**6))
def test_the_price_stays_within_floor_and_cap(load, curve, state, at, elapsed_s):
    step = decide(load=load, curve=curve, state=state, at=at, elapsed_s=elapsed_s)
    assert curve.floor_bp <= step.multiplier_bp <= curve.cap_bp
    assert 0 <= step.pressure_ppm <= PRESSURE_MAX
    low, high = sorted([state.smoothed_ppm, step.pressure_ppm])
    assert low <= step.smoothed_ppm <= high


@given(loads, loads, curves, states, moments, st.integers(0, 10_000))
def test_more_load_never_costs_less(one, other, curve, state, at, elapsed_s):
    utilisations = [one.utilisation_percent, other.utilisation_percent]
    if None in utilisations:
        utilisations = [None, None]
    less = Load(
        min(one.oldest_wait_s, other.oldest_wait_s),
        min(one.waiting_count, other.waiting_count),
        one.running_count,
        None if None in utilisations else min(utilisations),
    )
    more = Load(
        max(one.oldest_wait_s, other.oldest_wait_s),
        max(one.waiting_count, other.waiting_count),
        one.running_count,
        None if None in utilisations else max(utilisations),
    )
    first, second = (
        decide(load=load, curve=curve, state=state, at=at, elapsed_s=elapsed_s)
        for load in (less, more)
    )
    assert first.pressure_ppm <= second.pressure_ppm
    assert first.smoothed_ppm <= second.smoothed_ppm
    assert first.multiplier_bp <= second.multiplier_bp


@given(st.lists(st.integers(-60, 60), min_size=50, max_size=120), st.integers(200, 700))
def test_noise_within_a_step_does_not_make_the_price_flap(noise, wait_s):
    """60 s of queue age are less than a step of this curve."""
    curve = Curve(cap_bp=15_000, calm_wait_s=60, full_wait_s=1_260, step_bp=500)
    settled = minutes(Load(wait_s, 0, 4, 0), 90)
    noisy = [
        (settled[-1][0] + dt.timedelta(minutes=number), Load(wait_s + wobble, 0, 4, 0))
        for number, wobble in enumerate(noise, start=1)
    ]
    after = multipliers(settled + noisy, curve)[len(settled) - 1 :]
    changes = [(a, b) for a, b in pairwise(after) if a != b]
    assert len({a < b for a, b in changes}) <= 1
    assert len(changes) <= 1


@given(loads, curves, moments)
def test_an_idle_platform_comes_back_to_its_ordinary_price(load, curve, at):
    curve = Curve(
        cap_bp=curve.cap_bp,
        calm_wait_s=curve.calm_wait_s,
        full_wait_s=curve.full_wait_s,
        smoothing_s=curve.smoothing_s,
        step_bp=curve.step_bp,
    )
    busy = minutes(load, 30, start=at)
    idle = minutes(IDLE, 60 * 24, start=busy[-1][0] + dt.timedelta(minutes=1))
    assert multipliers(busy + idle, curve)[-1] == ORDINARY_BP


def test_full_load_reaches_the_cap_step_by_step_and_says_so():
    points = list(replay(loads=minutes(FULL, 90), curve=CURVE))
    series = [point.step.multiplier_bp for point in points]
    assert series == sorted(series)
    assert max(b - a for a, b in pairwise(series)) < (CURVE.cap_bp - ORDINARY_BP) // 4
    assert (series[-1], points[-1].step.reason) == (CURVE.cap_bp, PriceReason.AT_CAP)
    assert points[10].step.reason is PriceReason.BUSY


def test_one_busy_sample_among_idle_ones_changes_nothing():
    blip = [*minutes(IDLE, 30), (NOON + dt.timedelta(minutes=30), Load(1, 1, 0))]
    assert set(multipliers(blip)) == {ORDINARY_BP}


def test_quiet_hours_are_cheaper_and_load_takes_that_back():
    night = NOON.replace(hour=23)
    idle = list(replay(loads=minutes(IDLE, 5, start=night), curve=CURVE))[-1].step
    assert (idle.multiplier_bp, idle.reason) == (8_000, PriceReason.OFF_PEAK)
    assert multipliers(minutes(FULL, 90, start=night))[-1] == CURVE.cap_bp


def test_a_flat_curve_never_moves():
    assert set(multipliers(minutes(FULL, 60), Curve())) == {ORDINARY_BP}


def test_pressure_comes_from_waiting_and_from_busy_processors():
    assert pressure(load=IDLE, curve=CURVE) == 0
    assert pressure(load=FULL, curve=CURVE) == PRESSURE_MAX
    busy = Load(oldest_wait_s=0, waiting_count=0, running_count=4, utilisation_percent=100)
    assert pressure(load=busy, curve=CURVE) == PRESSURE_MAX // 4
    unknown = Load(oldest_wait_s=900, waiting_count=3, running_count=1)
    assert pressure(load=unknown, curve=CURVE) == (3 * PRESSURE_MAX + 750_000) // 4


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Shanghai is eight hours ahead: Friday 23:30 and Saturday 01:00 there.
        (dt.datetime(2026, 3, 6, 15, 30, tzinfo=dt.UTC), True),
        (dt.datetime(2026, 3, 6, 17, 0, tzinfo=dt.UTC), True),
        # Saturday evening belongs to no window, and so does Sunday's small hours.
        (dt.datetime(2026, 3, 7, 15, 30, tzinfo=dt.UTC), False),
        (dt.datetime(2026, 3, 7, 17, 0, tzinfo=dt.UTC), False),
        (dt.datetime(2026, 3, 6, 4, 0, tzinfo=dt.UTC), False),
    ],
)
def test_quiet_hours_follow_the_local_clock_over_midnight(moment, expected):
    weekdays_only = OffPeak(22 * 60, 6 * 60, weekdays=(0, 1, 2, 3, 4))
    curve = Curve(floor_bp=5_000, time_zone="Asia/Shanghai", off_peak=(weekdays_only,))
    assert is_off_peak(curve=curve, at=moment) is expected


def test_quiet_hours_are_local_when_the_clocks_change():
    """In New York 23:30 is 04:30 UTC in winter and 03:30 UTC in summer."""
    curve = Curve(
        floor_bp=5_000,
        time_zone="America/New_York",
        off_peak=(OffPeak(23 * 60, 23 * 60 + 59),),
    )
    winter = dt.datetime(2026, 3, 8, 4, 30, tzinfo=dt.UTC)
    assert is_off_peak(curve=curve, at=winter)
    assert is_off_peak(curve=curve, at=dt.datetime(2026, 3, 9, 3, 30, tzinfo=dt.UTC))
    assert not is_off_peak(curve=curve, at=winter.replace(day=9))
