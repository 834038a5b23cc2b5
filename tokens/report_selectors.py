"""Read queries on the reports: reconciliation by day and source, consumption, liability.

None of them reads the journal; what waits for its seal is not in them yet.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import InvalidCursorError
from tokens.models import Book, ConsumptionDay, Hold, RollupHead, SealBlock

OWED = ("WALLET", "HELD")
# The sweep runs every minute.
STALE_AFTER = dt.timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Up to which seal the reports go, and how many blocks wait to be added."""

    block: int
    folded_at: dt.datetime | None
    waiting_blocks: int


@dataclass(frozen=True, slots=True)
class SourceDay:
    """What is owed from one source on one day: opening + in - out = closing.

    ``moves`` names what came in and went out by kind of transfer, out below zero.
    """

    day: dt.date
    source: str
    opening: int
    credited: int
    debited: int
    closing: int
    moves: dict[str, int]


@dataclass(frozen=True, slots=True)
class Spent:
    """One line of the consumption report; what it does not go by is empty."""

    day: dt.date | None
    user_ref: str
    operation: str
    holds: int
    charged: int
    refunded: int

    @property
    def net(self) -> int:
        """What it cost for good."""
        return self.charged - self.refunded


@dataclass(frozen=True, slots=True)
class SpentFilter:
    """Which consumption: days (both included), perhaps of one account and one operation."""

    first: dt.date
    last: dt.date
    owner_id: int | None = None
    operation: str = ""


@dataclass(frozen=True, slots=True)
class MovedDay:
    """Tokens that were granted, spent for good and lost to expiry on one day."""

    day: dt.date
    granted: int
    spent: int
    expired: int


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Tokens that people can spend, that running work holds, and that expire soon."""

    available: int
    held: int
    expiring: int


@dataclass(frozen=True, slots=True)
class Expiring:
    """Tokens of one source that expire in the week from ``week``; None: never."""

    week: dt.date | None
    source: str
    available: int
    held: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.available + self.held


# Wallets and held tokens together are what is owed; a hold moves nothing between these two.
SOURCE_DAYS_SQL = """
SELECT day, source, kind,
       sum(tokens) FILTER (WHERE credit = ANY(%(owed)s) AND debit <> ALL(%(owed)s)),
       sum(tokens) FILTER (WHERE debit = ANY(%(owed)s) AND credit <> ALL(%(owed)s))
  FROM tokens_journalday
 WHERE book = %(book)s AND day BETWEEN %(first)s AND %(last)s
 GROUP BY day, source, kind
 ORDER BY day, source, kind
"""
OPENING_SQL = """
SELECT source,
       coalesce(sum(tokens) FILTER (WHERE credit = ANY(%(owed)s) AND debit <> ALL(%(owed)s)), 0)
       - coalesce(sum(tokens) FILTER (WHERE debit = ANY(%(owed)s) AND credit <> ALL(%(owed)s)), 0)
  FROM tokens_journalday WHERE book = %(book)s AND day < %(first)s GROUP BY source
"""
BY_OPERATION_SQL = """
SELECT operation,
       coalesce(sum(tokens) FILTER (WHERE kind <> 'REFUND'), 0),
       coalesce(sum(tokens) FILTER (WHERE kind = 'REFUND'), 0)
  FROM tokens_journalday
 WHERE book = 'LIVE' AND kind IN ('SETTLE', 'OVERRUN', 'REFUND')
   AND day BETWEEN %(first)s AND %(last)s
   AND (%(operation)s = '' OR operation = %(operation)s)
 GROUP BY operation ORDER BY operation
"""
BY_OPERATION_OF_OWNER_SQL = """
SELECT c.operation, sum(c.charged), sum(c.refunded)
  FROM tokens_consumptionday c
 WHERE c.wallet_id = (SELECT id FROM tokens_wallet WHERE owner_id = %(owner_id)s)
   AND c.day BETWEEN %(first)s AND %(last)s
   AND (%(operation)s = '' OR c.operation = %(operation)s)
 GROUP BY c.operation ORDER BY c.operation
