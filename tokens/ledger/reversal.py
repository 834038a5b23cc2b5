"""Reversal of the staged rows: take back what lines of an earlier batch have granted.

What is left of a lot is only known under its wallet's lock, so the wallets are locked first. A
reversal of a frozen or closed wallet is allowed: it corrects the books, it spends nothing.
"""

from __future__ import annotations

import uuid

from django.db import connection

from tokens.ledger import announcements
from tokens.ledger.locks import require_transaction
from tokens.ledger.recharge import WRITE_LINES_SQL, Verdicts, summarise

LOCK_WALLETS_SQL = """
SELECT count(*) FROM (
       SELECT w.id FROM tokens_wallet w
        WHERE w.id IN (
              SELECT l.wallet_id FROM tokens_stage s JOIN tokens_rechargeline l ON l.id = s.origin
        )
        ORDER BY w.id FOR NO KEY UPDATE OF w
) locked
"""
# The order of the faults is part of the API.
JUDGE_SQL = """
INSERT INTO tokens_judged
       (row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, original,
        origin, outcome, wallet_id, line_id, lot_id, transfer_id, debit)
SELECT row_no, user_ref, CASE outcome WHEN 'applied' THEN unused ELSE amount END, item_key,
       category, priority, effective_at, expires_at, original, origin, outcome,
       CASE outcome WHEN 'applied' THEN wallet_id END,
       CASE WHEN %(is_dry_run)s THEN 0 ELSE nextval('tokens_rechargeline_id_seq') END,
       CASE outcome WHEN 'applied' THEN lot_id END, transfer_id, debit
  FROM (
       SELECT s.*, t.wallet_id, t.lot_id, t.id AS transfer_id, t.debit, lot.available AS unused,
              CASE
                  WHEN s.fault <> '' THEN s.fault
                  WHEN t.id IS NULL OR t.kind <> 'RECHARGE' THEN 'row_not_applied'
                  WHEN r.id IS NOT NULL THEN 'already_reversed'
                  WHEN lot.available = 0 THEN 'reversal_credits_used'
                  WHEN lot.available < lot.granted AND NOT %(takes_unused_part)s
                  THEN 'reversal_credits_used'
                  ELSE 'applied'
              END AS outcome
         FROM tokens_stage s
         LEFT JOIN tokens_transfer t ON t.recharge_line_id = s.origin
         LEFT JOIN tokens_creditlot lot ON lot.id = t.lot_id
         LEFT JOIN tokens_transfer r ON r.reverses_id = t.id
        OFFSET 0
  ) judged
"""
# Of a refused batch nothing is taken, so its rows ask again for all that was granted.
FORGET_UNUSED_PARTS_SQL = """
UPDATE tokens_judged j SET amount = l.amount
  FROM tokens_rechargeline l WHERE j.outcome = 'applied' AND l.id = j.origin
"""
WRITE_TRANSFERS_SQL = """
INSERT INTO tokens_transfer
       (kind, wallet_id, lot_id, debit, credit, amount, recharge_line_id, reverses_id)
SELECT 'REVERSE', wallet_id, lot_id, 'WALLET', debit, amount, line_id, transfer_id
  FROM tokens_judged WHERE outcome = 'applied'
"""
EMPTY_LOTS_SQL = """
UPDATE tokens_creditlot lot SET available = lot.available - j.amount
  FROM tokens_judged j WHERE j.outcome = 'applied' AND lot.id = j.lot_id
"""
DEBIT_WALLETS_SQL = """
UPDATE tokens_wallet w SET available = w.available - j.amount
  FROM tokens_judged j WHERE j.outcome = 'applied' AND w.id = j.wallet_id
"""


def judge(*, is_dry_run: bool, takes_unused_part: bool) -> Verdicts:
    """Decide every staged row.

    Args:
        is_dry_run: lock nothing.
        takes_unused_part: take what is left where tokens were used, instead of refusing.
    """
    require_transaction()
    with connection.cursor() as cursor:
        if not is_dry_run:
            cursor.execute(LOCK_WALLETS_SQL)
        cursor.execute(
            JUDGE_SQL, {"takes_unused_part": takes_unused_part, "is_dry_run": is_dry_run}
        )
    return summarise()


def forget_unused_parts() -> Verdicts:
    """Give the judged rows of a refused batch the amount back that they asked for."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET_UNUSED_PARTS_SQL)
    return summarise()


def write_reversals(*, batch_id: uuid.UUID) -> None:
    """Store every judged line, and take back the applied ones, whose wallets are locked."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(WRITE_LINES_SQL, {"batch_id": batch_id})
        for statement in (WRITE_TRANSFERS_SQL, EMPTY_LOTS_SQL, DEBIT_WALLETS_SQL):
            cursor.execute(statement)
    announcements.tell_reversed(batch_id=batch_id)
