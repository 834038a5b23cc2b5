"""Bulk recharge: lines, lots, journal and wallets in a constant number of statements.

Lines are written first with their final outcome and the number of their future lot; lots, journal
and wallets are then filled from those rows, so no two statements can disagree about what was
granted.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields

from django.db import connection
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens.ledger.locks import require_transaction
from tokens.models import RechargeBatch

BATCH_FIELDS = (
    "id",
    "operator",
    "reason",
    "mode",
    "status",
    "request_fingerprint",
    "lines_count",
    "applied_count",
    "tokens_total",
)

WRITE_LINES_SQL = """
INSERT INTO tokens_rechargeline
       (batch_id, row_no, item_key, user_ref, amount, category, priority, effective_at, expires_at,
        outcome, wallet_id, lot_id)
SELECT %(batch_id)s, line.*,
       CASE WHEN line.outcome = 'applied'
            THEN nextval(pg_get_serial_sequence('tokens_creditlot', 'id')) END
  FROM unnest(
         %(row_no)s::integer[], %(item_key)s::text[], %(user_ref)s::text[], %(amount)s::bigint[],
         %(category)s::text[], %(priority)s::smallint[], %(effective_at)s::timestamptz[],
         %(expires_at)s::timestamptz[], %(outcome)s::text[], %(wallet_id)s::bigint[]
       ) AS line(row_no, item_key, user_ref, amount, category, priority, effective_at, expires_at,
                 outcome, wallet_id)
"""
OPEN_LOTS_SQL = """
INSERT INTO tokens_creditlot
       (id, wallet_id, category, granted, available, priority, effective_at, expires_at)
OVERRIDING SYSTEM VALUE
SELECT lot_id, wallet_id, category, amount, amount, priority, coalesce(effective_at, now()),
       expires_at
  FROM tokens_rechargeline
 WHERE batch_id = %(batch_id)s AND outcome = 'applied'
 ORDER BY lot_id
"""
POST_TRANSFERS_SQL = """
INSERT INTO tokens_transfer
       (kind, wallet_id, lot_id, debit, credit, amount, recharge_line_id, effective_at)
SELECT 'RECHARGE', wallet_id, lot_id, 'ISSUANCE_' || category, 'WALLET', amount, id,
       coalesce(effective_at, now())
  FROM tokens_rechargeline
 WHERE batch_id = %(batch_id)s AND outcome = 'applied'
 ORDER BY id
"""
CREDIT_WALLETS_SQL = """
UPDATE tokens_wallet w
   SET available = w.available + line.amount
  FROM tokens_rechargeline line
 WHERE line.batch_id = %(batch_id)s AND line.outcome = 'applied' AND w.id = line.wallet_id
"""


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """A requested line with its outcome; ``wallet_id`` is set when the outcome is applied."""

    row_no: int
    item_key: str
    user_ref: str
    amount: int
    category: str
    priority: int
    effective_at: dt.datetime | None
    expires_at: dt.datetime | None
    outcome: str
    wallet_id: int | None


COLUMNS = tuple(field.name for field in fields(JudgedLine))


def claim_batch(*, batch: RechargeBatch) -> tuple[RechargeBatch, bool]:
    """Store ``batch`` unless its actor used the key before; the unique insert arbitrates.

    A second caller with the same key waits for the first one's commit and then reads its row.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    require_transaction()
    stored, is_new = RechargeBatch.objects.get_or_create(
        actor_id=batch.actor_id,
        idempotency_key=batch.idempotency_key,
        defaults={field: getattr(batch, field) for field in BATCH_FIELDS},
    )
    if stored.request_fingerprint != batch.request_fingerprint:
        raise IdempotencyKeyReusedError(
            _("This key was used with another recharge."), batch_id=str(stored.pk)
        )
    return stored, is_new


def post_lines(*, batch_id: uuid.UUID, lines: Sequence[JudgedLine]) -> None:
    """Store every line and credit the applied ones, whose wallets the caller has locked."""
    require_transaction()
    columns = {name: [getattr(line, name) for line in lines] for name in COLUMNS}
    with connection.cursor() as cursor:
        cursor.execute(WRITE_LINES_SQL, {"batch_id": batch_id, **columns})
        if any(line.wallet_id is not None for line in lines):
            for statement in (OPEN_LOTS_SQL, POST_TRANSFERS_SQL, CREDIT_WALLETS_SQL):
                cursor.execute(statement, {"batch_id": batch_id})
