"""Rows of a draft: judged as a batch would be, beside what the account is used to, and written.

All functions join the caller's transaction, which holds the lock of the draft.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connection

from tokens.drafts import HABIT_WINDOW, SAME_AMOUNT_WINDOW, TOP_ROWS
from tokens.ledger.locks import require_transaction

CREATE_CELLS_SQL = """
CREATE TEMPORARY TABLE tokens_draft_cells (row_no integer NOT NULL, cells text[] NOT NULL)
    ON COMMIT DROP
"""
COPY_CELLS_SQL = "COPY tokens_draft_cells (row_no, cells) FROM STDIN"
# What an account is used to counts only where tokens would move. In atomic mode a bad row refuses
# the others too, but what is wrong with them is nothing.
WRITE_ROWS_SQL = """
INSERT INTO tokens_rechargedraftrow
       (draft_id, row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at,
        fault, original, cells, verdict, code, available, habit)
SELECT %(draft_id)s, row_no, user_ref, amount, item_key, category, priority, effective_at,
       expires_at, fault, original, cells,
       CASE WHEN outcome <> 'applied' THEN 'error' WHEN warning <> '' THEN 'warn' ELSE 'ok' END,
       CASE WHEN outcome <> 'applied' THEN outcome ELSE warning END, available, habit
  FROM (
       SELECT s.row_no, s.user_ref, s.amount, s.item_key, s.category, s.priority, s.effective_at,
              s.expires_at, s.fault, s.original, c.cells, j.outcome, w.available, h.habit,
              CASE
                  WHEN s.amount > h.habit * %(factor)s THEN 'above_habit'
                  WHEN h.same_at > now() - %(same_window)s THEN 'same_amount_lately'
                  ELSE ''
              END AS warning
         FROM tokens_stage s
         JOIN tokens_judged j ON j.row_no = s.row_no
         JOIN tokens_draft_cells c ON c.row_no = s.row_no
         LEFT JOIN tokens_wallet w ON w.owner_id = s.owner_id
         LEFT JOIN LATERAL (
              SELECT max(t.amount) AS habit,
                     max(t.recorded_at) FILTER (WHERE t.amount = s.amount) AS same_at
                FROM tokens_transfer t
               WHERE t.wallet_id = w.id AND t.kind = 'RECHARGE'
                 AND t.recorded_at > now() - %(habit_window)s AND j.outcome = 'applied'
         ) h ON true
  ) judged
 ORDER BY row_no
"""
COUNTS_SQL = """
SELECT count(*), count(*) FILTER (WHERE verdict = 'warn'),
       count(*) FILTER (WHERE verdict = 'error'),
       coalesce(sum(amount) FILTER (WHERE verdict <> 'error'), 0),
       coalesce(sum(available) FILTER (WHERE verdict <> 'error'), 0)
  FROM tokens_rechargedraftrow WHERE draft_id = %(draft_id)s
"""
CATEGORIES_SQL = """
SELECT category, count(*), sum(amount) FROM tokens_rechargedraftrow
 WHERE draft_id = %(draft_id)s AND verdict <> 'error' GROUP BY category ORDER BY 3 DESC, 1
"""
CODES_SQL = """
SELECT code, count(*) FROM tokens_rechargedraftrow
 WHERE draft_id = %(draft_id)s AND code <> '' GROUP BY code ORDER BY 2 DESC, 1
"""
TOP_SQL = """
SELECT row_no, user_ref, amount, verdict, code, available, habit FROM tokens_rechargedraftrow
 WHERE draft_id = %(draft_id)s AND verdict <> 'error'
 ORDER BY amount DESC, row_no LIMIT %(limit)s
"""
OUTLIERS_SQL = """
SELECT row_no, user_ref, amount, verdict, code, available, habit FROM tokens_rechargedraftrow
 WHERE draft_id = %(draft_id)s AND code = 'above_habit'
 ORDER BY amount / habit DESC, row_no LIMIT %(limit)s
"""
# Tokens of sandboxes are worth nothing and owed to nobody.
LIABILITY_SQL = """
SELECT coalesce(sum(w.available + w.held), 0)
  FROM tokens_wallet w JOIN accounts_user u ON u.id = w.owner_id
 WHERE u.sandbox_of_id IS NULL
"""


def prepare_cells() -> None:
    """Make room for the cells of the rows that are about to be staged."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(CREATE_CELLS_SQL)


def keep_cells(*, cells: Iterable[list[str]], first_row: int) -> None:
    """Keep the cells of some rows until they are written."""
    with connection.cursor() as cursor, cursor.copy(COPY_CELLS_SQL) as copy:
        for row_no, row in enumerate(cells, start=first_row):
            copy.write_row((row_no, row))


def write(*, draft_id: uuid.UUID) -> dict[str, Any]:
    """Replace the rows of a draft with those of the session's judged table.

    Returns:
        What the draft keeps of them: counts, and the figures of its preview.
    """
    require_transaction()
    names: dict[str, Any] = {"draft_id": draft_id, "limit": TOP_ROWS}
    with connection.cursor() as cursor:
        clear(draft_id=draft_id)
        windows: dict[str, Any] = {
            "draft_id": draft_id,
            "factor": settings.RECHARGE_HABIT_FACTOR,
            "habit_window": HABIT_WINDOW,
            "same_window": SAME_AMOUNT_WINDOW,
        }
        cursor.execute(WRITE_ROWS_SQL, windows)
        cursor.execute(COUNTS_SQL, names)
        rows_count, warned, failed, tokens, balance = cursor.fetchone()
        figures = {
            name: _fetch(cursor, statement, names)
            for name, statement in (
                ("categories", CATEGORIES_SQL),
                ("codes", CODES_SQL),
                ("top", TOP_SQL),
                ("outliers", OUTLIERS_SQL),
            )
        }
        cursor.execute(LIABILITY_SQL)
        (liability,) = cursor.fetchone()
    return {
        "rows_count": rows_count,
        "warned_count": warned,
        "failed_count": failed,
        "tokens_total": int(tokens),
        "figures": figures | {"balance_before": int(balance), "liability_before": int(liability)},
    }


def clear(*, draft_id: uuid.UUID) -> int:
    """Throw the rows of a draft away; how many there were."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tokens_rechargedraftrow WHERE draft_id = %s", [draft_id])
        return int(cursor.rowcount)


def _fetch(cursor: Any, statement: str, names: dict[str, Any]) -> list[list[Any]]:
    cursor.execute(statement, names)
    return [[_plain(it) for it in row] for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    """Sums arrive as decimals, which JSON does not know."""
    return value if value is None or isinstance(value, str) else int(value)
