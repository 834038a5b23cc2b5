"""Invariants of the journal, wallets, lots, holds and recharges.

They recompute every cached figure from the immutable journal. The CHECK constraints stop a bad
write; these find what no constraint on one row can see.
"""

from __future__ import annotations

from tokens.audit.types import Invariant

BOOKS = (
    Invariant(
        "I1",
        "transfer_moves_tokens_between_the_accounts_of_its_kind",
        """
        SELECT id FROM tokens_transfer
         WHERE amount <= 0 OR debit = credit OR NOT (
               CASE kind
               WHEN 'RECHARGE' THEN debit LIKE 'ISSUANCE%%' AND credit = 'WALLET'
               WHEN 'HOLD' THEN debit = 'WALLET' AND credit = 'HELD'
               WHEN 'SETTLE' THEN debit = 'HELD' AND credit = 'CONSUMED'
               WHEN 'RELEASE' THEN debit = 'HELD' AND credit = 'WALLET'
               WHEN 'OVERRUN' THEN debit = 'WALLET' AND credit = 'CONSUMED'
               WHEN 'EXPIRE' THEN debit = 'WALLET' AND credit = 'BREAKAGE'
               WHEN 'REGRANT' THEN debit = 'BREAKAGE' AND credit = 'WALLET'
               WHEN 'REFUND' THEN debit = 'REFUND' AND credit = 'WALLET'
               WHEN 'REVERSE' THEN debit = 'WALLET' AND credit LIKE 'ISSUANCE%%'
               WHEN 'CREDIT' THEN debit = 'ADJUSTMENT' AND credit = 'WALLET'
               WHEN 'DEBIT' THEN debit = 'WALLET' AND credit = 'ADJUSTMENT'
               ELSE false END)
        """,
    ),
    Invariant(
        "I2",
        "wallets_and_system_accounts_sum_to_zero",
        """
        SELECT total FROM (
               SELECT (SELECT coalesce(sum(available + held), 0) FROM tokens_wallet)
                      + (SELECT coalesce(sum(
                           (credit NOT IN ('WALLET', 'HELD'))::int * amount
                           - (debit NOT IN ('WALLET', 'HELD'))::int * amount), 0)
                           FROM tokens_transfer) AS total
        ) books WHERE total <> 0
        """,
    ),
    Invariant(
        "I3",
        "wallet_available_is_the_sum_of_its_transfers",
        """
        SELECT w.id
          FROM tokens_wallet w
          LEFT JOIN (
               SELECT wallet_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      AS available
                 FROM tokens_transfer GROUP BY wallet_id
          ) t ON t.wallet_id = w.id
         WHERE w.available <> coalesce(t.available, 0)
        """,
    ),
    Invariant(
        "I3",
        "wallet_held_is_the_sum_of_its_transfers",
        """
        SELECT w.id
          FROM tokens_wallet w
          LEFT JOIN (
               SELECT wallet_id,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount)
                      AS held
                 FROM tokens_transfer GROUP BY wallet_id
          ) t ON t.wallet_id = w.id
         WHERE w.held <> coalesce(t.held, 0)
        """,
    ),
    Invariant(
        "I6",
        "wallet_held_is_the_sum_of_pending_holds",
        """
        SELECT w.id
          FROM tokens_wallet w
          LEFT JOIN (
               SELECT wallet_id, sum(amount) AS held
                 FROM tokens_hold WHERE status = 'PENDING' GROUP BY wallet_id
          ) h ON h.wallet_id = w.id
         WHERE w.held <> coalesce(h.held, 0)
        """,
    ),
    Invariant(
        "I4",
        "wallet_is_the_sum_of_its_lots",
        """
        SELECT w.id
          FROM tokens_wallet w
          LEFT JOIN (
               SELECT wallet_id, sum(available) AS available, sum(held) AS held
                 FROM tokens_creditlot GROUP BY wallet_id
          ) l ON l.wallet_id = w.id
         WHERE w.available <> coalesce(l.available, 0) OR w.held <> coalesce(l.held, 0)
        """,
    ),
    Invariant(
        "I5",
        "lot_is_the_sum_of_its_transfers",
        """
        SELECT l.id
          FROM tokens_creditlot l
          LEFT JOIN (
               SELECT lot_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      AS available,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount) AS held
                 FROM tokens_transfer GROUP BY lot_id
          ) t ON t.lot_id = l.id
         WHERE l.available <> coalesce(t.available, 0) OR l.held <> coalesce(t.held, 0)
        """,
    ),
    Invariant(
        "I10",
        "lot_belongs_to_the_wallet_of_its_transfers",
        """
        SELECT t.id FROM tokens_transfer t JOIN tokens_creditlot l ON l.id = t.lot_id
         WHERE l.wallet_id <> t.wallet_id
        """,
    ),
    Invariant(
        "I8",
        "wallet_was_never_negative",
        """
        SELECT DISTINCT wallet_id FROM (
               SELECT wallet_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      OVER journal AS available,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount)
                      OVER journal AS held
                 FROM tokens_transfer
               WINDOW journal AS (PARTITION BY wallet_id ORDER BY id)
        ) t WHERE available < 0 OR held < 0
        """,
    ),
    Invariant(
        "I8",
        "lot_was_never_negative",
        """
        SELECT DISTINCT lot_id FROM (
               SELECT lot_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      OVER journal AS available,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount)
                      OVER journal AS held
                 FROM tokens_transfer
               WINDOW journal AS (PARTITION BY lot_id ORDER BY id)
        ) t WHERE available < 0 OR held < 0
        """,
    ),
    Invariant(
        "I9",
        "reversal_mirrors_its_recharge_once",
        """
        SELECT r.id
          FROM tokens_transfer r LEFT JOIN tokens_transfer o ON o.id = r.reverses_id
         WHERE (r.kind = 'REVERSE' OR r.reverses_id IS NOT NULL)
           AND (o.kind IS DISTINCT FROM 'RECHARGE' OR r.kind <> 'REVERSE'
                OR r.wallet_id <> o.wallet_id OR r.lot_id <> o.lot_id
                OR r.debit <> o.credit OR r.credit <> o.debit OR r.amount > o.amount)
         UNION
        SELECT max(id) FROM tokens_transfer WHERE reverses_id IS NOT NULL
         GROUP BY reverses_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        "I7",
        "hold_agrees_with_its_transfers",
        """
        SELECT h.id
          FROM tokens_hold h
          LEFT JOIN (
               SELECT hold_id,
                      coalesce(sum(amount) FILTER (WHERE kind = 'HOLD'), 0) AS placed,
                      coalesce(sum(amount) FILTER (WHERE kind = 'SETTLE'), 0) AS settled,
                      coalesce(sum(amount) FILTER (WHERE kind = 'RELEASE'), 0) AS released,
                      coalesce(sum(amount) FILTER (WHERE kind = 'OVERRUN'), 0) AS overrun,
                      coalesce(sum(amount) FILTER (WHERE kind = 'REFUND'), 0) AS refunded
                 FROM tokens_transfer WHERE hold_id IS NOT NULL GROUP BY hold_id
          ) t ON t.hold_id = h.id
         WHERE t.placed IS DISTINCT FROM h.amount
            OR t.settled <> h.settled
            OR t.overrun <> h.overrun
            OR t.refunded <> h.refunded
            OR t.released <> CASE h.status WHEN 'PENDING' THEN 0 ELSE h.amount - h.settled END
        """,
    ),
    Invariant(
        "I10",
        "transfer_concerns_the_wallet_of_its_origin",
        """
        SELECT t.id
          FROM tokens_transfer t
          LEFT JOIN tokens_hold h ON h.id = t.hold_id
          LEFT JOIN tokens_rechargeline l ON l.id = t.recharge_line_id
          LEFT JOIN tokens_adjustment a ON a.id = t.adjustment_id
         WHERE coalesce(h.wallet_id, l.wallet_id, a.wallet_id, t.wallet_id) <> t.wallet_id
        """,
    ),
    Invariant(
        "I15",
        "applied_line_has_one_transfer_of_its_amount",
        """
        SELECT l.id
          FROM tokens_rechargeline l
          LEFT JOIN tokens_transfer t ON t.recharge_line_id = l.id
         WHERE (l.outcome = 'applied') <> (t.id IS NOT NULL)
            OR t.amount <> l.amount OR t.lot_id <> l.lot_id
        """,
    ),
    Invariant(
        "I14",
        "batch_agrees_with_its_lines",
        """
        SELECT b.id
          FROM tokens_rechargebatch b
          LEFT JOIN (
               SELECT batch_id, count(*) AS lines,
                      count(*) FILTER (WHERE outcome = 'applied') AS applied,
                      coalesce(sum(amount) FILTER (WHERE outcome = 'applied'), 0) AS tokens
                 FROM tokens_rechargeline GROUP BY batch_id
          ) l ON l.batch_id = b.id
         WHERE coalesce(l.lines, 0) <> b.done_count
            OR coalesce(l.applied, 0) <> b.applied_count
            OR coalesce(l.tokens, 0) <> b.tokens_total
            OR (b.mode = 'ATOMIC' AND b.applied_count NOT IN (0, b.lines_count))
        """,
    ),
    Invariant(
        "I21",
        "adjustment_is_the_sum_of_its_transfers",
        """
        SELECT coalesce(a.id, t.adjustment_id)
          FROM tokens_adjustment a
          FULL JOIN (
               SELECT adjustment_id,
                      sum(CASE kind WHEN 'CREDIT' THEN amount ELSE -amount END) AS moved,
                      count(DISTINCT kind) AS kinds
                 FROM tokens_transfer
                WHERE adjustment_id IS NOT NULL OR kind IN ('CREDIT', 'DEBIT')
                GROUP BY adjustment_id
          ) t ON t.adjustment_id = a.id
         WHERE a.amount IS DISTINCT FROM t.moved OR t.kinds <> 1
        """,
    ),
    Invariant(
        "I21",
        "closed_wallet_is_empty",
        """
        SELECT w.id FROM tokens_wallet w
         WHERE w.status = 'CLOSED' AND (w.available <> 0 OR w.held <> 0 OR EXISTS (
               SELECT 1 FROM tokens_hold h WHERE h.wallet_id = w.id AND h.status = 'PENDING'))
        """,
    ),
    Invariant(
        "I19",
        "no_hold_is_pending_an_hour_past_its_deadline",
        """
        SELECT id FROM tokens_hold
         WHERE status = 'PENDING' AND expires_at < now() - interval '1 hour'
        """,
    ),
    Invariant(
        "I16",
        "batch_total_is_in_the_journal",
        """
        SELECT b.id
          FROM tokens_rechargebatch b
          LEFT JOIN (
               SELECT l.batch_id, sum(t.amount) AS tokens
                 FROM tokens_rechargeline l JOIN tokens_transfer t ON t.recharge_line_id = l.id
                GROUP BY l.batch_id
          ) j ON j.batch_id = b.id
         WHERE b.tokens_total <> coalesce(j.tokens, 0)
        """,
    ),
    Invariant(
        "I19",
        "no_expired_lot_keeps_tokens_for_a_day",
        """
        SELECT id FROM tokens_creditlot
         WHERE is_live AND available > 0 AND expires_at < now() - interval '1 day'
        """,
    ),
    Invariant(
        "I19",
        "no_batch_stands_still_for_an_hour",
        """
        SELECT id FROM tokens_rechargebatch
         WHERE status = 'APPLYING' AND lease_expires_at < now() - interval '1 hour'
        """,
    ),
    # The hot tables have no foreign keys that the database checks.
    Invariant(
        "I10",
        "no_row_points_at_nothing",
        """
        SELECT 'transfer ' || t.id FROM tokens_transfer t
         WHERE NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.id = t.wallet_id)
            OR NOT EXISTS (SELECT 1 FROM tokens_creditlot l WHERE l.id = t.lot_id)
            OR (t.hold_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM tokens_hold h WHERE h.id = t.hold_id))
            OR (t.recharge_line_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM tokens_rechargeline r WHERE r.id = t.recharge_line_id))
            OR (t.adjustment_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM tokens_adjustment a WHERE a.id = t.adjustment_id))
         UNION ALL
        SELECT 'lot ' || l.id FROM tokens_creditlot l
         WHERE NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.id = l.wallet_id)
         UNION ALL
        SELECT 'hold ' || h.id FROM tokens_hold h
         WHERE NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.id = h.wallet_id)
         UNION ALL
        SELECT 'event ' || e.id FROM tokens_holdevent e
         WHERE NOT EXISTS (SELECT 1 FROM tokens_hold h WHERE h.id = e.hold_id)
         UNION ALL
        SELECT 'line ' || r.id FROM tokens_rechargeline r
         WHERE NOT EXISTS (SELECT 1 FROM tokens_rechargebatch b WHERE b.id = r.batch_id)
        """,
    ),
)
