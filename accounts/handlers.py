"""Bodies of the accounts tasks: deliver what is due, end freezes, throw old rows away.

A crash at any line leaves a delivery with a lease that lapses; the next run takes it over, and the
receiver may get the event twice, with the same id. No transaction is open during a call.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from accounts import freezes, webhook_deliveries, webhook_sender
from accounts.models import AccountFreeze, SignIn, WebhookAttempt, WebhookDelivery, WebhookEvent
from accounts.webhook_types import Outgoing, Reply

log = structlog.get_logger(__name__)
_RUN_S: Final = 30.0
_LOST_LIMIT: Final = 100
_PURGE_ROWS: Final = 5_000
_TIME_OVER: Final = "its time was over"


def deliver_webhooks(*, threads_max: int | None = None, seconds_max: float = _RUN_S) -> bool:
    """Try everything that is due, several calls at once.

    Args:
        threads_max: calls at once; WEBHOOK_THREADS by default. With 1, all happens in this thread.
        seconds_max: begin no call after so long, so that a worker can be stopped.

    Returns:
        Whether there was more to do when the time was over.
    """
    for delivery_id in webhook_deliveries.lost_delivery_ids(limit=_LOST_LIMIT):
        webhook_deliveries.end_lost(delivery_id=delivery_id)
    limit = settings.WEBHOOK_THREADS if threads_max is None else threads_max
    threads = webhook_deliveries.count_due(limit=limit)
    if not threads:
        return False
    ends_at = time.monotonic() + seconds_max
    if threads == 1:
        return _deliver_until(ends_at)
    with ThreadPoolExecutor(threads, thread_name_prefix="webhook") as pool:
        runs = [pool.submit(_deliver_in_thread, ends_at) for _thread in range(threads)]
    has_more = [run.result() for run in runs]
    return any(has_more)


def lift_expired_freezes(*, now: dt.datetime | None = None) -> int:
    """End the freezes whose time is over, each in a transaction of its own.

    Returns:
        The number of webhook deliveries that are due with it.
    """
    moment = now or timezone.now()
    due = AccountFreeze.objects.filter(lifted_at=None, expires_at__lte=moment)
    deliveries_count = 0
    for freeze_id, user_id in due.order_by("expires_at").values_list("pk", "user_id"):
        with transaction.atomic(durable=True):
            user = freezes.lock(user_id=user_id)
            # Again under the lock: it may have been lifted or prolonged meanwhile.
            row = due.filter(pk=freeze_id).first()
            if row is None:
                continue
            deliveries_count += freezes.lift(
                user=user, freeze=row, actor_id=None, reason=_TIME_OVER
            )
        log.info("accounts.freeze.expired", user_id=user_id, freeze_id=str(freeze_id))
    return deliveries_count


def purge_sign_ins(*, now: dt.datetime | None = None) -> int:
    """Forget sign-ins that are older than SIGN_INS_KEEP_DAYS; returns how many there were."""
    before = (now or timezone.now()) - dt.timedelta(days=settings.SIGN_INS_KEEP_DAYS)
    count, _by_model = SignIn.objects.filter(created_at__lt=before).delete()
    if count:
        log.info("accounts.sign_ins.purged", count=count)
    return count


def purge_webhooks(*, now: dt.datetime | None = None) -> int:
    """Delete events that are older than WEBHOOK_KEEP_DAYS, with their deliveries and tries.

    Returns:
        The number of events.
    """
    created_before = (now or timezone.now()) - dt.timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    total = sum(_purge(created_before))
    if total:
        log.info("accounts.webhook.purged", events=total)
    return total


def _purge(created_before: dt.datetime) -> Iterator[int]:
    """One short transaction per round."""
    while True:
        with transaction.atomic(durable=True):
            old = WebhookEvent.objects.filter(created_at__lt=created_before)
            ids = list(old.order_by("created_at").values_list("pk", flat=True)[:_PURGE_ROWS])
            deliveries = WebhookDelivery.objects.filter(event__in=ids)
            WebhookAttempt.objects.filter(delivery__in=deliveries).delete()
            deliveries.delete()
            WebhookEvent.objects.filter(pk__in=ids).delete()
        if not ids:
            return
        yield len(ids)


def _deliver_in_thread(ends_at: float) -> bool:
    try:
        return _deliver_until(ends_at)
    finally:
        connections.close_all()


def _deliver_until(ends_at: float) -> bool:
    while time.monotonic() < ends_at:
        outgoing = webhook_deliveries.claim()
        if outgoing is None:
            return False
        webhook_deliveries.record(outgoing=outgoing, reply=_try(outgoing))
    return True


def _try(outgoing: Outgoing) -> Reply:
    if not outgoing.secrets:
        return Reply(latency_ms=0, error=webhook_deliveries.SECRET_UNREADABLE)
    return webhook_sender.send(outgoing)
