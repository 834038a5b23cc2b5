"""Writes that no code of ours can make, taken back in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

GUARDS_SQL = """
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
  FROM pg_trigger
 WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'tokens%'
 UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
  FROM pg_constraint
 WHERE contype IN ('c', 'f') AND conrelid::regclass::text LIKE 'tokens%'
"""


@contextmanager
def corrupted(statement: str, *, is_guarded: bool = False) -> Iterator[None]:
    """Run ``statement`` past triggers, checks and foreign keys; all of it is rolled back."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            if not is_guarded:
                cursor.execute(GUARDS_SQL)
                for (guard,) in cursor.fetchall():
                    cursor.execute(guard)
            cursor.execute(statement)
        yield
        transaction.set_rollback(True)
