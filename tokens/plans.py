"""Plans as values, and the calendar of their periods. No database."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

MONTHS_OF_YEAR = 12


class Cadence(StrEnum):
    """When a plan gives tokens."""

    CLAIM = "CLAIM"
    DAILY = "DAILY"
    CYCLE = "CYCLE"


class Rollover(StrEnum):
    """What becomes of tokens that a period leaves unused."""

    NONE = "NONE"
    CAPPED = "CAPPED"
    FULL = "FULL"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a plan gives on a day.

    Attributes:
        tokens: whole tokens for each account and period, 1 or more.
        total_max: what all grants of a day may come to.
        valid_days: of daily tokens, whole days beside the rest of the first; 0 for ever.
        cycle_months: length of a period of the subscription.
        rollover: what becomes of the tokens that a period leaves unused.
        rollover_max: most tokens that a period passes on, where that is capped.
    """

    tokens: int
    total_max: int
    valid_days: int = 0
    cycle_months: int = 1
    rollover: Rollover = Rollover.NONE
    rollover_max: int = 0


@dataclass(frozen=True, slots=True)
class LocalDay:
    """A day somewhere: its date, its first moment, and the first moment after it."""

    date: dt.date
    starts_at: dt.datetime
    ends_at: dt.datetime


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The first moment of a day in UTC; where clocks skip midnight, the moment they do."""
    return dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC)


def local_day(moment: dt.datetime, zone: ZoneInfo) -> LocalDay:
    """The day that a moment lies in."""
    return day_of(moment.astimezone(zone).date(), zone)


def day_of(date: dt.date, zone: ZoneInfo) -> LocalDay:
    """A date as a day of a time zone."""
    return LocalDay(date, midnight(date, zone), midnight(date + dt.timedelta(days=1), zone))


def next_claimable(
    *, day: LocalDay, zone: ZoneInfo, claims: Iterable[tuple[dt.date, dt.datetime]]
) -> LocalDay:
    """The first day, ``day`` or later, that may still be claimed.

    No moment may lie in two claimed days, or moving from one time zone to another would be worth
    a day's tokens.

    Args:
        day: the day to begin with.
        zone: where its midnights are.
        claims: date and end of each claimed day that could overlap.
    """
    taken = list(claims)
    while any(date >= day.date or ends_at > day.starts_at for date, ends_at in taken):
        day = day_of(day.date + dt.timedelta(days=1), zone)
    return day


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day so many months later, or the last one of a month that is too short."""
    year, month = divmod(day.year * MONTHS_OF_YEAR + day.month - 1 + months, MONTHS_OF_YEAR)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last))


def cycle_of(*, anchor: dt.date, day: dt.date, months: int) -> tuple[dt.date, dt.date]:
    """The period of a subscription that a day lies in.

    Counted from the anchor and not from the period before: a subscription that began on the 31st
    is back on the 31st after February.

    Args:
        anchor: the first day of the subscription, ``day`` or earlier.
        day: the day.
        months: length of a period.

    Returns:
        The first day of the period, and that of the next.
    """
    passed = (day.year - anchor.year) * MONTHS_OF_YEAR + day.month - anchor.month
    begun = passed // months * months
    if add_months(anchor, begun) > day:
        begun -= months
    return add_months(anchor, begun), add_months(anchor, begun + months)
