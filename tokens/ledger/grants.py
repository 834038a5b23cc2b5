"""Claims of scheduled grants: who gets a rule's tokens for a period, each account once.

All functions join the caller's transaction, which also writes the batch that the claims name.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet, Sum

from accounts import selectors as accounts_selectors
from tokens.grants import DueAccounts
from tokens.ledger.locks import require_transaction
from tokens.models import RechargeBatch, ScheduledGrant

READ_ROWS = 2_000
LOCK_SQL = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
# Stand for SELECTs that others provide.
DUE, USERS = "{due}", "{users}"
SAME_PERIOD = "g.period = d.period"
# Where an account's periods can move, none may begin within another one.
OVERLAPPING_PERIOD = """
       (g.period = d.period
        OR ((g.period + make_interval(months => %(months)s)) > d.period
            AND (d.period + make_interval(months => %(months)s)) > g.period))
"""
UNCLAIMED = "{unclaimed}"
DUE_SQL = f"""
  FROM ({DUE}) d
 WHERE NOT EXISTS (
       SELECT 1 FROM tokens_scheduledgrant g
        WHERE g.rule = %(rule)s AND g.owner_id = d.id AND {UNCLAIMED}
 )
"""  # noqa: S608  # made of constants of this module
CLAIM_SQL = f"""
WITH claimed AS (
INSERT INTO tokens_scheduledgrant (rule, batch_id, owner_id, period, amount, expires_at)
SELECT %(rule)s, %(batch_id)s, d.id, d.period, d.amount, d.expires_at {DUE_SQL}
 ORDER BY d.id LIMIT %(limit)s
    ON CONFLICT DO NOTHING
RETURNING period, amount
)
SELECT count(*), coalesce(sum(amount), 0), min(period), max(period) FROM claimed
"""  # noqa: S608  # made of constants of this module
COUNT_DUE_SQL = f"""
SELECT count(*), coalesce(sum(chosen.amount), 0)
  FROM (SELECT d.amount {DUE_SQL} ORDER BY d.id LIMIT %(limit)s) chosen
"""  # noqa: S608  # made of constants of this module
DUE_ROWS_SQL = f"""
SELECT d.user_ref, d.amount, d.expires_at {DUE_SQL} ORDER BY d.id LIMIT %(limit)s
"""
# An account that is switched off after its claim keeps its line, which says so.
CLAIMED_SQL = f"""
SELECT u.user_ref, g.amount, g.expires_at
  FROM tokens_scheduledgrant g JOIN ({USERS}) u ON u.id = g.owner_id
 WHERE g.rule = %(rule)s AND g.period BETWEEN %(first)s AND %(last)s AND g.batch_id = %(batch_id)s
 ORDER BY g.owner_id
"""  # noqa: S608  # made of constants of this module


@dataclass(frozen=True, slots=True)
class RulePeriod:
    """One run's worth of a rule.

    Attributes:
        rule: what claims are told apart by.
        name: of the day or period, what the batches of a rule are told apart by.
        due: whom it is for.
        months_apart: an account's periods begin at least so many months after each other; 0 where
            periods are the same for all accounts.
    """

    rule: str
    name: str
    due: DueAccounts
    months_apart: int = 0

    @property
    def key_scope(self) -> str:
        """What the batches of the period have in common."""
        return f"grant:{self.rule}:{self.name}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a statement has claimed: accounts, tokens, and the first and last of their periods."""

    accounts: int
    tokens: int
    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True, slots=True)
class Row:
    """What one account gets."""

    user_ref: str
    amount: int
    expires_at: dt.datetime | None


