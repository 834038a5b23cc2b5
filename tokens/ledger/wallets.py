"""One wallet at a time: its lock, its figures, its status."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection

from tokens.ledger import announcements
from tokens.ledger.events import record_event
from tokens.ledger.expiry import DEBIT_WALLETS_SQL, EMPTY_LOTS_SQL, POST_EXPIRY_SQL
from tokens.ledger.locks import lock_wallets, require_transaction
from tokens.models import Wallet

Status = Wallet.Status
# A statement of its own after the wait for the lock: a lot may have started or expired meanwhile.
FIGURES_SQL = """
SELECT clock.now,
       coalesce(sum(lot.available) FILTER (
         WHERE lot.effective_at <= clock.now
           AND (lot.expires_at IS NULL OR lot.expires_at > clock.now)), 0),
       coalesce(sum(lot.available) FILTER (WHERE lot.effective_at > clock.now), 0)
  FROM (SELECT clock_timestamp() AS now) clock
  LEFT JOIN tokens_creditlot lot
    ON lot.wallet_id = %(wallet_id)s AND lot.is_live AND lot.available > 0
 GROUP BY clock.now
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a locked wallet has at ``now``: to spend, to spend later, and set aside."""

    now: dt.datetime
    spendable: int
    pending: int
    held: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.spendable + self.pending + self.held


def lock(*, owner_id: int) -> Wallet:
    """Open the owner's wallet if it is missing, and lock it."""
    wallet_id = lock_wallets(owner_ids=[owner_id])[owner_id].wallet_id
    return Wallet.objects.get(pk=wallet_id)


def figures(*, wallet: Wallet) -> Figures:
    """What the wallet has now; exact under its lock, else a moment's picture."""
    with connection.cursor() as cursor:
        cursor.execute(FIGURES_SQL, {"wallet_id": wallet.pk})
        now, spendable, pending = cursor.fetchone()
    return Figures(now=now, spendable=int(spendable), pending=int(pending), held=wallet.held)


def expire_overdue(*, wallet: Wallet, now: dt.datetime) -> None:
    """Do for one locked wallet at once what the sweep will do."""
    require_transaction()
    announcements.tell_expired(wallet_ids=[wallet.pk], now=now)
    with connection.cursor() as cursor:
        for statement in (POST_EXPIRY_SQL, DEBIT_WALLETS_SQL, EMPTY_LOTS_SQL):
            cursor.execute(statement, {"wallet_ids": [wallet.pk], "now": now})
    wallet.refresh_from_db()


def move(
    *, wallet: Wallet, to: Wallet.Status, user_ref: str, actor_id: int | None, reason: str
) -> None:
    """Give a locked wallet another status, and write the event with the reason."""
    require_transaction()
    before = state(wallet)
    wallet.status = to
    wallet.save(update_fields=["status"])
    record_event(
        actor_id=actor_id,
        action=f"wallet.{EVENTS[to]}",
        subject=subject(user_ref),
        before=before,
        after=state(wallet) | {"reason": reason},
    )
    announcements.tell_wallet_moved(wallet=wallet, to=to, user_ref=user_ref)


def state(wallet: Wallet) -> dict[str, Any]:
    """A wallet as audit events keep it."""
    return {
        "status": wallet.status.lower(),
        "available": wallet.available,
        "held": wallet.held,
    }


def subject(user_ref: str) -> str:
    """What audit events call the wallet of this user."""
    return f"wallet:{user_ref}"


EVENTS = {Status.ACTIVE: "unfrozen", Status.FROZEN: "frozen", Status.CLOSED: "closed"}
