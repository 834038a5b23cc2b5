"""Values of promotions: states, windows, tiers. No database."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tokens.plans import add_months

# Claims keep the name of their rule for ever, so it is short and never changes.
NAME_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,23}"
CODE_PATTERN: Final = r"[A-Z0-9][A-Z0-9-]{5,31}"


class State(StrEnum):
    """Where a promotion stands."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    ENDED = "ENDED"


class WindowKind(StrEnum):
    """The length of time over which output is counted."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class Window:
    """The days from ``first`` on and before ``next_first``."""

    first: dt.date
    next_first: dt.date


def window_of(kind: WindowKind, day: dt.date) -> Window:
    """The window that a day lies in; weeks begin on Monday."""
    if kind is WindowKind.DAY:
        return Window(day, day + dt.timedelta(days=1))
    if kind is WindowKind.WEEK:
        first = day - dt.timedelta(days=day.weekday())
        return Window(first, first + dt.timedelta(days=7))
    first = day.replace(day=1)
    return Window(first, add_months(first, 1))


def ended_windows(kind: WindowKind, *, today: dt.date, back_days: int) -> list[Window]:
    """Windows that are over, oldest first.

    Those that ended today or within the last ``back_days`` days, and at least the last one.
    """
    windows = [window_of(kind, window_of(kind, today).first - dt.timedelta(days=1))]
    oldest = today - dt.timedelta(days=back_days)
    while True:
        before = window_of(kind, windows[-1].first - dt.timedelta(days=1))
        if before.next_first < oldest:
            return windows[::-1]
        windows.append(before)
