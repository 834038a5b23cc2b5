"""What stands in the way of closing a month, and where every month stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection

from tokens.models import MonthClose, ReconBreak, SnapshotDay

# Materialised, so that it is planned for all rows of a month, by the block ranges of the index;
# planned for the first row alone, it would read the journal from its beginning. One row is fetched.
WITH_TRANSFERS_SQL = """
SELECT m.month FROM unnest(%(months)s::date[]) AS m(month)
 CROSS JOIN LATERAL (
       WITH entries AS MATERIALIZED (
           SELECT 1 FROM tokens_transfer
            WHERE effective_at >= m.month::timestamp AT TIME ZONE 'UTC'
              AND effective_at < (m.month + interval '1 month') AT TIME ZONE 'UTC'
       )
       SELECT EXISTS (SELECT 1 FROM entries) AS is_used
       ) found
 WHERE found.is_used
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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What decides whether months can be closed; ``used`` are months with transfers."""

    closed: dict[dt.date, MonthClose]
    last_snapshot: dt.date | None
    used: frozenset[dt.date]
    has_breaks: bool


def bounds(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of a month in UTC, given by its first day, and that of the next."""
    first_moment = dt.time(tzinfo=dt.UTC)
    return (
        dt.datetime.combine(month, first_moment),
        dt.datetime.combine(month_after(month), first_moment),
    )


def month_before(month: dt.date) -> dt.date:
    """The first day of the month before."""
    return (month - dt.timedelta(days=1)).replace(day=1)


def month_after(month: dt.date) -> dt.date:
    """The first day of the next month."""
    return (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


def blockers(*, month: dt.date, now: dt.datetime) -> tuple[Blocker, ...]:
    """Everything that stands in the way of closing an open month, given by its first day."""
    return _blockers(month, now=now, facts=_facts([month]))


def month_standings(*, now: dt.datetime) -> list[MonthStanding]:
    """The months from the first that was added up to the current one, newest first."""
    this_month = now.astimezone(dt.UTC).date().replace(day=1)
    first_day = SnapshotDay.objects.order_by("day").values_list("day", flat=True).first()
    oldest = min(this_month, (first_day or this_month).replace(day=1))
    months = [this_month]
    while months[-1] > oldest and len(months) < MONTHS_SHOWN:
        months.append(month_before(months[-1]))
    facts = _facts(months)
    newest_closed = max(facts.closed, default=None)
    return [
        MonthStanding(
            month=month,
            closed=facts.closed.get(month),
            blockers=() if month in facts.closed else _blockers(month, now=now, facts=facts),
            can_reopen=month == newest_closed,
        )
        for month in months
    ]


def _facts(months: Sequence[dt.date]) -> _Facts:
    """What decides about these months. Four queries."""
    rows = MonthClose.objects.filter(reopened_at__isnull=True).select_related("closed_by")
    before = [month_before(month) for month in months]
    with connection.cursor() as cursor:
        cursor.execute(WITH_TRANSFERS_SQL, {"months": before})
        used = frozenset(month for (month,) in cursor.fetchall())
    return _Facts(
        closed={row.month: row for row in rows},
        last_snapshot=SnapshotDay.objects.order_by("-day").values_list("day", flat=True).first(),
        used=used,
        has_breaks=ReconBreak.objects.exclude(status=ReconBreak.Status.RESOLVED).exists(),
    )


def _blockers(month: dt.date, *, now: dt.datetime, facts: _Facts) -> tuple[Blocker, ...]:
    _start, end = bounds(month)
    last_day = (end - dt.timedelta(days=1)).date()
    before = month_before(month)
    found = []
    if now < end:
        found.append(Blocker.NOT_ENDED)
    if facts.last_snapshot is None or facts.last_snapshot < last_day:
        found.append(Blocker.NOT_RECONCILED)
    if before in facts.used and before not in facts.closed:
        found.append(Blocker.PREVIOUS_OPEN)
    if facts.has_breaks:
        found.append(Blocker.BREAKS_OPEN)
    return tuple(found)
