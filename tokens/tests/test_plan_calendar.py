"""Periods and days as values: month ends, leap days, clocks that change, zones that are moved."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.plans import add_months, cycle_of, day_of, local_day, next_claimable

DAYS = st.dates(dt.date(2019, 1, 1), dt.date(2040, 12, 31))
# Both ends of the world, half hours, and clocks that change at midnight or in the early morning.
ZONES = st.sampled_from(
    [
        "UTC",
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "America/Santiago",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
        "Pacific/Apia",
        "Etc/GMT+12",
    ]
)


@pytest.mark.parametrize(
    ("anchor", "months", "beginnings"),
    [
        ("2024-01-31", 1, "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31"),
        ("2023-01-30", 1, "2023-01-30 2023-02-28 2023-03-30"),
        ("2024-02-29", 12, "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        ("2024-11-30", 3, "2024-11-30 2025-02-28 2025-05-30"),
    ],
)
def test_periods_keep_their_day_where_the_month_has_it(anchor, months, beginnings):
    first = dt.date.fromisoformat(anchor)
    found = [first]
    while len(found) < len(beginnings.split()):
        found.append(cycle_of(anchor=first, day=found[-1], months=months)[1])
    assert [day.isoformat() for day in found] == beginnings.split()


@given(anchor=DAYS, after=st.integers(0, 8_000), months=st.sampled_from([1, 3, 12]))
def test_every_day_lies_in_one_period(anchor, after, months):
    day = anchor + dt.timedelta(days=after)
    begins, ends = cycle_of(anchor=anchor, day=day, months=months)
    assert anchor <= begins <= day < ends
    assert cycle_of(anchor=anchor, day=begins, months=months) == (begins, ends)
    if begins > anchor:
        before = begins - dt.timedelta(days=1)
        assert cycle_of(anchor=anchor, day=before, months=months)[1] == begins
    # What keeps periods apart in the database counts a month after the 28th as a whole one.
    assert add_months(begins, months) <= ends


@given(day=DAYS, zone=ZONES.map(ZoneInfo))
def test_days_follow_each_other_without_gap_or_overlap(day, zone):
    today, tomorrow = day_of(day, zone), day_of(day + dt.timedelta(days=1), zone)
    assert today.ends_at == tomorrow.starts_at
    # Samoa once had no 30 December at all.
    assert dt.timedelta() <= today.ends_at - today.starts_at <= dt.timedelta(hours=25)
    if today.starts_at < today.ends_at:
        assert local_day(today.starts_at, zone) == today
        assert local_day(today.ends_at - dt.timedelta(seconds=1), zone) == today


# Naive, as the strategy wants them; read as UTC.
MOMENTS = st.datetimes(*(dt.datetime(year, 1, 1) for year in (2020, 2035)))  # noqa: DTZ001
STEPS = st.lists(
    st.tuples(
        # From standing still to three days on, and back as clocks that are set right go.
        st.integers(-30 * 60, 72 * 60),
        ZONES,
    ),
    min_size=1,
    max_size=40,
)


@given(start=MOMENTS, steps=STEPS)
def test_no_moment_lies_in_two_claimed_days(start, steps):
    moment = start.replace(tzinfo=dt.UTC)
    claimed: list[tuple[dt.datetime, dt.datetime, dt.date]] = []
    for minutes, name in steps:
        moment += dt.timedelta(minutes=minutes)
        zone = ZoneInfo(name)
        today = local_day(moment, zone)
        near = [
            (date, ends_at)
            for _starts_at, ends_at, date in claimed
            if abs((date - today.date).days) <= 2
        ]
        day = next_claimable(day=today, zone=zone, claims=near)
        assert day.date - today.date <= dt.timedelta(days=4)
        if day == today:
            claimed.append((today.starts_at, today.ends_at, today.date))
        # Whoever claims at every chance is refused the second time.
        again = [*near, *([(today.date, today.ends_at)] if day == today else [])]
        assert next_claimable(day=today, zone=zone, claims=again) != today
    claimed.sort()
    for (_, ends_at, date), (starts_at, _, next_date) in pairwise(claimed):
        assert ends_at <= starts_at
        assert date < next_date


@given(
    zone=ZONES.map(ZoneInfo),
    start=MOMENTS,
)
def test_who_stays_in_one_zone_may_claim_every_day(zone, start):
    claims: list[tuple[dt.date, dt.datetime]] = []
    moment = start.replace(tzinfo=dt.UTC)
    for _ in range(5):
        today = local_day(moment, zone)
        assert next_claimable(day=today, zone=zone, claims=claims) == today
        claims.append((today.date, today.ends_at))
        moment = today.ends_at
