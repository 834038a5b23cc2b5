"""Bulk recharge of the staged rows: judge, write, and change the wallets last.

Every step is one statement over the session's tables, whatever the number of rows. Lines, lots and
journal are written before any wallet is locked, because they take most of the time and touch no
wallet; then the wallets are locked in primary-key order, what was judged is checked again under
the locks, and the wallets change. So a job that reserves tokens meanwhile waits for the short end
of a batch instead of for all of it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from tokens.ledger.locks import require_transaction
from tokens.models import RechargeLine

APPLIED = RechargeLine.Outcome.APPLIED.value

OPEN_WALLETS_SQL = """
INSERT INTO tokens_wallet (owner_id)
SELECT DISTINCT s.owner_id FROM tokens_stage s
 WHERE s.owner_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.owner_id = s.owner_id)
 ORDER BY s.owner_id
    ON CONFLICT DO NOTHING
"""
LOCK_STAGED_WALLETS_SQL = """
SELECT count(*) FROM (
       SELECT w.id FROM tokens_wallet w
        WHERE w.owner_id IN (SELECT owner_id FROM tokens_stage)
        ORDER BY w.id FOR NO KEY UPDATE OF w
) locked
"""
# The first fault counts: this order is part of the API, and that of RechargeLine.Outcome.
JUDGE_SQL = """
INSERT INTO tokens_judged
       (row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, original,
        outcome, wallet_id, line_id, lot_id)
SELECT row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, original,
       outcome, CASE WHEN outcome = 'applied' THEN wallet_id END,
       CASE WHEN %(is_dry_run)s THEN 0 ELSE nextval('tokens_rechargeline_id_seq') END,
       CASE WHEN outcome = 'applied' AND NOT %(is_dry_run)s
            THEN nextval('tokens_creditlot_id_seq') END
  FROM (
       SELECT s.*, w.id AS wallet_id,
              CASE
                  WHEN s.fault <> '' THEN s.fault
                  WHEN s.owner_id IS NULL THEN 'account_not_found'
                  WHEN w.status = 'FROZEN' THEN 'account_frozen'
                  WHEN w.status = 'CLOSED' THEN 'account_closed'
                  WHEN s.amount < 1 THEN 'amount_not_positive'
                  WHEN s.amount > %(amount_max)s THEN 'amount_out_of_range'
                  WHEN w.available + w.held + s.amount > w.balance_max THEN 'exceeds_max_balance'
                  WHEN s.expires_at <= now() THEN 'expiry_in_past'
                  WHEN s.expires_at <= s.effective_at THEN 'effective_after_expiry'
                  WHEN s.is_user_repeated THEN 'duplicate_row_in_batch'
                  WHEN s.is_key_repeated THEN 'item_key_conflict'
                  ELSE 'applied'
              END AS outcome
         FROM tokens_stage s
         LEFT JOIN tokens_wallet w ON w.owner_id = s.owner_id
        OFFSET 0
  ) judged
"""
SUMMARY_SQL = """
SELECT outcome, count(*), sum(amount) FROM tokens_judged GROUP BY outcome
"""
WRITE_LINES_SQL = """
INSERT INTO tokens_rechargeline
       (id, batch_id, row_no, item_key, user_ref, amount, category, priority, effective_at,
        expires_at, outcome, wallet_id, lot_id, reverses_id, original)
SELECT line_id, %(batch_id)s, row_no, item_key, user_ref, amount, category, priority, effective_at,
       expires_at, outcome, wallet_id, lot_id, origin, original
  FROM tokens_judged
"""
WRITE_REFUSED_LINES_SQL = """
INSERT INTO tokens_rechargeline
       (id, batch_id, row_no, item_key, user_ref, amount, category, priority, effective_at,
        expires_at, outcome, reverses_id, original)
SELECT line_id, %(batch_id)s, row_no, item_key, user_ref, amount, category, priority, effective_at,
       expires_at, CASE outcome WHEN 'applied' THEN 'rolled_back' ELSE outcome END, origin, original
  FROM tokens_judged
"""
WRITE_LOTS_SQL = """
INSERT INTO tokens_creditlot
       (id, wallet_id, category, granted, available, priority, effective_at, expires_at)
SELECT lot_id, wallet_id, category, amount, amount, priority, coalesce(effective_at, now()),
       expires_at
  FROM tokens_judged WHERE outcome = 'applied'
"""
WRITE_TRANSFERS_SQL = """
INSERT INTO tokens_transfer
       (kind, wallet_id, lot_id, debit, credit, amount, recharge_line_id, effective_at)
SELECT 'RECHARGE', wallet_id, lot_id, 'ISSUANCE_' || category, 'WALLET', amount, line_id,
       greatest(effective_at, now())
  FROM tokens_judged WHERE outcome = 'applied'
