"""Invariants of the ledger, each a query that must return no rows.

They recompute every cached figure from the immutable journal. The CHECK constraints stop a bad
write; these find what no constraint on one row can see.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

SAMPLE_SIZE = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """``sql`` selects the id of every offender; the statement has no parameters."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant with at most SAMPLE_SIZE offending ids."""

    name: str
    count: int
    sample: tuple[str, ...]


INVARIANTS = (
    Invariant(
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
        "lot_belongs_to_the_wallet_of_its_transfers",
        """
        SELECT t.id FROM tokens_transfer t JOIN tokens_creditlot l ON l.id = t.lot_id
         WHERE l.wallet_id <> t.wallet_id
        """,
    ),
    Invariant(
        "wallet_was_never_negative",
        """
        SELECT DISTINCT wallet_id FROM (
               SELECT wallet_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      OVER (PARTITION BY wallet_id ORDER BY id) AS available
                 FROM tokens_transfer
        ) t WHERE available < 0
        """,
    ),
    Invariant(
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
        "transfer_concerns_the_wallet_of_its_origin",
        """
        SELECT t.id
          FROM tokens_transfer t
          LEFT JOIN tokens_hold h ON h.id = t.hold_id
          LEFT JOIN tokens_rechargeline l ON l.id = t.recharge_line_id
         WHERE coalesce(h.wallet_id, l.wallet_id, t.wallet_id) <> t.wallet_id
        """,
    ),
    Invariant(
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
         WHERE l.lines IS DISTINCT FROM b.lines_count
            OR l.applied <> b.applied_count
            OR l.tokens <> b.tokens_total
            OR (b.mode = 'ATOMIC' AND b.applied_count NOT IN (0, b.lines_count))
        """,
    ),
    Invariant(
        "no_hold_is_pending_an_hour_past_its_deadline",
        """
        SELECT id FROM tokens_hold
         WHERE status = 'PENDING' AND expires_at < now() - interval '1 hour'
        """,
    ),
)


def find_violations() -> list[Violation]:
    """Run every invariant; an empty list means that the books balance.

    Each runs in its own statement, so call it inside one REPEATABLE READ transaction or on a
    quiet ledger: writes in between could otherwise look like violations of two statements.
    """
    violations = []
    with connection.cursor() as cursor:
        for invariant in INVARIANTS:
            cursor.execute(invariant.sql)
            offenders = [str(row[0]) for row in cursor.fetchall()]
            if offenders:
                sample = tuple(offenders[:SAMPLE_SIZE])
                violations.append(Violation(invariant.name, len(offenders), sample))
    return violations
