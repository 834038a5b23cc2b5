"""Staged rows that are of no use any more: their batch has ended and its lines are the record."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import connection

from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction

DUE = """
    SELECT c.batch_id, c.rows_count
      FROM tokens_rechargebatch b JOIN tokens_rechargechunk c ON c.batch_id = b.id
     WHERE b.finished_at <= clock_timestamp() - make_interval(days => %(keep_days)s)
       AND c.state = 'DONE'
"""
COUNT_SQL = f"""
SELECT count(DISTINCT batch_id), count(*), coalesce(sum(rows_count), 0) FROM ({DUE}) due
"""  # noqa: S608  # made of constants of this module
BATCHES_SQL = f"""
SELECT DISTINCT batch_id FROM ({DUE}) due ORDER BY batch_id LIMIT %(limit)s
"""  # noqa: S608  # made of constants of this module
# The trigger looks at every chunk again: batch ended for a week, chunk done, all lines there.
DELETE_SQL = """
WITH gone AS (
    DELETE FROM tokens_rechargechunk WHERE batch_id = %(batch_id)s RETURNING rows_count
)
SELECT count(*), coalesce(sum(rows_count), 0) FROM gone
"""


@dataclass(frozen=True, slots=True)
class StagedCount:
    """How much is staged, or was purged."""

    batches: int = 0
    chunks: int = 0
    rows: int = 0

    def __add__(self, other: StagedCount) -> StagedCount:
        return StagedCount(
            batches=self.batches + other.batches,
            chunks=self.chunks + other.chunks,
            rows=self.rows + other.rows,
        )


def count_due(*, keep_days: int) -> StagedCount:
    """What is staged of batches that ended ``keep_days`` days ago or earlier."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_SQL, {"keep_days": keep_days})
        batches, chunks, rows = cursor.fetchone()
    return StagedCount(batches=batches, chunks=chunks, rows=int(rows))


def due_batches(*, keep_days: int, limit: int) -> list[uuid.UUID]:
    """Some batches whose staged rows are due."""
    with connection.cursor() as cursor:
        cursor.execute(BATCHES_SQL, {"keep_days": keep_days, "limit": limit})
        return [batch_id for (batch_id,) in cursor.fetchall()]


def purge(*, batch_id: uuid.UUID) -> StagedCount:
    """Delete the staged rows of one batch and record it; joins the caller's transaction.

    The batch keeps the digest of its content, and its lines keep every row.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(DELETE_SQL, {"batch_id": batch_id})
        chunks, rows = cursor.fetchone()
    if not chunks:
        return StagedCount()
    count = StagedCount(batches=1, chunks=chunks, rows=int(rows))
    record_event(
        actor_id=None,
        action="recharge_batch.staged_rows_purged",
        subject=f"recharge_batch:{batch_id}",
        before={"chunks": count.chunks, "rows": count.rows},
        after={"chunks": 0, "rows": 0},
    )
    return count
