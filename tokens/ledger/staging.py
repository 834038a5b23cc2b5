"""Rows of a recharge on their way through the database.

A batch that cannot be applied at once is staged in chunks. To be judged, rows are unpacked into a
table of the session that is empty again after every transaction and writes no journal of the
server, so that every later step is one plain statement over it. All functions join the caller's
transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import connection

from accounts import selectors as accounts_selectors
from tokens.ledger.locks import require_transaction
from tokens.recharge_rows import RowTotals, StagedRow, chunks

# Statistics make up for themselves from this many rows on.
ANALYZE_ROWS_MIN = 5_000

CREATE_TABLES_SQL = """
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';
CREATE TEMPORARY TABLE IF NOT EXISTS tokens_stage (
    row_no integer NOT NULL, user_ref text NOT NULL, amount bigint NOT NULL,
    item_key text NOT NULL, category text NOT NULL, priority smallint NOT NULL,
    effective_at timestamptz, expires_at timestamptz, fault text NOT NULL, origin bigint,
    original jsonb, owner_id bigint,
    is_user_repeated boolean NOT NULL, is_key_repeated boolean NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tokens_judged (
    row_no integer NOT NULL, user_ref text NOT NULL, amount bigint NOT NULL,
    item_key text NOT NULL, category text NOT NULL, priority smallint NOT NULL,
    effective_at timestamptz, expires_at timestamptz, original jsonb, origin bigint,
    owner_id bigint, outcome text NOT NULL, wallet_id bigint, line_id bigint NOT NULL,
    lot_id bigint, transfer_id bigint, debit text
) ON COMMIT DELETE ROWS;
DELETE FROM tokens_stage;
DELETE FROM tokens_judged;
"""
ROW_SQL = """
    e ->> 0, (e ->> 1)::bigint, e ->> 2, e ->> 3, (e ->> 4)::smallint,
    (e ->> 5)::timestamptz, (e ->> 6)::timestamptz, e ->> 7, (e ->> 8)::bigint,
    nullif(e -> 9, 'null')
"""
STAGE_COLUMNS = """
    row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, fault,
    origin, original, owner_id, is_user_repeated, is_key_repeated
"""
# Stands for the SELECT of users that accounts provides.
USERS = "{users}"
FILL_FROM_ROWS_SQL = f"""
INSERT INTO tokens_stage ({STAGE_COLUMNS})
SELECT %s + x.position - 1, {ROW_SQL}, u.id, false, false
  FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS x(e, position)
  LEFT JOIN ({USERS}) u ON u.user_ref = x.e ->> 0
"""  # noqa: S608  # made of constants of this module
FILL_FROM_CHUNKS_SQL = f"""
INSERT INTO tokens_stage ({STAGE_COLUMNS})
SELECT c.first_row + x.position - 1, {ROW_SQL}, u.id,
       c.first_row + x.position - 1 = ANY (c.repeated_users),
       c.first_row + x.position - 1 = ANY (c.repeated_keys)
  FROM tokens_rechargechunk c
 CROSS JOIN jsonb_array_elements(c.payload) WITH ORDINALITY AS x(e, position)
  LEFT JOIN ({USERS}) u ON u.user_ref = x.e ->> 0
 WHERE c.batch_id = %s AND (%s::integer IS NULL OR c.seq = %s)
"""  # noqa: S608  # made of constants of this module
INSERT_CHUNK_SQL = """
INSERT INTO tokens_rechargechunk (batch_id, seq, first_row, rows_count, payload)
VALUES (%(batch_id)s, %(seq)s, %(first_row)s, %(rows_count)s, %(payload)s::jsonb)
"""
MARK_STAGE_SQL = """
UPDATE tokens_stage s SET {flag} = true
  FROM (
       SELECT {column}, min(row_no) AS first_row FROM tokens_stage
        WHERE {column} <> '' GROUP BY {column} HAVING count(*) > 1
  ) twice
 WHERE s.{column} = twice.{column} AND s.row_no > twice.first_row
"""
MARK_CHUNKS_SQL = """
WITH unpacked AS MATERIALIZED (
    SELECT c.seq, (c.first_row + x.position - 1)::integer AS row_no, x.e ->> {index} AS value
      FROM tokens_rechargechunk c
     CROSS JOIN jsonb_array_elements(c.payload) WITH ORDINALITY AS x(e, position)
     WHERE c.batch_id = %(batch_id)s AND x.e ->> {index} <> ''
), twice AS (
    SELECT value, min(row_no) AS first_row FROM unpacked GROUP BY value HAVING count(*) > 1
), again AS (
    SELECT u.seq, array_agg(u.row_no ORDER BY u.row_no) AS row_nos
      FROM unpacked u JOIN twice ON twice.value = u.value AND u.row_no > twice.first_row
     GROUP BY u.seq
)
UPDATE tokens_rechargechunk c SET {column} = again.row_nos
  FROM again WHERE c.batch_id = %(batch_id)s AND c.seq = again.seq
"""


# The session's tables have no statistics, so for a thousand rows the planner would read all
# wallets; with their index the same step takes a fifth of the time.
FEW_ROWS_SQL = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"


def prepare(*, has_few_rows: bool) -> None:
    """Create the session's tables where they are missing, and set the planner up.

    Args:
        has_few_rows: the rows are at most those of a chunk.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(CREATE_TABLES_SQL)
        if has_few_rows:
            cursor.execute(FEW_ROWS_SQL)


def write_chunks(
    *, batch_id: uuid.UUID, rows: Iterable[StagedRow], totals: RowTotals, size: int
) -> None:
    """Stage a stream of rows, ``size`` at a time, and count them in ``totals``."""
    require_transaction()
    with connection.cursor() as cursor:
        for seq, chunk in enumerate(chunks(rows, size=size)):
            first_row = totals.rows + 1
            cursor.execute(
                INSERT_CHUNK_SQL,
                {
                    "batch_id": batch_id,
                    "seq": seq,
                    "first_row": first_row,
                    "rows_count": len(chunk),
                    "payload": totals.add(chunk),
                },
            )


def mark_repeats(*, batch_id: uuid.UUID, has_keys: bool) -> None:
    """Note in each chunk which of its users and keys came before, in whatever chunk."""
    with connection.cursor() as cursor:
        cursor.execute(
            MARK_CHUNKS_SQL.format(index=0, column="repeated_users"), {"batch_id": batch_id}
        )
        if has_keys:
            cursor.execute(
                MARK_CHUNKS_SQL.format(index=2, column="repeated_keys"), {"batch_id": batch_id}
            )


def fill_from_rows(*, payload: str, first_row: int, is_sandbox: bool = False) -> None:
    """Unpack rows that were never stored, given as canonical JSON, into the session's table.

    With ``is_sandbox`` they are for sandboxes, which are nobody otherwise.
    """
    users_sql, users_parameters = accounts_selectors.active_users_sql(are_sandboxes=is_sandbox)
    with connection.cursor() as cursor:
        cursor.execute(
            FILL_FROM_ROWS_SQL.replace(USERS, users_sql),
            [first_row, payload, *users_parameters],
        )


def fill_from_chunks(*, batch_id: uuid.UUID, seq: int | None) -> int:
    """Unpack one chunk, or all of them (None), into the session's table.

    Returns:
        The number of rows.
    """
    users_sql, users_parameters = accounts_selectors.active_users_sql()
    with connection.cursor() as cursor:
        cursor.execute(
            FILL_FROM_CHUNKS_SQL.replace(USERS, users_sql),
            [*users_parameters, batch_id, seq, seq],
        )
        filled = int(cursor.rowcount)
        if filled >= ANALYZE_ROWS_MIN:
            cursor.execute("ANALYZE tokens_stage (user_ref, owner_id)")
    return filled


def mark_stage() -> None:
    """Note which users and keys of the session's table came before; it must hold all rows."""
    with connection.cursor() as cursor:
        for flag, column in (
            ("is_user_repeated", "user_ref"),
            ("is_key_repeated", "item_key"),
        ):
            cursor.execute(MARK_STAGE_SQL.format(flag=flag, column=column))
