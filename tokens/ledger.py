"""The only module that writes the ledger. Every function joins the caller's transaction.

Lock order everywhere: job, then wallets by primary key, then hold. Whoever keeps to it may wait for
somebody else but never in a circle.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens.models import Account, Hold, RechargeBatch, Transfer, Wallet

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

OPEN_WALLETS_SQL = """
INSERT INTO tokens_wallet (owner_id, available, held)
SELECT wanted.owner_id, 0, 0
  FROM unnest(%(owner_ids)s::bigint[]) AS wanted(owner_id)
 WHERE NOT EXISTS (SELECT 1 FROM tokens_wallet a WHERE a.owner_id = wanted.owner_id)
 ORDER BY wanted.owner_id
    ON CONFLICT DO NOTHING
"""
LOCK_WALLETS_SQL = """
SELECT owner_id, id
  FROM tokens_wallet
 WHERE owner_id = ANY (%(owner_ids)s::bigint[])
 ORDER BY id
   FOR NO KEY UPDATE
"""
WRITE_LINES_SQL = """
INSERT INTO tokens_rechargeline (batch_id, row_no, user_ref, amount, outcome, wallet_id)
SELECT %(batch_id)s, line.*
  FROM unnest(
         %(row_nos)s::integer[], %(user_refs)s::text[], %(amounts)s::bigint[],
         %(outcomes)s::text[], %(wallet_ids)s::bigint[]
       ) AS line(row_no, user_ref, amount, outcome, wallet_id)
"""
POST_RECHARGE_SQL = """
INSERT INTO tokens_transfer (kind, wallet_id, debit, credit, amount, recharge_line_id)
SELECT 'RECHARGE', wallet_id, 'ISSUANCE', 'WALLET', amount, id
  FROM tokens_rechargeline
 WHERE batch_id = %(batch_id)s AND outcome = 'applied'
 ORDER BY id
"""
CREDIT_WALLETS_SQL = """
UPDATE tokens_wallet a
   SET available = a.available + line.amount
  FROM tokens_rechargeline line
 WHERE line.batch_id = %(batch_id)s AND line.outcome = 'applied' AND a.id = line.wallet_id
"""
# Guard and lock in one statement: no balance read earlier can be stale.
RESERVE_SQL = """
UPDATE tokens_wallet
   SET available = available - %(amount)s, held = held + %(amount)s
 WHERE owner_id = %(owner_id)s AND available >= %(amount)s
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """A requested line with its outcome; ``owner_id`` is set when the outcome is applied."""

    row_no: int
    user_ref: str
    amount: int
    outcome: str
    owner_id: int | None


def require_transaction() -> None:
    """Fail loudly where a lock would be released at once."""
    if not connection.in_atomic_block:
        raise RuntimeError("Ledger writes need an open transaction.")


def lock_wallets(*, owner_ids: Collection[int]) -> dict[int, int]:
    """Open missing wallets, then lock all of them in primary-key order.

    Opening comes first because a row that is not there cannot be locked: two first recharges of
    one user would otherwise race. Always three queries, whatever the number of owners.

    Returns:
        Wallet ids by owner id.
    """
    require_transaction()
    parameters = {"owner_ids": list(owner_ids)}
    with connection.cursor() as cursor:
        cursor.execute(OPEN_WALLETS_SQL, parameters)
        cursor.execute(LOCK_WALLETS_SQL, parameters)
        return dict(cursor.fetchall())


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


def post_recharge(*, batch_id: uuid.UUID, lines: Sequence[JudgedLine]) -> None:
    """Store every line and credit the applied ones, in a constant number of statements.

    Lines are written first with their final outcome; the journal and the wallets are then filled
    from those rows, so no two statements can disagree about what was granted.
    """
    owner_ids = [line.owner_id for line in lines if line.owner_id is not None]
    wallet_ids = lock_wallets(owner_ids=owner_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE_LINES_SQL,
            {
                "batch_id": batch_id,
                "row_nos": [line.row_no for line in lines],
                "user_refs": [line.user_ref for line in lines],
                "amounts": [line.amount for line in lines],
                "outcomes": [line.outcome for line in lines],
                "wallet_ids": [
                    None if line.owner_id is None else wallet_ids[line.owner_id] for line in lines
                ],
            },
        )
        if owner_ids:
            cursor.execute(POST_RECHARGE_SQL, {"batch_id": batch_id})
            cursor.execute(CREDIT_WALLETS_SQL, {"batch_id": batch_id})


def reserve(
    *, owner_id: int, amount: int, reference: str, expires_at: dt.datetime
) -> uuid.UUID | None:
    """Move ``amount`` from the owner's available tokens into a new hold.

    Returns:
        The hold's id, or None when the wallet has too few tokens; then nothing is written.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(RESERVE_SQL, {"owner_id": owner_id, "amount": amount})
        row = cursor.fetchone()
    if row is None:
        return None
    (wallet_id,) = row
    hold = Hold.objects.create(
        wallet_id=wallet_id, amount=amount, reference=reference, expires_at=expires_at
    )
    Transfer.objects.create(
        kind=Transfer.Kind.HOLD,
        wallet_id=wallet_id,
        debit=Account.WALLET,
        credit=Account.HELD,
        amount=amount,
        hold=hold,
    )
    return hold.pk


def lock_hold(*, hold_id: uuid.UUID) -> Hold:
    """Lock the hold's wallet, then the hold.

    Raises:
        Hold.DoesNotExist: there is no such hold.
    """
    require_transaction()
    wallet_of_hold = Hold.objects.filter(pk=hold_id).values("wallet_id")
    # len() runs the query: the lock is what it is for.
    len(Wallet.objects.select_for_update(no_key=True).filter(pk__in=wallet_of_hold))
    return Hold.objects.select_for_update(no_key=True, of=("self",)).get(pk=hold_id)


def resolve(*, hold: Hold, settled: int, status: Hold.Status, now: dt.datetime) -> None:
    """Close a locked, pending hold: ``settled`` tokens are spent, the rest goes back."""
    require_transaction()
    released = hold.amount - settled
    movements = [
        (Transfer.Kind.SETTLE, Account.CONSUMED, settled),
        (Transfer.Kind.RELEASE, Account.WALLET, released),
    ]
    Transfer.objects.bulk_create(
        Transfer(
            kind=kind,
            wallet_id=hold.wallet_id,
            debit=Account.HELD,
            credit=credit,
            amount=amount,
            hold=hold,
        )
        for kind, credit, amount in movements
        if amount
    )
    Wallet.objects.filter(pk=hold.wallet_id).update(
        available=F("available") + released, held=F("held") - hold.amount
    )
    hold.status, hold.settled, hold.resolved_at = status, settled, now
    hold.save(update_fields=["status", "settled", "resolved_at"])
