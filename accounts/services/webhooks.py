"""Events that others write for an account, tests, replays, and balance alerts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts import outbox, tasks, webhook_deliveries
from accounts.models import BalanceAlert, WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.webhook_errors import (
    WebhookDeliveryNotFoundError,
    WebhookEndpointDisabledError,
    WebhookEndpointNotFoundError,
    WebhookRangeError,
)
from accounts.webhook_types import EVERY_EVENT, WebhookEventType
from facefusion_site.common.celery import send_on_commit

Status = WebhookEndpoint.Status
Data = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


def enqueue_webhook(*, event_type: WebhookEventType, user_id: int, data: Data) -> None:
    """Tell an account that something happened to it. Joins the caller's transaction.

    Costs one look into an index when the account has no endpoint; then ``data`` is not asked for.

    Args:
        event_type: what happened.
        user_id: whom.
        data: the content, or what makes it: JSON of at most a few hundred bytes, without secrets.
    """
    if not outbox.has_listener(user_id=user_id):
        return
    content = data() if callable(data) else data
    wake(outbox.write(event_type=event_type, user_id=user_id, data=content))


def enqueue_webhooks(
    *, event_type: WebhookEventType, rows_sql: str, parameters: Mapping[str, Any]
) -> None:
    """Tell many accounts at once, with one statement. Joins the caller's transaction.

    Args:
        event_type: what happened.
        rows_sql: a SELECT of ``user_id`` (bigint) and ``data`` (jsonb), one row per event.
        parameters: of that SELECT, by name.
    """
    if not outbox.has_listener(user_id=None):
        return
    wake(outbox.write_many(event_type=event_type, rows_sql=rows_sql, parameters=parameters))


@transaction.atomic
def send_test(*, user_id: int, endpoint_id: uuid.UUID) -> uuid.UUID:
    """Send an event that tells of nothing to one endpoint, whatever its filter.

    Returns:
        The delivery's id.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
        WebhookEndpointDisabledError: it is switched off.
    """
    row = _active(user_id=user_id, endpoint_id=endpoint_id)
    event = WebhookEvent.objects.create(
        user_id=user_id,
        type=WebhookEventType.WEBHOOK_TEST,
        data={"webhook_endpoint_id": str(row.pk)},
    )
    delivery = WebhookDelivery.objects.create(endpoint=row, event=event)
    wake(1)
    return delivery.pk


@transaction.atomic
def replay_delivery(*, user_id: int, delivery_id: uuid.UUID) -> None:
    """Deliver an event again, with the same id and a schedule that starts anew.

    One that waits is tried at once.

    Raises:
        WebhookDeliveryNotFoundError: the user has no such delivery.
        WebhookEndpointDisabledError: its endpoint is switched off or deleted.
    """
    mine = WebhookDelivery.objects.filter(pk=delivery_id, endpoint__user_id=user_id)
    endpoint_id = mine.values_list("endpoint_id", flat=True).first()
    if endpoint_id is None:
        raise WebhookDeliveryNotFoundError(_("You have no delivery with this id."))
    try:
        _active(user_id=user_id, endpoint_id=endpoint_id)
    except WebhookEndpointNotFoundError as error:
        raise WebhookEndpointDisabledError(_("The endpoint was deleted.")) from error
    _start_anew(mine)
    wake(1)


@transaction.atomic
def replay_range(
    *,
    user_id: int,
    endpoint_id: uuid.UUID,
    begins_at: dt.datetime,
    ends_at: dt.datetime,
    only_undelivered: bool,
) -> int:
    """Deliver every event of a time again that the endpoint's filter lets through.

    Events that came while the endpoint was off, or before it was there, are delivered as well.

    Args:
        user_id: the owner.
        endpoint_id: where to.
        begins_at: of the first event.
        ends_at: the moment behind the last one.
        only_undelivered: leave out what the endpoint has accepted.

    Returns:
        How many events.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
        WebhookEndpointDisabledError: it is switched off.
        WebhookRangeError: the range is empty, or has more than WEBHOOK_REPLAY_MAX events.
    """
    if begins_at >= ends_at:
        raise WebhookRangeError(_("The range ends before it begins."), param="to")
    row = _active(user_id=user_id, endpoint_id=endpoint_id)
    events = WebhookEvent.objects.filter(
        user_id=user_id, created_at__gte=begins_at, created_at__lt=ends_at
    ).exclude(type=WebhookEventType.WEBHOOK_TEST)
    if EVERY_EVENT not in row.events:
        events = events.filter(type__in=row.events)
    known = WebhookDelivery.objects.filter(endpoint=row)
    if only_undelivered:
        done = known.filter(status=WebhookDelivery.Status.DELIVERED)
        events = events.exclude(pk__in=done.values("event_id"))
    ids = list(
        events.order_by("created_at", "pk").values_list("pk", flat=True)[
            : settings.WEBHOOK_REPLAY_MAX + 1
        ]
    )
    if len(ids) > settings.WEBHOOK_REPLAY_MAX:
        raise WebhookRangeError(
            _("The range has more than %(max)d events.") % {"max": settings.WEBHOOK_REPLAY_MAX},
            param="to",
        )
    WebhookDelivery.objects.bulk_create(
        [WebhookDelivery(endpoint=row, event_id=event_id) for event_id in ids],
        batch_size=1_000,
        ignore_conflicts=True,
    )
    _start_anew(known.filter(event_id__in=ids))
    wake(len(ids))
    return len(ids)


@transaction.atomic
def set_balance_alert(*, user_id: int, below: int | None) -> None:
    """Ask to be told when the spendable balance falls below so many tokens; None for not at all.

    Told once until the balance is at or above the bound again; a new bound starts anew.
    """
    BalanceAlert.objects.filter(pk=user_id).delete()
    if below is not None:
        BalanceAlert.objects.create(user_id=user_id, below=below)


@transaction.atomic(durable=True)
def note_balances(*, balances: Mapping[int, int]) -> None:
    """Compare spendable balances with the alerts, and tell those that have fallen below.

    Accounts that another run looks at right now are left to it.
    """
    alerts = BalanceAlert.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    for alert in alerts.filter(pk__in=balances).order_by("pk"):
        available = balances[alert.pk]
        is_low = available < alert.below
        if is_low == alert.is_low:
            continue
        alert.is_low = is_low
        alert.save(update_fields=["is_low"])
        if is_low:
            enqueue_webhook(
                event_type=WebhookEventType.BALANCE_LOW,
                user_id=alert.pk,
                data={"available": available, "below": alert.below},
            )


def wake(deliveries_count: int) -> None:
    """One message for all of them: workers look at the rows, and the sweep makes up for a loss."""
    if deliveries_count:
        send_on_commit(tasks.deliver_webhooks)


def _active(*, user_id: int, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    row = webhook_deliveries.lock_mine(user_id=user_id, endpoint_id=endpoint_id)
    if row.status != Status.ACTIVE:
        raise WebhookEndpointDisabledError(_("Nothing is sent to this endpoint now."))
    return row


def _start_anew(deliveries: QuerySet[WebhookDelivery]) -> None:
    """A worker that is at it keeps its lease; its answer still counts for it."""
    is_free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now())
    deliveries.filter(is_free).update(
        status=WebhookDelivery.Status.PENDING,
        attempts=0,
        next_attempt_at=Now(),
        lease_expires_at=None,
        finished_at=None,
    )
