"""Invariants of the reports: what was added up block by block is what the sealed journal says."""

from __future__ import annotations

from tokens.audit.types import Invariant

# Written anew, so that a fault in the adding up cannot hide itself here.
SEALED_SQL = """
SELECT (t.recorded_at AT TIME ZONE 'UTC')::date AS day,
       CASE WHEN u.sandbox_of_id IS NULL THEN 'LIVE' ELSE 'SANDBOX' END AS book,
       l.category AS source, t.kind, coalesce(h.operation, '') AS operation, t.debit, t.credit,
       t.amount, t.wallet_id, t.hold_id, (l.expires_at AT TIME ZONE 'UTC')::date AS expires_on
  FROM tokens_sealmember m
  JOIN tokens_transfer t ON t.id = m.transfer_id
  JOIN tokens_creditlot l ON l.id = t.lot_id
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
  LEFT JOIN tokens_hold h ON h.id = t.hold_id
 WHERE m.block_id <= (SELECT block FROM tokens_rolluphead)
"""

ROLLUPS = (
    Invariant(
        "I23",
        "report_of_a_day_agrees_with_the_journal",
        """
        SELECT concat_ws(' ', day, book, source, kind, operation)
          FROM (
               SELECT day, book, source, kind, operation, debit, credit,
                      count(*) AS transfers_count, sum(amount) AS tokens
                 FROM (:sealed) sealed GROUP BY 1, 2, 3, 4, 5, 6, 7
          ) j
          FULL JOIN tokens_journalday d
                USING (day, book, source, kind, operation, debit, credit)
         WHERE (d.transfers_count, d.tokens) IS DISTINCT FROM (j.transfers_count, j.tokens)
        """.replace(":sealed", SEALED_SQL),
    ),
    Invariant(
        "I23",
        "report_of_consumption_agrees_with_the_journal",
        """
        SELECT concat_ws(' ', day, 'wallet', wallet_id, operation)
          FROM (
               SELECT day, wallet_id, operation,
                      count(DISTINCT hold_id) FILTER (WHERE kind = 'SETTLE') AS holds_count,
                      coalesce(sum(amount) FILTER (WHERE kind IN ('SETTLE', 'OVERRUN')), 0)
                      AS charged,
                      coalesce(sum(amount) FILTER (WHERE kind = 'REFUND'), 0) AS refunded
                 FROM (:sealed) sealed WHERE kind IN ('SETTLE', 'OVERRUN', 'REFUND')
                GROUP BY 1, 2, 3
          ) j
          FULL JOIN tokens_consumptionday c USING (day, wallet_id, operation)
         WHERE (c.holds_count, c.charged, c.refunded)
               IS DISTINCT FROM (j.holds_count, j.charged, j.refunded)
        """.replace(":sealed", SEALED_SQL),
    ),
    Invariant(
        "I23",
        "report_of_liability_agrees_with_the_journal",
        """
        SELECT concat_ws(' ', coalesce(l.book, j.book), coalesce(l.source, j.source),
                         coalesce(l.expires_on, j.expires_on))
          FROM (
               SELECT book, source, expires_on,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      AS available,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount) AS held
                 FROM (:sealed) sealed
                WHERE 'WALLET' IN (debit, credit) OR 'HELD' IN (debit, credit)
                GROUP BY 1, 2, 3
          ) j
          FULL JOIN tokens_liabilityday l
                ON l.book = j.book AND l.source = j.source
               AND coalesce(l.expires_on, 'infinity') = coalesce(j.expires_on, 'infinity')
         WHERE (l.available, l.held) IS DISTINCT FROM (j.available, j.held)
        """.replace(":sealed", SEALED_SQL),
    ),
)
