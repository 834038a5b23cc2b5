"""Daily snapshots: opening + in - out = closing, per day and account.

A day is a day of system time in UTC. It is added up once it is complete: it has ended, and so has
every transaction that was writing when it ended, because ``recorded_at`` is the start of the
statement and its row may be committed much later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from tokens.ledger.locks import require_transaction
from tokens.models import SnapshotDay

LOCK_KEY = 7_331_002
# Sessions of other database roles show nothing of themselves: the application uses one role.
OPEN_WRITERS_SQL = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND ((backend_xid IS NOT NULL AND xact_start < %(end)s)
        OR (backend_xid IS NULL AND state = 'active' AND backend_xmin IS NOT NULL
            AND query_start < %(end)s))
"""
FIRST_DAY_SQL = "SELECT (min(recorded_at) AT TIME ZONE 'UTC')::date FROM tokens_transfer"
ADD_DAY_SQL = """
INSERT INTO tokens_snapshotday (day, transfers_count, tokens_total)
SELECT %(day)s, count(*), coalesce(sum(amount), 0)
  FROM tokens_transfer WHERE recorded_at >= %(start)s AND recorded_at < %(end)s
"""
# The opening is the last closing before, found through the unique index; none means 0.
ADD_BALANCES_SQL = """
INSERT INTO tokens_balancesnapshot
       (day, account, wallet_id, opening, credited, debited, closing)
SELECT %(day)s, moved.account, moved.wallet_id, before.closing, moved.credited, moved.debited,
       before.closing + moved.credited - moved.debited
  FROM (
       SELECT leg.account,
              CASE WHEN leg.account IN ('WALLET', 'HELD') THEN t.wallet_id END AS wallet_id,
              sum(leg.credited) AS credited, sum(leg.debited) AS debited
         FROM tokens_transfer t
        CROSS JOIN LATERAL (VALUES (t.credit, t.amount, 0::bigint), (t.debit, 0::bigint, t.amount))
              AS leg(account, credited, debited)
        WHERE t.recorded_at >= %(start)s AND t.recorded_at < %(end)s
        GROUP BY 1, 2
       ) moved
 CROSS JOIN LATERAL (
       SELECT coalesce(
              (SELECT s.closing FROM tokens_balancesnapshot s
                WHERE s.wallet_id = moved.wallet_id AND s.account = moved.account
                ORDER BY s.day DESC LIMIT 1),
              (SELECT s.closing FROM tokens_balancesnapshot s
                WHERE moved.wallet_id IS NULL
                  AND s.wallet_id IS NULL AND s.account = moved.account
                ORDER BY s.day DESC LIMIT 1),
              0) AS closing
       ) before
"""


@dataclass(frozen=True, slots=True)
class SnapshotCount:
    """Days that were added up; ``waits_for`` is a day that has ended but is still written to."""

    days: tuple[dt.date, ...]
    balances: int
    waits_for: dt.date | None


def due_days(*, now: dt.datetime) -> list[dt.date]:
    """Days that have ended and have no snapshot, oldest first; none while the journal is empty."""
    last = SnapshotDay.objects.order_by("-day").values_list("day", flat=True).first()
    if last is None:
        with connection.cursor() as cursor:
            cursor.execute(FIRST_DAY_SQL)
            (first,) = cursor.fetchone()
        if first is None:
            return []
    else:
        first = last + dt.timedelta(days=1)
    today = now.astimezone(dt.UTC).date()
    return [first + dt.timedelta(days=n) for n in range(max(0, (today - first).days))]


def take_due(
    *, now: dt.datetime, progress: Callable[[dt.date], None] | None = None
) -> SnapshotCount:
    """Add up every due day, each in a transaction of its own; stop at one that is not complete."""
    days: list[dt.date] = []
    balances = 0
    for day in due_days(now=now):
        with transaction.atomic(durable=True):
            count = _take(day)
        if count is None:
            return SnapshotCount(tuple(days), balances, waits_for=day)
        days.append(day)
        balances += count
        if progress is not None:
            progress(day)
    return SnapshotCount(tuple(days), balances, waits_for=None)


def day_bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of the day in UTC, and that of the next."""
    start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    return start, start + dt.timedelta(days=1)


def _take(day: dt.date) -> int | None:
    """Rows written for the day; None when it is still written to."""
    require_transaction()
    start, end = day_bounds(day)
    parameters: dict[str, Any] = {"day": day, "start": start, "end": end}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        if SnapshotDay.objects.filter(day__gte=day).exists():
            return 0
        cursor.execute(OPEN_WRITERS_SQL, parameters)
        (writers,) = cursor.fetchone()
        if writers:
            return None
        cursor.execute(ADD_DAY_SQL, parameters)
        cursor.execute(ADD_BALANCES_SQL, parameters)
        return int(cursor.rowcount)
