"""Expiry of lots, set-based."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection

from tokens.ledger.locks import require_transaction

# A wallet that somebody works on right now is left to the next run.
LOCK_DUE_WALLETS_SQL = """
SELECT id FROM tokens_wallet
 WHERE id IN (
       SELECT wallet_id FROM tokens_creditlot
        WHERE available > 0 AND expires_at <= %(now)s
        ORDER BY expires_at LIMIT %(limit)s
 )
 ORDER BY id
   FOR NO KEY UPDATE SKIP LOCKED
"""
# Tokens expire when their lot says so; where that month is closed, in the first open one.
POST_EXPIRY_SQL = """
INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, effective_at)
SELECT 'EXPIRE', wallet_id, id, 'WALLET', 'BREAKAGE', available, tokens_open_moment(expires_at)
  FROM tokens_creditlot
 WHERE wallet_id = ANY (%(wallet_ids)s) AND available > 0 AND expires_at <= %(now)s
 ORDER BY wallet_id, id
RETURNING amount
"""
DEBIT_WALLETS_SQL = """
UPDATE tokens_wallet w SET available = w.available - due.tokens
  FROM (
       SELECT wallet_id, sum(available) AS tokens FROM tokens_creditlot
        WHERE wallet_id = ANY (%(wallet_ids)s) AND available > 0 AND expires_at <= %(now)s
        GROUP BY wallet_id
  ) due
 WHERE w.id = due.wallet_id
"""
EMPTY_LOTS_SQL = """
UPDATE tokens_creditlot SET available = 0
 WHERE wallet_id = ANY (%(wallet_ids)s) AND available > 0 AND expires_at <= %(now)s
"""


@dataclass(frozen=True, slots=True)
class ExpiryCount:
    """What one step expired."""

    wallets: int = 0
    lots: int = 0
    tokens: int = 0


def expire_lots(*, now: dt.datetime, limit: int) -> ExpiryCount:
    """Move what is left of overdue lots to breakage; held tokens stay with their jobs.

    Args:
        now: lots whose expiry is not after this moment.
        limit: look at this many overdue lots to choose the wallets; all of a chosen wallet's
            overdue lots expire.

    Returns:
        Zeros when nothing is overdue, or all of it is being worked on.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_DUE_WALLETS_SQL, {"now": now, "limit": limit})
        wallet_ids = [row[0] for row in cursor.fetchall()]
        if not wallet_ids:
            return ExpiryCount()
        parameters: dict[str, Any] = {"now": now, "wallet_ids": wallet_ids}
        cursor.execute(POST_EXPIRY_SQL, parameters)
        amounts = [row[0] for row in cursor.fetchall()]
        cursor.execute(DEBIT_WALLETS_SQL, parameters)
        cursor.execute(EMPTY_LOTS_SQL, parameters)
    return ExpiryCount(wallets=len(wallet_ids), lots=len(amounts), tokens=sum(amounts))