def lock(name: str) -> None:
    """Let runs follow each other, on whatever host they are.

    The unique constraint alone would keep an account from being granted twice; the lock keeps a
    second run from waiting at every row, and a total from being checked by two at once.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SQL, [name])


def claim(*, period: RulePeriod, batch_id: uuid.UUID, limit: int) -> Claimed:
    """Claim the period for the accounts that have no claim on it, the oldest accounts first."""
    with _whole_tables() as cursor:
        cursor.execute(*_statement(CLAIM_SQL, period, batch_id=batch_id, limit=limit))
        accounts, tokens, first, last = cursor.fetchone()
    return Claimed(accounts, int(tokens), first, last)


def claimed_rows(*, period: RulePeriod, claimed: Claimed, batch_id: uuid.UUID) -> Iterator[Row]:
    """What the accounts of a batch get, streamed in the order of their age."""
    require_transaction()
    users_sql, users_parameters = accounts_selectors.every_user_sql()
    assert not users_parameters, "every user means no condition"
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            CLAIMED_SQL.replace(USERS, users_sql),
            {
                "rule": period.rule,
                "first": claimed.first,
                "last": claimed.last,
                "batch_id": batch_id,
            },
        )
        yield from _rows(cursor)


def due_rows(*, period: RulePeriod, limit: int) -> Iterator[Row]:
    """What the accounts that ``claim`` would choose now would get, streamed."""
    with connection.chunked_cursor() as cursor:
        with _whole_tables():
            cursor.execute(*_statement(DUE_ROWS_SQL, period, limit=limit))
        yield from _rows(cursor)


def count_due(*, period: RulePeriod, limit: int | None) -> tuple[int, int]:
    """How many accounts have no claim on the period yet, up to a limit, and their tokens."""
    with _whole_tables() as cursor:
        cursor.execute(*_statement(COUNT_DUE_SQL, period, limit=limit))
        accounts, tokens = cursor.fetchone()
    return int(accounts), int(tokens)


def period_tokens(*, period: RulePeriod) -> int:
    """Tokens of all batches of the period so far."""
    return int(_batches(period).aggregate(total=Sum("tokens_requested", default=0))["total"])


def unfinished_batches(*, period: RulePeriod) -> list[uuid.UUID]:
    """Batches of the period that wait for a worker, or whose worker may be gone; oldest first."""
    waiting = _batches(period).filter(
        status__in=[RechargeBatch.Status.QUEUED, RechargeBatch.Status.APPLYING]
    )
    return list(waiting.order_by("created_at", "pk").values_list("pk", flat=True))


def claims_near(*, rule: str, owner_id: int, day: dt.date) -> list[tuple[dt.date, dt.datetime]]:
    """Date and end of an account's claims within two days of a date, whatever their time zone."""
    # Dates, not a range: each is one look into the unique index.
    near = [day + dt.timedelta(days=days) for days in range(-2, 3)]
    claims = ScheduledGrant.objects.filter(rule=rule, owner_id=owner_id, period__in=near)
    return [
        (period, ends_at)
        for period, ends_at in claims.values_list("period", "expires_at")
        if ends_at is not None
    ]


def missed_days(*, rule: str, days: list[dt.date]) -> list[dt.date]:
    """Those days that nobody was granted for, although the rule had begun before."""
    missed = []
    claims = ScheduledGrant.objects.filter(rule=rule)
    for day in days:
        if claims.filter(period=day).exists():
            continue
        if claims.filter(period__lt=day).exists():
            missed.append(day)
    return missed


def _batches(period: RulePeriod) -> QuerySet[RechargeBatch]:
    return RechargeBatch.objects.filter(
        source=RechargeBatch.Source.SCHEDULE, key_scope=period.key_scope
    )


def _statement(sql: str, period: RulePeriod, **parameters: Any) -> tuple[str, dict[str, Any]]:
    """A statement with the period's SELECT in it, and the parameters of both."""
    unclaimed = OVERLAPPING_PERIOD if period.months_apart else SAME_PERIOD
    statement = sql.replace(DUE, period.due.sql).replace(UNCLAIMED, unclaimed)
    return statement, {
        **period.due.parameters,
        "rule": period.rule,
        "months": period.months_apart,
        **parameters,
    }


def _rows(cursor: CursorWrapper) -> Iterator[Row]:
    while rows := cursor.fetchmany(READ_ROWS):
        yield from (Row(*row) for row in rows)


@contextmanager
def _whole_tables() -> Iterator[CursorWrapper]:
    """A cursor for statements that look at all accounts and all claims of a period.

    Right after a large run the claims have no statistics yet, and the planner would compare each
    account with each claim, which takes half a minute for ten thousand of them.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
