"""What an approver looks at before deciding: the extremes and the start of a batch, its faults.

While rows are staged they are read from the chunks, which are what will be applied; once they have
their lines, from those, which stay when the chunks are purged.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection

from tokens.models import RechargeLine

OUTLIERS_COUNT = 10
FIRST_ROWS_COUNT = 10
STAGED = """
    SELECT c.first_row + x.position - 1 AS row_no, e ->> 0 AS user_ref, (e ->> 1)::bigint AS amount,
           e ->> 3 AS category, e ->> 7 AS outcome
      FROM tokens_rechargechunk c
     CROSS JOIN jsonb_array_elements(c.payload) WITH ORDINALITY AS x(e, position)
     WHERE c.batch_id = %(batch_id)s AND c.state = 'PENDING'
"""
LINES = """
    SELECT row_no, user_ref, amount, category, outcome
      FROM tokens_rechargeline WHERE batch_id = %(batch_id)s
"""
OUTLIERS_SQL = f"""
(SELECT * FROM ({STAGED}) staged ORDER BY amount DESC, row_no LIMIT %(limit)s)
 UNION ALL
(SELECT * FROM ({LINES}) lines ORDER BY amount DESC, row_no LIMIT %(limit)s)
 ORDER BY amount DESC, row_no LIMIT %(limit)s
"""  # noqa: S608  # made of constants of this module
FIRST_ROWS_SQL = f"""
(SELECT * FROM ({STAGED} AND c.first_row <= %(limit)s) staged ORDER BY row_no LIMIT %(limit)s)
 UNION ALL
(SELECT * FROM ({LINES}) lines ORDER BY row_no LIMIT %(limit)s)
 ORDER BY row_no LIMIT %(limit)s
"""  # noqa: S608  # made of constants of this module
FAULTS_SQL = f"""
SELECT outcome, count(*) FROM (
       SELECT outcome FROM ({STAGED}) staged WHERE outcome <> ''
        UNION ALL
       SELECT outcome FROM ({LINES}) lines WHERE outcome <> 'applied'
) faults GROUP BY outcome ORDER BY 2 DESC, 1
"""  # noqa: S608  # made of constants of this module


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One row as it was sent; ``outcome`` is empty while it is not judged."""

    row_no: int
    user_ref: str
    amount: int
    category: str
    outcome: str

    @property
    def outcome_text(self) -> str:
        """The outcome in words."""
        return str(RechargeLine.Outcome(self.outcome).label) if self.outcome else ""


@dataclass(frozen=True, slots=True)
class FaultCount:
    """How many rows failed, or will fail, with one code."""

    code: str
    rows_count: int

    @property
    def text(self) -> str:
        """The code in words."""
        return str(RechargeLine.Outcome(self.code).label)


@dataclass(frozen=True, slots=True)
class BatchReview:
    """The largest rows, the first rows, and the faults known so far."""

    outliers: tuple[ReviewRow, ...]
    first_rows: tuple[ReviewRow, ...]
    faults: tuple[FaultCount, ...]

    @property
    def has_outcomes(self) -> bool:
        """Whether any row shown is known to fail, or was judged."""
        return any(row.outcome for row in (*self.outliers, *self.first_rows))


def review(*, batch_id: uuid.UUID) -> BatchReview:
    """Look at the rows of a batch; three statements, whatever their number.

    Before a batch is judged, only rows that could not be read are known to fail.
    """
    return BatchReview(
        outliers=_rows(OUTLIERS_SQL, batch_id, limit=OUTLIERS_COUNT),
        first_rows=_rows(FIRST_ROWS_SQL, batch_id, limit=FIRST_ROWS_COUNT),
        faults=tuple(
            FaultCount(code, count) for code, count in _fetch(FAULTS_SQL, {"batch_id": batch_id})
        ),
    )


def _rows(statement: str, batch_id: uuid.UUID, *, limit: int) -> tuple[ReviewRow, ...]:
    rows = _fetch(statement, {"batch_id": batch_id, "limit": limit})
    return tuple(ReviewRow(*row) for row in rows)


def _fetch(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
