"""Reports on the books: balances at a moment, movements by day, consumption.

Business time (``effective``) is when a transfer counts, system time (``recorded``) is when it was
written; days and months are those of UTC. A balance at a moment is what the journal says: a lot
that has expired and waits for the sweep still counts, as it does in the books.
"""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection

from tokens.models import Account, MonthClose, SnapshotDay


class Basis(StrEnum):
    """Which of the two times of a transfer decides."""

    EFFECTIVE = "effective"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class WalletBalance:
    """A wallet as the books had it at a moment."""

    available: int
    held: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.available + self.held


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One account on one day: opening + in - out = closing."""

    day: dt.date
    account: str
    opening: int
    credited: int
    debited: int
    closing: int


@dataclass(frozen=True, slots=True)
class Consumption:
    """What one user's work of one kind cost on one day; ``net`` is charged less refunded."""

    day: dt.date
    user_ref: str
    operation: str
    charged: int
    refunded: int

    @property
    def net(self) -> int:
        """What it cost for good."""
        return self.charged - self.refunded


WALLET_AT_SQL = """
SELECT coalesce(sum(
         (t.credit = 'WALLET')::int * t.amount - (t.debit = 'WALLET')::int * t.amount), 0),
       coalesce(sum(
         (t.credit = 'HELD')::int * t.amount - (t.debit = 'HELD')::int * t.amount), 0)
  FROM tokens_transfer t
 WHERE t.wallet_id = (SELECT id FROM tokens_wallet WHERE owner_id = %(owner_id)s)
   AND t.:moment <= %(at)s
"""
# From the last figures that are known to be complete on, or from the beginning.
ACCOUNTS_AT_SQL = """
SELECT leg.account, sum(leg.amount)
  FROM tokens_transfer t
 CROSS JOIN LATERAL (VALUES (t.credit, t.amount), (t.debit, -t.amount)) AS leg(account, amount)
 WHERE t.:moment <= %(at)s AND (%(since)s::timestamptz IS NULL OR t.:moment >= %(since)s)
 GROUP BY leg.account
"""
SNAPSHOT_TOTALS_SQL = """
SELECT account, sum(closing) FROM (
       SELECT DISTINCT ON (wallet_id, account) account, closing
         FROM tokens_balancesnapshot WHERE day <= %(day)s
        ORDER BY wallet_id, account, day DESC
) latest GROUP BY account
"""
ACCOUNT_DAYS_SQL = """
SELECT day, account, closing - credited + debited, credited, debited, closing
  FROM (
       SELECT d.day, a.account,
              coalesce(m.credited, 0) AS credited, coalesce(m.debited, 0) AS debited,
              coalesce(sum(m.credited - m.debited)
                       OVER (PARTITION BY a.account ORDER BY d.day), 0) AS closing
         FROM tokens_snapshotday d
        CROSS JOIN unnest(%(accounts)s::text[]) AS a(account)
         LEFT JOIN (
              SELECT day, account, sum(credited) AS credited, sum(debited) AS debited
                FROM tokens_balancesnapshot GROUP BY day, account
         ) m ON m.day = d.day AND m.account = a.account
  ) figures
 WHERE day BETWEEN %(first)s AND %(last)s AND (closing <> 0 OR credited <> 0 OR debited <> 0)
 ORDER BY day, account
"""
CONSUMPTION_SQL = """
SELECT (t.:moment AT TIME ZONE 'UTC')::date AS day, u.user_ref, h.operation,
       coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('SETTLE', 'OVERRUN')), 0) AS charged,
       coalesce(sum(t.amount) FILTER (WHERE t.kind = 'REFUND'), 0) AS refunded
  FROM tokens_transfer t
  JOIN tokens_hold h ON h.id = t.hold_id
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
 WHERE t.kind IN ('SETTLE', 'OVERRUN', 'REFUND') AND t.:moment >= %(start)s AND t.:moment < %(end)s
   AND CASE WHEN %(owner_id)s::bigint IS NULL THEN u.sandbox_of_id IS NULL
            ELSE w.owner_id = %(owner_id)s END
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
"""


def timed(statement: str, basis: Basis) -> str:
    """The statement with the column of the wanted time in its place."""
    return statement.replace(":moment", f"{basis.value}_at")


def wallet_at(*, user_id: int, at: dt.datetime, basis: Basis) -> WalletBalance:
    """The user's wallet at a moment; zeros before it was first used."""
    rows = _fetch(timed(WALLET_AT_SQL, basis), {"owner_id": user_id, "at": at})
    return WalletBalance(available=int(rows[0][0]), held=int(rows[0][1]))


def accounts_at(*, at: dt.datetime, basis: Basis) -> dict[str, int]:
    """Every account's balance at a moment; system accounts that issue are negative.

    By system time it starts from the last snapshot before, by business time from the last closed
    month, so that only what came later is read from the journal. The sum is always 0.
    """
    balances, since = _known_before(at, basis)
    for account, amount in _fetch(timed(ACCOUNTS_AT_SQL, basis), {"at": at, "since": since}):
        balances[account] = balances.get(account, 0) + int(amount)
    return {account: balances.get(account, 0) for account in Account.values}


def account_days(*, first: dt.date, last: dt.date) -> list[AccountDay]:
    """Opening, in, out and closing of every account on the days that have snapshots."""
    parameters = {"first": first, "last": last, "accounts": Account.values}
    return [
        AccountDay(day, account, *map(int, figures))
        for day, account, *figures in _fetch(ACCOUNT_DAYS_SQL, parameters)
    ]


def consumption(
    *, first: dt.date, last: dt.date, basis: Basis, owner_id: int | None = None
) -> list[Consumption]:
    """What was spent by day, user and operation; of one user where ``owner_id`` is given.

    Without it, sandboxes are left out: what they spend was never earned.
    """
    parameters = {**day_range(first, last), "owner_id": owner_id}
    rows = _fetch(timed(CONSUMPTION_SQL, basis), parameters)
    return [
        Consumption(day, ref, op, int(charged), int(back)) for day, ref, op, charged, back in rows
    ]


def month_days(month: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day of the month that ``month`` lies in."""
    _weekday, days_count = calendar.monthrange(month.year, month.month)
    return month.replace(day=1), month.replace(day=days_count)


def day_range(first: dt.date, last: dt.date) -> dict[str, dt.datetime]:
    """The first moment of ``first`` and the one after ``last``, in UTC."""
    return {
        "start": dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC),
        "end": dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC),
    }


def _known_before(at: dt.datetime, basis: Basis) -> tuple[dict[str, int], dt.datetime | None]:
    """Balances that need not be added up again, and the moment up to which they count."""
    day = at.astimezone(dt.UTC).date()
    if basis is Basis.RECORDED:
        last = SnapshotDay.objects.filter(day__lt=day).order_by("-day").first()
        if last is None:
            return {}, None
        totals = _fetch(SNAPSHOT_TOTALS_SQL, {"day": last.day})
        since = day_range(last.day, last.day)["end"]
        return {account: int(total) for account, total in totals}, since
    closed = (
        MonthClose.objects.filter(
            reopened_at__isnull=True, totals__isnull=False, month__lt=day.replace(day=1)
        )
        .order_by("-month")
        .first()
    )
    if closed is None or closed.totals is None:
        return {}, None
    after = month_days(closed.month)[1] + dt.timedelta(days=1)
    balances = {account: int(figures["closing"]) for account, figures in closed.totals.items()}
    return balances, day_range(after, after)["start"]


def _fetch(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