"""
TOP_SQL = """
SELECT u.user_ref, top.charged, top.refunded, top.holds
  FROM (
       SELECT wallet_id, sum(charged) AS charged, sum(refunded) AS refunded,
              sum(holds_count) AS holds
         FROM tokens_consumptionday
        WHERE day BETWEEN %(first)s AND %(last)s AND book = 'LIVE'
        GROUP BY wallet_id
        ORDER BY sum(charged) - sum(refunded) DESC, wallet_id LIMIT %(limit)s
       ) top
  JOIN tokens_wallet w ON w.id = top.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
 ORDER BY top.charged - top.refunded DESC, u.user_ref
"""
MOVED_SQL = """
SELECT day,
       coalesce(sum(tokens) FILTER (WHERE kind = 'RECHARGE'), 0),
       coalesce(sum(CASE WHEN kind = 'REFUND' THEN -tokens ELSE tokens END)
                FILTER (WHERE kind IN ('SETTLE', 'OVERRUN', 'REFUND')), 0),
       coalesce(sum(tokens) FILTER (WHERE kind = 'EXPIRE'), 0)
  FROM tokens_journalday
 WHERE book = 'LIVE' AND day BETWEEN %(first)s AND %(last)s
 GROUP BY day ORDER BY day
"""
OUTSTANDING_SQL = """
SELECT coalesce(sum(available), 0), coalesce(sum(held), 0),
       coalesce(sum(available) FILTER (WHERE expires_on < %(until)s), 0)
  FROM tokens_liabilityday WHERE book = 'LIVE'
"""
EXPIRY_SQL = """
SELECT CASE WHEN expires_on IS NULL THEN NULL
            ELSE greatest(date_trunc('week', expires_on)::date, %(this_week)s) END AS week,
       source, sum(available), sum(held)
  FROM tokens_liabilityday WHERE book = %(book)s
 GROUP BY 1, 2 HAVING sum(available) <> 0 OR sum(held) <> 0
 ORDER BY 1 NULLS LAST, 2
