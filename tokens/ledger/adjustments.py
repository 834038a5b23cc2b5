"""Corrections by hand: an adjustment, its transfers and its event, under the wallet's lock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens.ledger import announcements
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.ledger.wallets import subject
from tokens.models import Account, Adjustment, CreditLot, Transfer, Wallet

# Which lots, in burn order, give how much. With ``takes_all`` also those that start later.
TAKEN_SQL = """
WITH ranked AS (
    SELECT id, available,
           sum(available) OVER burn - available AS before,
           row_number() OVER burn AS position
      FROM tokens_creditlot
     WHERE wallet_id = %(wallet_id)s AND is_live AND available > 0
       AND (expires_at IS NULL OR expires_at > %(now)s)
       AND (%(takes_all)s OR effective_at <= %(now)s)
    WINDOW burn AS (ORDER BY priority, expires_at NULLS LAST, id)
), taken AS (
    SELECT id, position, least(available, %(amount)s - before) AS amount
      FROM ranked WHERE before < %(amount)s
)
"""
LIST_TAKEN_SQL = """
:taken
SELECT id, amount FROM taken ORDER BY position
""".replace(":taken", TAKEN_SQL)
TAKE_SQL = """
:taken, drawn AS (
    UPDATE tokens_creditlot lot SET available = lot.available - taken.amount
      FROM taken WHERE lot.id = taken.id
), journal AS (
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, adjustment_id)
    SELECT 'DEBIT', %(wallet_id)s, id, 'WALLET', 'ADJUSTMENT', amount, %(adjustment_id)s
      FROM taken ORDER BY position
)
UPDATE tokens_wallet SET available = available - total.tokens
  FROM (SELECT sum(amount) AS tokens FROM taken) total
 WHERE id = %(wallet_id)s AND total.tokens = %(amount)s
""".replace(":taken", TAKEN_SQL.rstrip())
LOCK_KEY_SQL = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True)
class Draw:
    """Which of a wallet's lots a debit of ``amount`` may take from at ``now``."""

    wallet_id: int
    amount: int
    now: dt.datetime
    takes_all: bool = False

    def parameters(self) -> dict[str, Any]:
        """For the statements above."""
        return {
            "wallet_id": self.wallet_id,
            "amount": self.amount,
            "now": self.now,
            "takes_all": self.takes_all,
        }


def claim_key(*, actor_id: int, key: str, fingerprint: str) -> Adjustment | None:
    """Keep the key from others until the transaction ends; the adjustment it already made, if any.

    A second request with the key waits for the first one's commit, and then finds its row.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_KEY_SQL, [f"adjustment:{actor_id}:{key}"])
    stored = Adjustment.objects.filter(
        actor_id=actor_id, key_scope=Adjustment.Scope.ADJUST, idempotency_key=key
    ).first()
    if stored is not None and stored.request_fingerprint != fingerprint:
        raise IdempotencyKeyReusedError(
            _("This key was used with another adjustment."), param="Idempotency-Key"
        )
    return stored


def draws(draw: Draw) -> list[tuple[int, int]]:
    """Lots and tokens that a debit would take, in burn order."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_TAKEN_SQL, draw.parameters())
        return [(int(lot_id), int(amount)) for lot_id, amount in cursor.fetchall()]


def post(*, adjustment: Adjustment, wallet: Wallet, user_ref: str, now: dt.datetime) -> None:
    """Store a new adjustment, move its tokens, write its event; the wallet is locked.

    The caller has made sure that a debit finds its tokens; should it not, nothing is left.
    """
    require_transaction()
    before = {"available": wallet.available, "held": wallet.held}
    adjustment.save(force_insert=True)
    if adjustment.amount > 0:
        _give(adjustment, wallet)
    else:
        takes_all = adjustment.key_scope == Adjustment.Scope.CLOSE
        _take(adjustment, Draw(wallet.pk, -adjustment.amount, now, takes_all))
    wallet.refresh_from_db()
    announcements.tell_adjusted(adjustment=adjustment, owner_id=wallet.owner_id)
    record_event(
        actor_id=adjustment.actor_id,
        action="wallet.adjusted",
        subject=subject(user_ref),
        before=before,
        after={
            "available": wallet.available,
            "held": wallet.held,
            "adjustment": str(adjustment.pk),
            "amount": adjustment.amount,
            "reason": adjustment.reason,
        },
    )


def _give(adjustment: Adjustment, wallet: Wallet) -> None:
    lot = CreditLot.objects.create(
        wallet=wallet,
        category=CreditLot.Category.ADJUSTED,
        granted=adjustment.amount,
        available=adjustment.amount,
    )
    Transfer.objects.create(
        kind=Transfer.Kind.CREDIT,
        wallet=wallet,
        lot=lot,
        debit=Account.ADJUSTMENT,
        credit=Account.WALLET,
        amount=adjustment.amount,
        adjustment=adjustment,
    )
    wallet.available += adjustment.amount
    wallet.save(update_fields=["available"])


def _take(adjustment: Adjustment, draw: Draw) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TAKE_SQL, draw.parameters() | {"adjustment_id": adjustment.pk})
        if cursor.rowcount != 1:
            raise RuntimeError("the lots of a locked wallet do not hold what was just counted")
