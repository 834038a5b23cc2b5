"""Adding up the journal for the reports, one run of sealed blocks after another.

Each transfer is a member of exactly one block, and a block never changes, so a block that is added
once is added for good: figures can be kept by adding to them, and are exact. What waits for its
seal is not in the reports yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

from tokens.ledger.locks import require_transaction
from tokens.models import ConsumptionDay, JournalDay, LiabilityDay, RollupHead, SealBlock

LOCK_KEY = 7_331_003
# Blocks of one transaction: some hundred thousand transfers, a second or two.
BLOCKS_PER_FOLD = 20
# Everything a report can ask of a transfer. A hold that was drawn from several lots is one paid
# job, although its transfers may lie in two blocks: the one of the first lot counts.
ENTRIES_SQL = """
SELECT (t.recorded_at AT TIME ZONE 'UTC')::date AS day,
       CASE WHEN u.sandbox_of_id IS NULL THEN 'LIVE' ELSE 'SANDBOX' END AS book,
       l.category AS source, t.kind, coalesce(h.operation, '') AS operation, t.debit, t.credit,
       t.amount, t.wallet_id, (l.expires_at AT TIME ZONE 'UTC')::date AS expires_on,
       (t.kind = 'SETTLE' AND NOT EXISTS (
        SELECT 1 FROM tokens_transfer o
         WHERE o.hold_id = t.hold_id AND o.kind = 'SETTLE' AND o.lot_id < t.lot_id
       ))::int AS holds
  FROM tokens_sealmember m
  JOIN tokens_transfer t ON t.id = m.transfer_id
  JOIN tokens_creditlot l ON l.id = t.lot_id
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
  LEFT JOIN tokens_hold h ON h.id = t.hold_id
 WHERE m.block_id > %(after)s AND m.block_id <= %(last)s
"""
JOURNAL_DAYS_SQL = """
SELECT day, book, source, kind, operation, debit, credit, count(*) AS transfers_count,
       sum(amount) AS tokens
  FROM entries GROUP BY day, book, source, kind, operation, debit, credit
"""
CONSUMPTION_DAYS_SQL = """
SELECT day, wallet_id, operation, min(book) AS book, sum(holds) AS holds_count,
       coalesce(sum(amount) FILTER (WHERE kind <> 'REFUND'), 0) AS charged,
       coalesce(sum(amount) FILTER (WHERE kind = 'REFUND'), 0) AS refunded
  FROM entries WHERE kind IN ('SETTLE', 'OVERRUN', 'REFUND')
 GROUP BY day, wallet_id, operation
"""
LIABILITY_DAYS_SQL = """
SELECT book, source, expires_on,
       sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount) AS available,
       sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount) AS held
  FROM entries WHERE 'WALLET' IN (debit, credit) OR 'HELD' IN (debit, credit)
 GROUP BY book, source, expires_on
"""
FOLD_SQL = f"""
WITH entries AS MATERIALIZED ({ENTRIES_SQL}),
journal AS (
    INSERT INTO tokens_journalday AS kept
           (day, book, source, kind, operation, debit, credit, transfers_count, tokens)
    {JOURNAL_DAYS_SQL}
    ON CONFLICT (day, book, source, kind, operation, debit, credit) DO UPDATE
       SET transfers_count = kept.transfers_count + excluded.transfers_count,
           tokens = kept.tokens + excluded.tokens
), consumption AS (
    INSERT INTO tokens_consumptionday AS kept
           (day, wallet_id, operation, book, holds_count, charged, refunded)
    {CONSUMPTION_DAYS_SQL}
    ON CONFLICT (day, wallet_id, operation) DO UPDATE
       SET holds_count = kept.holds_count + excluded.holds_count,
           charged = kept.charged + excluded.charged, refunded = kept.refunded + excluded.refunded
), liability AS (
    INSERT INTO tokens_liabilityday AS kept (book, source, expires_on, available, held)
    {LIABILITY_DAYS_SQL}
    ON CONFLICT (expires_on, book, source) DO UPDATE
       SET available = kept.available + excluded.available, held = kept.held + excluded.held
)
INSERT INTO tokens_rolluphead (id, block, folded_at) VALUES (1, %(last)s, now())
ON CONFLICT (id) DO UPDATE SET block = excluded.block, folded_at = excluded.folded_at
"""  # noqa: S608  only the statements above


@dataclass(frozen=True, slots=True)
class FoldCount:
    """What one run added to the reports; ``is_done`` says that no sealed block is left."""

    blocks: int
    is_done: bool


def fold(*, blocks_max: int = BLOCKS_PER_FOLD) -> FoldCount:
    """Add the next sealed blocks to the reports; joins the caller's transaction.

    A second run waits for the first one's commit and goes on where it ended.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        head = RollupHead.objects.first()
        after = head.block if head else 0
        blocks = SealBlock.objects.filter(number__gt=after).order_by("number")
        numbers = list(blocks.values_list("number", flat=True)[: blocks_max + 1])
        if not numbers:
            return FoldCount(blocks=0, is_done=True)
        folded = numbers[:blocks_max]
        cursor.execute(FOLD_SQL, {"after": after, "last": folded[-1]})
    return FoldCount(blocks=len(folded), is_done=len(numbers) <= blocks_max)


def fold_all() -> int:
    """Add everything that is sealed, in transactions of their own; the number of blocks."""
    blocks, is_done = 0, False
    while not is_done:
        with transaction.atomic(durable=True):
            count = fold()
        blocks += count.blocks
        is_done = count.is_done
    return blocks


def count_waiting() -> int:
    """Sealed blocks that are not in the reports yet."""
    head = RollupHead.objects.first()
    return SealBlock.objects.filter(number__gt=head.block if head else 0).count()


def rebuild() -> int:
    """Throw the figures away and add everything up again; the number of blocks.

    Reports are incomplete until it has ended, and never wrong for long: each transaction moves the
    head, so a run that is cut short is continued by the next.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        JournalDay.objects.all().delete()
        ConsumptionDay.objects.all().delete()
        LiabilityDay.objects.all().delete()
        RollupHead.objects.all().delete()
    return fold_all()
