"""The outbox of webhooks: events and deliveries written in the transaction of what they tell of.

One statement writes any number of them, and only for accounts that have an endpoint: a recharge of
a hundred thousand accounts of which nobody listens reads one index and writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import connection

from accounts.models import WebhookEndpoint
from accounts.webhook_types import WebhookEventType

LISTENERS = WebhookEndpoint.objects.exclude(status=WebhookEndpoint.Status.DELETED)
# Stands for the SELECT of ``user_id`` and ``data`` that the caller provides.
ROWS = "{rows}"
# An endpoint that is switched off gets no deliveries, but the events are there to be replayed.
WRITE_SQL = f"""
WITH event AS (
    INSERT INTO accounts_webhookevent (id, user_id, type, data, created_at)
    SELECT gen_random_uuid(), happened.user_id, %(webhook_type)s, happened.data,
           statement_timestamp()
      FROM ({ROWS}) happened
     WHERE EXISTS (
           SELECT 1 FROM accounts_webhookendpoint listener
            WHERE listener.user_id = happened.user_id AND listener.status <> 'DELETED'
     )
    RETURNING id, user_id, created_at
)
INSERT INTO accounts_webhookdelivery
       (id, endpoint_id, event_id, status, attempts, attempts_count, next_attempt_at, created_at)
SELECT gen_random_uuid(), endpoint.id, event.id, 'PENDING', 0, 0, event.created_at,
       event.created_at
  FROM event
  JOIN accounts_webhookendpoint endpoint ON endpoint.user_id = event.user_id
 WHERE endpoint.status = 'ACTIVE'
   AND endpoint.events && ARRAY[%(webhook_type)s, '*']::varchar[]
"""  # noqa: S608  # made of constants of this module
ONE_ROW_SQL = "SELECT %(user_id)s::bigint AS user_id, %(data)s::jsonb AS data"


def has_listener(*, user_id: int | None) -> bool:
    """Whether the account, or any account (None), has an endpoint."""
    listeners = LISTENERS if user_id is None else LISTENERS.filter(user_id=user_id)
    return listeners.exists()


def write(*, event_type: WebhookEventType, user_id: int, data: Mapping[str, Any]) -> int:
    """Write one event; the number of deliveries that are due with it."""
    return write_many(
        event_type=event_type,
        rows_sql=ONE_ROW_SQL,
        parameters={"user_id": user_id, "data": json.dumps(data)},
    )


def write_many(
    *, event_type: WebhookEventType, rows_sql: str, parameters: Mapping[str, Any]
) -> int:
    """Write an event for every row of a SELECT; the number of deliveries that are due."""
    if not connection.in_atomic_block:
        raise RuntimeError("an event is written in the transaction of what it tells of")
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE_SQL.replace(ROWS, rows_sql), {**parameters, "webhook_type": event_type.value}
        )
        return int(cursor.rowcount)
