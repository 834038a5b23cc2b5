"""Claims of scheduled grants: who gets a rule's tokens for a day, each account once.

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
from accounts.types import Plan
from tokens.ledger.locks import require_transaction
from tokens.models import RechargeBatch, ScheduledGrant

READ_ROWS = 2_000
DAY_LOCK_SQL = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
# Stands for the SELECT of users that accounts provides.
USERS = "{users}"
DUE_SQL = f"""
  FROM ({USERS}) u
 WHERE NOT EXISTS (
       SELECT 1 FROM tokens_scheduledgrant g
        WHERE g.rule = %s AND g.period = %s AND g.owner_id = u.id
 )
"""  # noqa: S608  # made of constants of this module
CLAIM_SQL = f"""
INSERT INTO tokens_scheduledgrant (rule, period, batch_id, owner_id)
SELECT %s, %s, %s, u.id {DUE_SQL} ORDER BY u.id LIMIT %s
    ON CONFLICT DO NOTHING
"""
COUNT_DUE_SQL = f"SELECT count(*) {DUE_SQL}"
DUE_REFS_SQL = f"SELECT u.user_ref {DUE_SQL} ORDER BY u.id LIMIT %s"
# An account that is switched off after its claim keeps its line, which says so.
CLAIMED_REFS_SQL = f"""
SELECT u.user_ref
  FROM tokens_scheduledgrant g JOIN ({USERS}) u ON u.id = g.owner_id
 WHERE g.rule = %s AND g.period = %s AND g.batch_id = %s
 ORDER BY g.owner_id
"""  # noqa: S608  # made of constants of this module


@dataclass(frozen=True, slots=True)
class RuleDay:
    """One day of a rule, and whom it is for.

    ``ends_at`` is the first moment after the day: who joins later had no such day.
    """

    rule: ScheduledGrant.Rule
    day: dt.date
    plan: Plan
    ends_at: dt.datetime

    @property
    def key_scope(self) -> str:
        """What the batches of the day have in common."""
        return f"grant:{self.rule}:{self.day.isoformat()}"


def lock_day(rule_day: RuleDay) -> None:
    """Let the runs of a day follow each other, on whatever host they are.

    The unique constraint alone would keep an account from being granted twice; the lock keeps a
    second run from waiting at every row, and the day's total from being checked by two at once.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(DAY_LOCK_SQL, [rule_day.key_scope])


def claim(*, rule_day: RuleDay, batch_id: uuid.UUID, limit: int) -> int:
    """Claim the day for the accounts that have no claim on it, the oldest accounts first.

    Returns:
        How many accounts the batch is now for.
    """
    users_sql, users_parameters = _users(rule_day)
    day: list[Any] = [rule_day.rule, rule_day.day]
    with _whole_tables() as cursor:
        cursor.execute(
            CLAIM_SQL.replace(USERS, users_sql), [*day, batch_id, *users_parameters, *day, limit]
        )
        return int(cursor.rowcount)


def claimed_refs(*, rule_day: RuleDay, batch_id: uuid.UUID) -> Iterator[str]:
    """References of the accounts that a batch is for, streamed in the order of their age."""
    require_transaction()
    users_sql, users_parameters = accounts_selectors.every_user_sql()
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            CLAIMED_REFS_SQL.replace(USERS, users_sql),
            [*users_parameters, rule_day.rule, rule_day.day, batch_id],
        )
        yield from _first_column(cursor)


def due_refs(*, rule_day: RuleDay, limit: int) -> Iterator[str]:
    """References of the accounts that ``claim`` would choose now, streamed."""
    users_sql, users_parameters = _users(rule_day)
    with connection.chunked_cursor() as cursor:
        with _whole_tables():
            cursor.execute(
                DUE_REFS_SQL.replace(USERS, users_sql),
                [*users_parameters, rule_day.rule, rule_day.day, limit],
            )
        yield from _first_column(cursor)


def count_due(*, rule_day: RuleDay) -> int:
    """How many accounts have no claim on the day yet."""
    users_sql, users_parameters = _users(rule_day)
    with _whole_tables() as cursor:
        cursor.execute(
            COUNT_DUE_SQL.replace(USERS, users_sql),
            [*users_parameters, rule_day.rule, rule_day.day],
        )
        (count,) = cursor.fetchone()
    return int(count)


def day_tokens(*, rule_day: RuleDay) -> int:
    """Tokens of all batches of the day so far."""
    return int(_batches(rule_day).aggregate(total=Sum("tokens_requested", default=0))["total"])


def unfinished_batches(*, rule_day: RuleDay) -> list[uuid.UUID]:
    """Batches of the day that wait for a worker, or whose worker may be gone; the oldest first."""
    waiting = _batches(rule_day).filter(
        status__in=[RechargeBatch.Status.QUEUED, RechargeBatch.Status.APPLYING]
    )
    return list(waiting.order_by("created_at", "pk").values_list("pk", flat=True))


def _batches(rule_day: RuleDay) -> QuerySet[RechargeBatch]:
    return RechargeBatch.objects.filter(
        source=RechargeBatch.Source.SCHEDULE, key_scope=rule_day.key_scope
    )


def _users(rule_day: RuleDay) -> tuple[str, tuple[Any, ...]]:
    return accounts_selectors.plan_users_sql(plan=rule_day.plan, joined_before=rule_day.ends_at)


def _first_column(cursor: CursorWrapper) -> Iterator[str]:
    while rows := cursor.fetchmany(READ_ROWS):
        yield from (row[0] for row in rows)


@contextmanager
def _whole_tables() -> Iterator[CursorWrapper]:
    """A cursor for statements that look at all accounts and all claims of a day.

    Right after a large run the claims have no statistics yet, and the planner would compare each
    account with each claim, which takes half a minute for ten thousand of them.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
