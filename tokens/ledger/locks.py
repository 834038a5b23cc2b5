"""Locks of the ledger."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import DatabaseError, connection

# Deadlock, lock timeout, serialisation failure.
CONTENTION = frozenset({"40P01", "55P03", "40001"})

OPEN_WALLETS_SQL = """
INSERT INTO tokens_wallet (owner_id)
SELECT wanted.owner_id
  FROM unnest(%(owner_ids)s::bigint[]) AS wanted(owner_id)
 WHERE NOT EXISTS (SELECT 1 FROM tokens_wallet w WHERE w.owner_id = wanted.owner_id)
 ORDER BY wanted.owner_id
    ON CONFLICT DO NOTHING
"""
LOCK_WALLETS_SQL = """
SELECT owner_id, id, status, available + held, balance_max
  FROM tokens_wallet
 WHERE owner_id = ANY (%(owner_ids)s::bigint[])
 ORDER BY id
   FOR NO KEY UPDATE
"""


@dataclass(frozen=True, slots=True)
class LockedWallet:
    """A wallet as it is under its lock; ``balance`` is available and held tokens together."""

    wallet_id: int
    status: str
    balance: int
    balance_max: int | None


def require_transaction() -> None:
    """Fail loudly where a lock would be released at once."""
    if not connection.in_atomic_block:
        raise RuntimeError("Ledger writes need an open transaction.")


def lock_wallets(*, owner_ids: Collection[int]) -> dict[int, LockedWallet]:
    """Open missing wallets, then lock all of them in primary-key order.

    Opening comes first because a row that is not there cannot be locked: two first recharges of
    one user would otherwise race. Always two statements, whatever the number of owners.

    Returns:
        Wallets by owner id.
    """
    require_transaction()
    parameters = {"owner_ids": list(owner_ids)}
    with connection.cursor() as cursor:
        cursor.execute(OPEN_WALLETS_SQL, parameters)
        cursor.execute(LOCK_WALLETS_SQL, parameters)
        return {owner_id: LockedWallet(*wallet) for owner_id, *wallet in cursor.fetchall()}


def is_contention(error: DatabaseError) -> bool:
    """Whether others were in the way (deadlock, lock or serialisation), so that a retry helps."""
    return getattr(error.__cause__, "sqlstate", None) in CONTENTION
