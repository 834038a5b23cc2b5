"""What workers do with a delivery on its way. Each step is one short transaction.

Leases and due times are kept on the database's clock, so workers whose clocks differ agree. Locks
are taken in the order endpoint, delivery.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import uuid
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts import webhook_notices, webhook_secrets
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.sealing import UnreadableError
from accounts.webhook_errors import WebhookEndpointNotFoundError
from accounts.webhook_types import Outgoing, Reply

log = structlog.get_logger(__name__)
Status = WebhookDelivery.Status
Reason = WebhookEndpoint.Reason

# Claims follow each other, or two at once would both count the calls of an endpoint before theirs.
CLAIM_LOCK_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('accounts.webhook_claim', 0))"
API_VERSION: Final = "1"
WORKER_LOST: Final = "worker_lost"
SECRET_UNREADABLE: Final = "secret_unreadable"  # noqa: S105  # the name of a fault
_GONE: Final = 410
_SUCCESS_RESOLUTION: Final = dt.timedelta(minutes=1)
DUE_SQL = """
WITH busy AS MATERIALIZED (
    SELECT endpoint_id FROM accounts_webhookdelivery
     WHERE lease_expires_at > clock_timestamp()
     GROUP BY endpoint_id HAVING count(*) >= %(calls_max)s
)
SELECT delivery.id FROM accounts_webhookdelivery delivery
  JOIN accounts_webhookendpoint endpoint
    ON endpoint.id = delivery.endpoint_id AND endpoint.status = 'ACTIVE'
 WHERE delivery.status = 'PENDING' AND delivery.next_attempt_at <= clock_timestamp()
   AND (delivery.lease_expires_at IS NULL OR delivery.lease_expires_at < clock_timestamp())
   AND delivery.attempts < %(attempts_max)s
   AND NOT EXISTS (SELECT 1 FROM busy WHERE busy.endpoint_id = delivery.endpoint_id)
 ORDER BY delivery.next_attempt_at LIMIT %(limit)s
"""
# An attempt is counted when it begins: a message that kills its worker comes to an end as well.
CLAIM_SQL = f"""
WITH due AS ({DUE_SQL} FOR NO KEY UPDATE OF delivery SKIP LOCKED)
UPDATE accounts_webhookdelivery delivery
   SET attempts = attempts + 1, attempts_count = attempts_count + 1,
       lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
  FROM due WHERE delivery.id = due.id
RETURNING delivery.id, clock_timestamp()
"""  # noqa: S608  # made of constants of this module


def attempts_max() -> int:
    """Tries of one schedule."""
    return len(settings.WEBHOOK_RETRY_DELAYS_S) + 1


def count_due(*, limit: int) -> int:
    """How many deliveries could be tried now, at most ``limit``."""
    with connection.cursor() as cursor:
        cursor.execute(DUE_SQL, _due_parameters(limit))
        return len(cursor.fetchall())


@transaction.atomic(durable=True)
def claim() -> Outgoing | None:
    """Take the delivery that is due for the longest, of endpoints that are not busy already."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_LOCK_SQL)
        cursor.execute(CLAIM_SQL, _due_parameters(1) | {"lease_s": settings.WEBHOOK_LEASE_S})
        taken = cursor.fetchone()
    if taken is None:
        return None
    delivery_id, now = taken
    row = WebhookDelivery.objects.select_related("endpoint", "event").get(pk=delivery_id)
    WebhookAttempt.objects.create(delivery=row, number=row.attempts_count, started_at=now)
    return Outgoing(
        delivery_id=row.pk,
        number=row.attempts_count,
        attempt=row.attempts,
        event_id=row.event_id,
        sent_at=now,
        url=row.endpoint.url,
        secrets=_secrets(row.endpoint, now),
        body=body_of(row.event),
    )


@transaction.atomic(durable=True)
def record(*, outgoing: Outgoing, reply: Reply) -> None:
    """Keep what came back, and decide what happens next.

    A worker that comes back after its lease was taken over leaves its answer with its try, and
    changes nothing else.
    """
    WebhookAttempt.objects.filter(
        delivery_id=outgoing.delivery_id, number=outgoing.number, latency_ms=None
    ).update(
        latency_ms=reply.latency_ms,
        status_code=reply.status_code,
        error=reply.error,
        excerpt=reply.excerpt,
    )
    row = _lock(outgoing.delivery_id)
    if row is None or row.status != Status.PENDING or row.attempts_count != outgoing.number:
        log.info("accounts.webhook.late_reply", delivery_id=str(outgoing.delivery_id))
        return
    row.lease_expires_at = None
    if reply.is_accepted:
        _finish(row, Status.DELIVERED)
        _note_success(row.endpoint_id)
    elif reply.status_code == _GONE:
        _finish(row, Status.FAILED)
        disable(endpoint_id=row.endpoint_id, reason=Reason.GONE)
    elif row.attempts >= attempts_max():
        _give_up(row)
    else:
        _try_later(row, reply)


def lost_delivery_ids(*, limit: int) -> list[uuid.UUID]:
    """Deliveries whose last try was cut off with its worker."""
    return list(_lost().order_by("lease_expires_at").values_list("pk", flat=True)[:limit])


@transaction.atomic(durable=True)
def end_lost(*, delivery_id: uuid.UUID) -> bool:
    """End such a delivery; False when somebody did meanwhile."""
    row = _lock(delivery_id)
    if row is None or not _lost().filter(pk=delivery_id).exists():
        return False
    WebhookAttempt.objects.filter(delivery=row, number=row.attempts_count).update(error=WORKER_LOST)
    row.lease_expires_at = None
    _give_up(row)
    return True