"""


def freshness() -> Freshness:
    """How far the reports go."""
    head = RollupHead.objects.first()
    block = head.block if head else 0
    waiting = SealBlock.objects.filter(number__gt=block).count()
    return Freshness(block, head.folded_at if head else None, waiting)


def source_days(*, book: Book, first: dt.date, last: dt.date) -> list[SourceDay]:
    """What is owed by day and source, on days when it moved; days and sources in order."""
    parameters = {"owed": list(OWED), "book": book.value, "first": first, "last": last}
    closing = {source: int(opening) for source, opening in _fetch(OPENING_SQL, parameters)}
    lines: dict[tuple[dt.date, str], dict[str, tuple[int, int]]] = {}
    for day, source, kind, credited, debited in _fetch(SOURCE_DAYS_SQL, parameters):
        if credited or debited:
            lines.setdefault((day, source), {})[kind] = (int(credited or 0), int(debited or 0))
    days = []
    for (day, source), moves in lines.items():
        opening = closing.get(source, 0)
        credited = sum(came for came, _went in moves.values())
        debited = sum(went for _came, went in moves.values())
        closing[source] = opening + credited - debited
        net = {kind: came - went for kind, (came, went) in moves.items()}
        days.append(SourceDay(day, source, opening, credited, debited, closing[source], net))
    return days


def spent_by_operation(*, wanted: SpentFilter) -> list[Spent]:
    """The totals of the consumption report by operation, without the number of jobs."""
    statement = BY_OPERATION_SQL if wanted.owner_id is None else BY_OPERATION_OF_OWNER_SQL
    return [
        Spent(None, "", operation, 0, int(charged), int(refunded))
        for operation, charged, refunded in _fetch(statement, _parameters(wanted))
    ]


def spent(
    *, wanted: SpentFilter, limit: int, cursor: str | None = None
) -> tuple[list[Spent], str | None]:
    """Consumption by account, operation and day, newest day first; and the next page's cursor.

    Sandboxes are left out unless one is named: what they spend was never earned.

    Raises:
        InvalidCursorError: ``cursor`` was not one of ours.
    """
    rows = ConsumptionDay.objects.filter(day__range=(wanted.first, wanted.last))
    if wanted.owner_id is None:
        rows = rows.filter(book=Book.LIVE)
    else:
        rows = rows.filter(wallet__owner_id=wanted.owner_id)
    if wanted.operation:
        rows = rows.filter(operation=wanted.operation)
    if cursor is not None:
        # A row comparison, which the unique index answers; the ORM has none.
        rows = rows.extra(
            where=["(tokens_consumptionday.day, wallet_id, operation) < (%s, %s, %s)"],
            params=_decode(cursor),
        )
    page = list(
        rows.order_by("-day", "-wallet_id", "-operation").select_related("wallet__owner")[
            : limit + 1
        ]
    )
    next_cursor = _encode(page[limit - 1]) if len(page) > limit else None
    return [_spent(row) for row in page[:limit]], next_cursor


def top_accounts(*, first: dt.date, last: dt.date, limit: int) -> list[Spent]:
    """Who spent most, sandboxes left out."""
    parameters = {"first": first, "last": last, "limit": limit}
    return [
        Spent(None, user_ref, "", int(holds), int(charged), int(refunded))
        for user_ref, charged, refunded, holds in _fetch(TOP_SQL, parameters)
    ]


def moved_days(*, first: dt.date, last: dt.date) -> list[MovedDay]:
    """Granted, spent and expired tokens of every day of the range, sandboxes left out."""
    found = {
        day: MovedDay(day, int(granted), int(spent_for_good), int(expired))
        for day, granted, spent_for_good, expired in _fetch(
            MOVED_SQL, {"first": first, "last": last}
        )
    }
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    return [found.get(day, MovedDay(day, 0, 0, 0)) for day in days]


def outstanding(*, expiring_before: dt.date) -> Outstanding:
    """What is owed now, and how much of it expires before that day, sandboxes left out."""
    ((available, held, expiring),) = _fetch(OUTSTANDING_SQL, {"until": expiring_before})
    return Outstanding(int(available), int(held), int(expiring))


def stale_holds_count(*, now: dt.datetime) -> int:
    """Holds that the sweep should have released some minutes ago. One query over their index."""
    late = now - STALE_AFTER
    return Hold.objects.filter(status=Hold.Status.PENDING, expires_at__lt=late).count()


def expiry_forecast(*, book: Book, today: dt.date) -> list[Expiring]:
    """What is owed by the week in which it expires, if nobody spent it; weeks begin on Mondays.

    What has expired and waits for the sweep is in the current week.
    """
    this_week = today - dt.timedelta(days=today.weekday())
    parameters = {"book": book.value, "this_week": this_week}
    return [
        Expiring(week, source, int(available), int(held))
        for week, source, available, held in _fetch(EXPIRY_SQL, parameters)
    ]


def _parameters(wanted: SpentFilter) -> dict[str, Any]:
    return {
        "first": wanted.first,
        "last": wanted.last,
        "owner_id": wanted.owner_id,
        "operation": wanted.operation,
    }


def _spent(row: ConsumptionDay) -> Spent:
    return Spent(
        day=row.day,
        user_ref=row.wallet.owner.user_ref,
        operation=row.operation,
        holds=row.holds_count,
        charged=row.charged,
        refunded=row.refunded,
    )


def _encode(row: ConsumptionDay) -> str:
    place = f"{row.day.isoformat()} {row.wallet_id} {row.operation}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _decode(cursor: str) -> list[Any]:
    try:
        day, wallet_id, operation = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return [dt.date.fromisoformat(day), int(wallet_id), operation]
    except (ValueError, binascii.Error) as error:
        raise InvalidCursorError(
            _("The page cursor is not one of ours."), param="cursor"
        ) from error


def _fetch(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
