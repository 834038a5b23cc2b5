"""Statements of the hot path, prepared by the server once per connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import psycopg
from django.db import connection


class _PreparedCursor(psycopg.Cursor[Any]):
    """Sends values beside the statement; Django's own cursor writes them into its text."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> _PreparedCursor:
        return super().execute(query, params, prepare=True, **options)


def fetch_row(statement: str, parameters: Sequence[Any]) -> Any:
    """Execute a statement of constant text and return its first row.

    A charge is two short statements, and parsing them, planning them and writing their values into
    text cost about as much as what they do. Joins the caller's transaction, or is one.

    Args:
        statement: the same text each time.
        parameters: of the same types each time: whole numbers as ``Int8``, or the server would
            prepare the statement again for every size of a number.

    Raises:
        DatabaseError: Django's, whatever the server refuses.
    """
    connection.ensure_connection()
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    # Django wraps whatever follows the database API; its stubs only know its own cursors.
    with wrap(cast("Any", _PreparedCursor(connection.connection))) as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()
