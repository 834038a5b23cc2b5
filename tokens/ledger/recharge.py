"""Bulk recharge of the staged rows: judge, write, and change the wallets last.

Every step is one statement over the session's tables, whatever the number of rows. Lines, lots and
journal are written before any wallet is locked, because they take most of the time and touch no
wallet; then one statement locks the wallets in primary-key order, checks under each lock what was
judged, and changes them. So a job that reserves tokens meanwhile waits for the short end of a batch
instead of for all of it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from tokens.ledger import announcements
from tokens.ledger.locks import require_transaction
from tokens.models import RechargeLine

APPLIED = RechargeLine.Outcome.APPLIED.value

OPEN_STAGED_WALLETS_SQL = """
INSERT INTO tokens_wallet (owner_id)
SELECT DISTINCT s.owner_id FROM tokens_stage s
 WHERE s.owner_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.owner_id = s.owner_id)
 ORDER BY s.owner_id
    ON CONFLICT DO NOTHING
"""
# Judging finds nearly every wallet; those it does not find are few, and so are these two steps.
OPEN_JUDGED_WALLETS_SQL = """
INSERT INTO tokens_wallet (owner_id)
SELECT j.owner_id FROM tokens_judged j
 WHERE j.outcome = 'applied' AND j.wallet_id IS NULL
 ORDER BY j.owner_id
    ON CONFLICT DO NOTHING
"""
NAME_OPENED_WALLETS_SQL = """
UPDATE tokens_judged j SET wallet_id = w.id
  FROM tokens_wallet w
 WHERE j.outcome = 'applied' AND j.wallet_id IS NULL AND w.owner_id = j.owner_id
"""
LOCK_STAGED_WALLETS_SQL = """
SELECT count(*) FROM (
       SELECT w.id FROM tokens_wallet w
        WHERE w.owner_id IN (SELECT owner_id FROM tokens_stage)
        ORDER BY w.id FOR NO KEY UPDATE OF w
) locked
"""
# The first fault counts: this order is part of the API, and that of RechargeLine.Outcome. The rows
# come out in the order of the wallets: what is written from them then meets the indexes that start
# with the wallet, and the wallets themselves, page by page.
JUDGE_SQL = """
INSERT INTO tokens_judged
       (row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, original,
        owner_id, outcome, wallet_id, line_id, lot_id)
SELECT row_no, user_ref, amount, item_key, category, priority, effective_at, expires_at, original,
       owner_id, outcome, CASE WHEN outcome = 'applied' THEN wallet_id END,
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
 ORDER BY wallet_id
"""
SUMMARY_SQL = """
SELECT outcome, count(*), sum(amount), bool_or(wallet_id IS NULL) FROM tokens_judged
 GROUP BY outcome
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
# Whatever is left to be checked is checked before a wallet is locked. And overlapping batches must
# lock in one order or they would deadlock. An UPDATE has no ORDER BY of its own, but without hash
# joins and sequential scans every plan meets the wallets in the order of the index on their keys.
BEFORE_CREDIT_SQL = """
SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off
"""
# Checks what was judged again, on the version of each wallet that it locks; a wallet that does not
# fit any more is left out, and the count tells.
CREDIT_WALLETS_SQL = """
UPDATE tokens_wallet w SET available = w.available + j.amount
  FROM (
       SELECT wallet_id, amount FROM tokens_judged WHERE outcome = 'applied' ORDER BY wallet_id
  ) j
 WHERE w.id = j.wallet_id AND w.status = 'ACTIVE'
   AND (w.balance_max IS NULL OR w.available + w.held + j.amount <= w.balance_max)
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
    """What became, or would become, of the rows: lines and tokens by outcome.

    ``lacks_wallets``: some of those that may be applied are for users without a wallet so far.
    """

    lines: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    lacks_wallets: bool = False

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
        if locks_first:
            # A row that is not there cannot be locked.
            cursor.execute(OPEN_STAGED_WALLETS_SQL)
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
        lines={outcome: count for outcome, count, _, _ in rows},
        tokens={outcome: int(total) for outcome, _, total, _ in rows},
        lacks_wallets=any(lacks for outcome, _, _, lacks in rows if outcome == APPLIED),
    )


def write_grants(*, batch_id: uuid.UUID, verdicts: Verdicts, is_scheduled: bool) -> None:
    """Store every judged line, and credit the applied ones.

    Args:
        batch_id: the batch that the lines belong to.
        verdicts: what ``judge`` has counted.
        is_scheduled: a rule grants the tokens; accounts are told so.

    Raises:
        StateChangedError: a wallet was frozen or filled meanwhile; the caller must roll back.
    """
    require_transaction()
    with connection.cursor() as cursor:
        if verdicts.lacks_wallets:
            cursor.execute(OPEN_JUDGED_WALLETS_SQL)
            cursor.execute(NAME_OPENED_WALLETS_SQL)
        for statement in (WRITE_LINES_SQL, WRITE_LOTS_SQL, WRITE_TRANSFERS_SQL):
            cursor.execute(statement, {"batch_id": batch_id})
        announcements.tell_credited(batch_id=batch_id, is_scheduled=is_scheduled)
        cursor.execute(BEFORE_CREDIT_SQL)
        cursor.execute(CREDIT_WALLETS_SQL)
        if cursor.rowcount != verdicts.applied_count:
            raise StateChangedError


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
