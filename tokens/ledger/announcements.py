"""What accounts are told about their tokens, written with the movements that it tells of.

All functions join the caller's transaction. Who has no webhook endpoint is told nothing, and then
nothing is written.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Final

from accounts import services as accounts_services
from accounts.webhook_types import WebhookEventType
from tokens.ledger.locks import require_transaction
from tokens.models import Adjustment, RechargeBatch, Wallet

# Times as the API writes them.
ISO: Final = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
# From the session's table, as the lots are written from it.
CREDITED_ROWS_SQL = f"""
SELECT owner_id AS user_id,
       jsonb_build_object(
         'recharge_batch_id', %(batch_id)s::text,
         'row_no', row_no,
         'amount', amount,
         'category', lower(category),
         'lot_id', 'lot_' || lot_id,
         'effective_at',
         to_char(coalesce(effective_at, now()) AT TIME ZONE 'UTC', {ISO}),
         'expires_at', to_char(expires_at AT TIME ZONE 'UTC', {ISO})
       ) AS data
  FROM tokens_judged WHERE outcome = 'applied'
"""  # noqa: S608  # made of constants of this module
REVERSED_ROWS_SQL = """
SELECT w.owner_id AS user_id,
       jsonb_build_object(
         'recharge_batch_id', %(batch_id)s::text,
         'row_no', j.row_no,
         'reversal_of', origin.batch_id,
         'amount', j.amount,
         'lot_id', 'lot_' || j.lot_id
       ) AS data
  FROM tokens_judged j
  JOIN tokens_wallet w ON w.id = j.wallet_id
  JOIN tokens_rechargeline origin ON origin.id = j.origin
 WHERE j.outcome = 'applied'
"""
# Before the lots are emptied.
EXPIRED_ROWS_SQL = """
SELECT w.owner_id AS user_id,
       jsonb_build_object('tokens', sum(l.available), 'lots_count', count(*)) AS data
  FROM tokens_creditlot l JOIN tokens_wallet w ON w.id = l.wallet_id
 WHERE l.wallet_id = ANY (%(wallet_ids)s) AND l.is_live AND l.available > 0
   AND l.expires_at <= %(now)s
 GROUP BY w.owner_id
"""
_BY_STATUS: Final = {
    Wallet.Status.ACTIVE: WebhookEventType.WALLET_UNFROZEN,
    Wallet.Status.FROZEN: WebhookEventType.WALLET_FROZEN,
    Wallet.Status.CLOSED: WebhookEventType.WALLET_CLOSED,
}


def tell_credited(*, batch_id: uuid.UUID, is_scheduled: bool) -> None:
    """Tell the owner of every judged row that is applied; one statement for all."""
    require_transaction()
    accounts_services.enqueue_webhooks(
        event_type=(
            WebhookEventType.GRANT_APPLIED if is_scheduled else WebhookEventType.RECHARGE_APPLIED
        ),
        rows_sql=CREDITED_ROWS_SQL,
        parameters={"batch_id": str(batch_id)},
    )


def tell_reversed(*, batch_id: uuid.UUID) -> None:
    """Tell the owner of every judged row that is taken back; one statement for all."""
    require_transaction()
    accounts_services.enqueue_webhooks(
        event_type=WebhookEventType.RECHARGE_REVERSED,
        rows_sql=REVERSED_ROWS_SQL,
        parameters={"batch_id": str(batch_id)},
    )


def tell_adjusted(*, adjustment: Adjustment, owner_id: int) -> None:
    """Tell the owner that somebody corrected the balance; the reason is for staff."""
    require_transaction()
    accounts_services.enqueue_webhook(
        event_type=WebhookEventType.BALANCE_ADJUSTED,
        user_id=owner_id,
        data={
            "adjustment_id": str(adjustment.pk),
            "amount": adjustment.amount,
            "available": adjustment.available_after,
        },
    )


def tell_batch_finished(*, batch: RechargeBatch) -> None:
    """Tell whoever created a batch that it has ended."""
    accounts_services.enqueue_webhook(
        event_type=WebhookEventType.RECHARGE_BATCH_FINISHED,
        user_id=batch.actor_id,
        data={
            "id": str(batch.pk),
            "mode": batch.mode.lower(),
            "status": batch.status.lower(),
            "lines_count": batch.lines_count,
            "applied_count": batch.applied_count,
            "tokens_total": batch.tokens_total,
        },
    )


def tell_expired(*, wallet_ids: Sequence[int], now: dt.datetime) -> None:
    """Tell the owners of locked wallets what is about to expire."""
    require_transaction()
    accounts_services.enqueue_webhooks(
        event_type=WebhookEventType.TOKENS_EXPIRED,
        rows_sql=EXPIRED_ROWS_SQL,
        parameters={"wallet_ids": list(wallet_ids), "now": now},
    )


def tell_wallet_moved(*, wallet: Wallet, to: Wallet.Status, user_ref: str) -> None:
    """Tell the owner that the wallet was frozen, unfrozen or closed."""
    require_transaction()
    accounts_services.enqueue_webhook(
        event_type=_BY_STATUS[to],
        user_id=wallet.owner_id,
        data={"user_ref": user_ref, "status": to.lower()},
    )
