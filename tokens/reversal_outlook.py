"""What is left of what a batch has granted, before somebody takes it back."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from tokens.drafts import TOP_ROWS

# A lot that was spent, has expired or was reversed has less left than it was granted.
LOTS = """
  FROM tokens_rechargeline l JOIN tokens_creditlot lot ON lot.id = l.lot_id
 WHERE l.batch_id = %(batch_id)s AND l.outcome = 'applied'
   AND (%(row_nos)s::integer[] IS NULL OR l.row_no = ANY (%(row_nos)s))
"""
TOTALS_SQL = f"""
SELECT count(*), coalesce(sum(lot.granted), 0), coalesce(sum(lot.available), 0),
       coalesce(sum(lot.held), 0)
{LOTS}
"""
USED_SQL = f"""
SELECT l.row_no, l.user_ref, lot.granted, lot.available, lot.held
{LOTS} AND lot.available < lot.granted
 ORDER BY lot.granted - lot.available DESC, l.row_no LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class UsedRow:
    """One row whose tokens are not all there any more."""

    row_no: int
    user_ref: str
    granted: int
    available: int
    held: int

    @property
    def gone(self) -> int:
        """Tokens that were spent, have expired or were taken back."""
        return self.granted - self.available - self.held


@dataclass(frozen=True, slots=True)
class ReversalOutlook:
    """The applied rows in question: what they granted and what is left of it."""

    rows: int
    granted: int
    available: int
    held: int
    used: tuple[UsedRow, ...]

    @property
    def gone(self) -> int:
        """Tokens that were spent, have expired or were taken back."""
        return self.granted - self.available - self.held


def reversal_outlook(
    *, batch_id: uuid.UUID, row_nos: Collection[int] | None = None
) -> ReversalOutlook:
    """Look at the lots of a batch, or of chosen rows; two statements whatever their number."""
    names = {
        "batch_id": batch_id,
        "row_nos": None if row_nos is None else sorted(row_nos),
        "limit": TOP_ROWS,
    }
    with connection.cursor() as cursor:
        cursor.execute(TOTALS_SQL, names)
        rows, granted, available, held = cursor.fetchone()
        cursor.execute(USED_SQL, names)
        used = tuple(UsedRow(*row) for row in cursor.fetchall())
    return ReversalOutlook(
        rows=rows, granted=int(granted), available=int(available), held=int(held), used=used
    )
