"""What stands in the way of closing a month, and where every month stands."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection

from tokens.models import MonthClose, ReconBreak, SnapshotDay

HAS_TRANSFERS_SQL = """
SELECT EXISTS (SELECT 1 FROM tokens_transfer WHERE effective_at >= %s AND effective_at < %s)
"""
MONTHS_SHOWN = 24


class Blocker(StrEnum):
    """Why a month cannot be closed now, in the order in which they are met."""

    NOT_ENDED = "not_ended"
    NOT_RECONCILED = "not_reconciled"
    PREVIOUS_OPEN = "previous_open"
    BREAKS_OPEN = "breaks_open"


@dataclass(frozen=True, slots=True)
class MonthStanding:
    """A month of the books: closed, or open with what stands in the way of closing it.

    Attributes:
        closed: the closing that holds; None while the month is open.
        can_reopen: whether it is closed and no later month is.
    """

    month: dt.date
    closed: MonthClose | None
    blockers: tuple[Blocker, ...]
    can_reopen: bool

    @property
    def can_close(self) -> bool:
        """Whether an administrator or finance may close it now."""
        return self.closed is None and not self.blockers


def bounds(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of a month in UTC, given by its first day, and that of the next."""
    first_moment = dt.time(tzinfo=dt.UTC)
    return (
        dt.datetime.combine(month, first_moment),
        dt.datetime.combine(month_after(month), first_moment),
    )


def month_after(month: dt.date) -> dt.date:
    """The first day of the next month."""
    return (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


def blockers(*, month: dt.date, now: dt.datetime) -> tuple[Blocker, ...]:
    """Everything that stands in the way of closing an open month, given by its first day."""
    _start, end = bounds(month)
    found = []
    if now < end:
        found.append(Blocker.NOT_ENDED)
    last_day = (end - dt.timedelta(days=1)).date()
    if not SnapshotDay.objects.filter(day__gte=last_day).exists():
        found.append(Blocker.NOT_RECONCILED)
    before = (month - dt.timedelta(days=1)).replace(day=1)
    is_open = not MonthClose.objects.filter(month=before, reopened_at__isnull=True).exists()
    if is_open and _has_transfers(before):
        found.append(Blocker.PREVIOUS_OPEN)
    if ReconBreak.objects.exclude(status=ReconBreak.Status.RESOLVED).exists():
        found.append(Blocker.BREAKS_OPEN)
    return tuple(found)


def month_standings(*, now: dt.datetime) -> list[MonthStanding]:
    """The months from the first that was added up to the current one, newest first."""
    this_month = now.astimezone(dt.UTC).date().replace(day=1)
    rows = MonthClose.objects.filter(reopened_at__isnull=True).select_related("closed_by")
    closed = {row.month: row for row in rows.order_by("-month")[:MONTHS_SHOWN]}
    first_day = SnapshotDay.objects.order_by("day").values_list("day", flat=True).first()
    oldest = min([this_month, *closed, *([first_day.replace(day=1)] if first_day else [])])
    newest_closed = max(closed, default=None)
    standings: list[MonthStanding] = []
    month = this_month
    while month >= oldest and len(standings) < MONTHS_SHOWN:
        row = closed.get(month)
        standings.append(
            MonthStanding(
                month=month,
                closed=row,
                blockers=() if row else blockers(month=month, now=now),
                can_reopen=row is not None and month == newest_closed,
            )
        )
        month = (month - dt.timedelta(days=1)).replace(day=1)
    return standings


def _has_transfers(month: dt.date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(HAS_TRANSFERS_SQL, bounds(month))
        return bool(cursor.fetchone()[0])