"""
LOCK_AND_CHECK_SQL = """
SELECT count(*) FILTER (WHERE is_fit IS NOT TRUE) FROM (
       SELECT w.status = 'ACTIVE'
              AND (w.balance_max IS NULL OR w.available + w.held + j.amount <= w.balance_max)
              AS is_fit
         FROM tokens_judged j JOIN tokens_wallet w ON w.id = j.wallet_id
        WHERE j.outcome = 'applied'
        ORDER BY w.id FOR NO KEY UPDATE OF w
) locked
"""
CREDIT_WALLETS_SQL = """
UPDATE tokens_wallet w SET available = w.available + j.amount
  FROM tokens_judged j
 WHERE j.outcome = 'applied' AND w.id = j.wallet_id
"""
NOT_ATTEMPTED_SQL = """
INSERT INTO tokens_rechargeline
       (batch_id, row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at,
        outcome, reverses_id, original)
SELECT c.batch_id, c.first_row + x.position - 1, e ->> 0, (e ->> 1)::bigint, e ->> 2, e ->> 3,
       (e ->> 4)::smallint, (e ->> 5)::timestamptz, (e ->> 6)::timestamptz,
       CASE e ->> 7 WHEN '' THEN 'not_attempted' ELSE e ->> 7 END, (e ->> 8)::bigint,
       nullif(e -> 9, 'null')
  FROM tokens_rechargechunk c
 CROSS JOIN jsonb_array_elements(c.payload) WITH ORDINALITY AS x(e, position)
 WHERE c.batch_id = %(batch_id)s AND c.state = 'PENDING'
"""


class StateChangedError(Exception):
    """A wallet changed between judging it and locking it: roll back and judge again."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became, or would become, of the rows: lines and tokens by outcome."""

    lines: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    @property
    def applied_count(self) -> int:
        """Lines that may be applied."""
        return self.lines.get(APPLIED, 0)

    @property
    def rows_count(self) -> int:
        """All lines."""
        return sum(self.lines.values())

    @property
    def tokens_total(self) -> int:
        """Tokens of the lines that may be applied."""
        return self.tokens.get(APPLIED, 0)

    @property
    def is_clean(self) -> bool:
        """Whether every line may be applied."""
        return self.applied_count == self.rows_count


def judge(*, is_dry_run: bool, locks_first: bool) -> Verdicts:
    """Decide every staged row.

    Args:
        is_dry_run: write nothing; a missing wallet then counts as an empty one.
        locks_first: lock the wallets before, so that nothing can change afterwards.
    """
    require_transaction()
    with connection.cursor() as cursor:
        if not is_dry_run:
            cursor.execute(OPEN_WALLETS_SQL)
        if locks_first:
            cursor.execute(LOCK_STAGED_WALLETS_SQL)
        cursor.execute(
            JUDGE_SQL, {"amount_max": settings.RECHARGE_AMOUNT_MAX, "is_dry_run": is_dry_run}
        )
    return summarise()


def summarise() -> Verdicts:
    """Count the judged rows by outcome."""
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY_SQL)
        rows = cursor.fetchall()
    return Verdicts(
        lines={outcome: count for outcome, count, _ in rows},
        tokens={outcome: int(total) for outcome, _, total in rows},
    )


def write_grants(*, batch_id: uuid.UUID) -> None:
    """Store every judged line, and credit the applied ones.

    Raises:
        StateChangedError: a wallet was frozen or filled meanwhile; the caller must roll back.
    """
    require_transaction()
    with connection.cursor() as cursor:
        for statement in (WRITE_LINES_SQL, WRITE_LOTS_SQL, WRITE_TRANSFERS_SQL):
            cursor.execute(statement, {"batch_id": batch_id})
        # Whatever is left to be checked is checked now, and not while the wallets are locked.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(LOCK_AND_CHECK_SQL)
        (unfit_count,) = cursor.fetchone()
        if unfit_count:
            raise StateChangedError
        cursor.execute(CREDIT_WALLETS_SQL)


def write_refusal(*, batch_id: uuid.UUID) -> None:
    """Store every judged line of an atomic batch that is refused; moves nothing."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(WRITE_REFUSED_LINES_SQL, {"batch_id": batch_id})


def write_not_attempted(*, batch_id: uuid.UUID) -> int:
    """Store the lines of all pending chunks of a batch that ends here; moves nothing.

    Returns:
        The number of lines.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(NOT_ATTEMPTED_SQL, {"batch_id": batch_id})
        lines_count = int(cursor.rowcount)
        cursor.execute(
            "UPDATE tokens_rechargechunk SET state = 'DONE'"
            " WHERE batch_id = %(batch_id)s AND state = 'PENDING'",
            {"batch_id": batch_id},
        )
    return lines_count