def lock_endpoint(*, endpoint_id: uuid.UUID) -> WebhookEndpoint | None:
    """An endpoint that is not deleted, locked in the caller's transaction."""
    locked = WebhookEndpoint.objects.select_for_update(no_key=True, of=("self",))
    return locked.filter(pk=endpoint_id).exclude(status=WebhookEndpoint.Status.DELETED).first()


def lock_mine(*, user_id: int, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """An endpoint of the user, locked in the caller's transaction.

    Raises:
        WebhookEndpointNotFoundError: there is none, or it is somebody else's.
    """
    found = lock_endpoint(endpoint_id=endpoint_id)
    if found is None or found.user_id != user_id:
        raise WebhookEndpointNotFoundError(_("You have no webhook endpoint with this id."))
    return found


def disable(*, endpoint_id: uuid.UUID, reason: WebhookEndpoint.Reason) -> bool:
    """Switch an endpoint off in the caller's transaction; its owner is told after the commit.

    What waits stays, and goes out when the endpoint is switched on again.

    Returns:
        False when it was off already; then nothing changes.
    """
    is_changed = WebhookEndpoint.objects.filter(
        pk=endpoint_id, status=WebhookEndpoint.Status.ACTIVE
    ).update(status=WebhookEndpoint.Status.DISABLED, disabled_reason=reason, disabled_at=Now())
    if is_changed:

        def tell_owner() -> None:
            webhook_notices.tell_owner(endpoint_id=endpoint_id)

        # A named function, not a partial: Django's log line for a failed hook asks for the name.
        transaction.on_commit(tell_owner, robust=True)
    return bool(is_changed)


def body_of(event: WebhookEvent) -> bytes:
    """What is sent: the same bytes in every attempt and to every endpoint."""
    return json.dumps(
        {
            "id": str(event.pk),
            "type": event.type,
            "api_version": API_VERSION,
            "timestamp": event.created_at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
            "data": event.data,
        },
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    ).encode()


def _due_parameters(limit: int) -> dict[str, Any]:
    return {
        "calls_max": settings.WEBHOOK_ENDPOINT_CALLS_MAX,
        "attempts_max": attempts_max(),
        "limit": limit,
    }


def _secrets(endpoint: WebhookEndpoint, now: dt.datetime) -> tuple[str, ...]:
    """Those that sign now, in clear; none when they cannot be read, and then nothing is sent."""
    sealed = [endpoint.secret]
    until = endpoint.previous_secret_until
    if endpoint.previous_secret and until is not None and until > now:
        sealed.append(endpoint.previous_secret)
    try:
        return tuple(webhook_secrets.unseal(text=text, endpoint_id=endpoint.pk) for text in sealed)
    except UnreadableError:
        # Only whoever keeps the keys can mend it; the schedule leaves days for that.
        log.exception("accounts.webhook.secret_unreadable", endpoint_id=str(endpoint.pk))
        return ()


def _lock(delivery_id: uuid.UUID) -> WebhookDelivery | None:
    """Lock a delivery and, before it, its endpoint, which the outcome may change."""
    endpoint_id = (
        WebhookDelivery.objects.filter(pk=delivery_id).values_list("endpoint_id", flat=True).first()
    )
    if endpoint_id is not None:
        lock_endpoint(endpoint_id=endpoint_id)
    locked = WebhookDelivery.objects.select_for_update(no_key=True, of=("self",))
    return locked.filter(pk=delivery_id).first()


def _lost() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(
        status=Status.PENDING, lease_expires_at__lt=Now(), attempts__gte=attempts_max()
    )


def _finish(row: WebhookDelivery, status: WebhookDelivery.Status) -> None:
    row.status = status
    row.finished_at = Now()
    row.save(update_fields=["status", "finished_at", "lease_expires_at"])
    transaction.on_commit(
        partial(log.info, f"accounts.webhook.{status.lower()}", delivery_id=str(row.pk))
    )


def _give_up(row: WebhookDelivery) -> None:
    """End a delivery, and switch its endpoint off unless it took others meanwhile."""
    _finish(row, Status.FAILED)
    first = WebhookAttempt.objects.get(delivery=row, number=row.attempts_count - row.attempts + 1)
    took_others = WebhookEndpoint.objects.filter(
        pk=row.endpoint_id, last_success_at__gt=first.started_at
    ).exists()
    if not took_others:
        disable(endpoint_id=row.endpoint_id, reason=Reason.FAILING)


def _try_later(row: WebhookDelivery, reply: Reply) -> None:
    delay_s = settings.WEBHOOK_RETRY_DELAYS_S[row.attempts - 1]
    jitter = settings.WEBHOOK_RETRY_JITTER
    delay_s *= secrets.SystemRandom().uniform(1 - jitter, 1 + jitter)
    # A receiver may ask for more time, never for less.
    delay_s = max(delay_s, reply.retry_after_s or 0)
    row.next_attempt_at = Now() + dt.timedelta(seconds=delay_s)
    row.save(update_fields=["next_attempt_at", "lease_expires_at"])


def _note_success(endpoint_id: uuid.UUID) -> None:
    """To the minute: a busy endpoint must not mean a write per delivery."""
    stale = Q(last_success_at=None) | Q(last_success_at__lt=Now() - _SUCCESS_RESOLUTION)
    WebhookEndpoint.objects.filter(stale, pk=endpoint_id).update(last_success_at=Now())
