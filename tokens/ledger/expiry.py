"""Expiry of lots, set-based."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Count, Sum

from tokens.ledger import announcements
from tokens.ledger.locks import require_transaction
from tokens.models import CreditLot

# A wallet that somebody works on right now is left to the next run.
LOCK_DUE_WALLETS_SQL = """
SELECT id FROM tokens_wallet
 WHERE id IN (
       SELECT wallet_id FROM tokens_creditlot
        WHERE is_live AND available > 0 AND expires_at <= %(now)s
        ORDER BY expires_at LIMIT %(limit)s
 )
 ORDER BY id
   FOR NO KEY UPDATE SKIP LOCKED
"""
# Tokens expire when their lot says so; where that month is closed, in the first open one.
POST_EXPIRY_SQL = """
WITH posted AS (
INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, effective_at)
SELECT 'EXPIRE', wallet_id, id, 'WALLET', 'BREAKAGE', available, tokens_open_moment(expires_at)
  FROM tokens_creditlot
 WHERE wallet_id = ANY (%(wallet_ids)s) AND is_live AND available > 0
   AND expires_at <= %(now)s
 ORDER BY wallet_id, id
RETURNING lot_id, amount
)
SELECT l.category, count(*), sum(p.amount)
  FROM posted p JOIN tokens_creditlot l ON l.id = p.lot_id
 GROUP BY l.category ORDER BY l.category
"""
DEBIT_WALLETS_SQL = """
UPDATE tokens_wallet w SET available = w.available - due.tokens
  FROM (
       SELECT wallet_id, sum(available) AS tokens FROM tokens_creditlot
        WHERE wallet_id = ANY (%(wallet_ids)s) AND is_live AND available > 0
   AND expires_at <= %(now)s
        GROUP BY wallet_id
  ) due
 WHERE w.id = due.wallet_id
"""
EMPTY_LOTS_SQL = """
UPDATE tokens_creditlot SET available = 0
 WHERE wallet_id = ANY (%(wallet_ids)s) AND is_live AND available > 0
   AND expires_at <= %(now)s
"""


@dataclass(frozen=True, slots=True)
class ExpiryCount:
    """What was expired; ``by_category`` has lots and tokens of each category that had any."""

    wallets: int = 0
    by_category: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def lots(self) -> int:
        """Lots of all categories."""
        return sum(lots for lots, _tokens in self.by_category.values())

    @property
    def tokens(self) -> int:
        """Tokens of all categories."""
        return sum(tokens for _lots, tokens in self.by_category.values())

    def __add__(self, other: ExpiryCount) -> ExpiryCount:
        """Both together; a wallet that is in both counts twice."""
        sums = dict(self.by_category)
        for category, (lots, tokens) in other.by_category.items():
            lots_before, tokens_before = sums.get(category, (0, 0))
            sums[category] = (lots_before + lots, tokens_before + tokens)
        return ExpiryCount(wallets=self.wallets + other.wallets, by_category=sums)


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
        by_category = {category: (lots, int(tokens)) for category, lots, tokens in cursor}
        announcements.tell_expired(wallet_ids=wallet_ids, now=now)
        cursor.execute(DEBIT_WALLETS_SQL, parameters)
        cursor.execute(EMPTY_LOTS_SQL, parameters)
    return ExpiryCount(wallets=len(wallet_ids), by_category=by_category)


def overdue(*, now: dt.datetime) -> ExpiryCount:
    """What is overdue and not expired yet; changes nothing."""
    lots = CreditLot.objects.filter(is_live=True, available__gt=0, expires_at__lte=now)
    by_category = lots.values_list("category").annotate(lots=Count("pk"), tokens=Sum("available"))
    return ExpiryCount(
        wallets=lots.aggregate(wallets=Count("wallet_id", distinct=True))["wallets"],
        by_category={
            category: (count, int(tokens))
            for category, count, tokens in by_category.order_by("category")
        },
    )
