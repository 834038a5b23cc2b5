"""What a database holds, in a form that can be compared."""

from __future__ import annotations

import hashlib

from django.db import connection


def digest_of_all_tables() -> dict[str, str]:
    """One digest per table, and where the sequences stand."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        tables = [row[0] for row in cursor.fetchall()]
        digests = {}
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")  # noqa: S608  # a catalogue name
            digests[table] = hashlib.sha256(repr(cursor.fetchall()).encode()).hexdigest()
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        digests["sequences"] = str(cursor.fetchall())
    return digests
