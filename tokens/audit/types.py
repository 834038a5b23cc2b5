"""What a check is and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

SAMPLE_SIZE = 20
COUNT_SQL = """
WITH offenders AS MATERIALIZED (:offenders)
SELECT (SELECT count(*) FROM offenders),
       ARRAY(SELECT o::text FROM offenders o(o) LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken check with at most SAMPLE_SIZE offenders."""

    name: str
    count: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invariant:
    """A statement without parameters that selects the id of every offender.

    ``code`` is the number in the list of invariants of ``docs/ledger.md``.
    """

    code: str
    name: str
    sql: str

    def run(self) -> Violation | None:
        """Count the offenders in the database, so that a million of them need no memory here."""
        with connection.cursor() as cursor:
            cursor.execute(COUNT_SQL.replace(":offenders", self.sql), [SAMPLE_SIZE])
            count, sample = cursor.fetchone()
        return Violation(self.name, count, tuple(sample)) if count else None


def found(name: str, offenders: list[str]) -> Violation | None:
    """The violation of a check that was made in Python; None when there is no offender."""
    if not offenders:
        return None
    return Violation(name, len(offenders), tuple(offenders[:SAMPLE_SIZE]))
