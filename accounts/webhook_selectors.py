"""Read queries on webhooks; limited to one owner, but for the backlog and the balance alerts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import (
    BalanceAlert,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from accounts.webhook_errors import (
    WebhookDeliveryNotFoundError,
    WebhookEndpointNotFoundError,
    WebhookEventNotFoundError,
)
from facefusion_site.common import pages
from facefusion_site.common.backlog import Backlog


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    """A delivery with its event, and its tries from first to last."""

    delivery: WebhookDelivery
    attempts: tuple[WebhookAttempt, ...]


def endpoints(*, user_id: int) -> list[WebhookEndpoint]:
    """The user's endpoints, newest first."""
    return list(_mine(user_id).order_by("-created_at", "-pk"))


def endpoint(*, user_id: int, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """One endpoint of the user.

    Raises:
        WebhookEndpointNotFoundError: there is none, or it is somebody else's.
    """
    found = _mine(user_id).filter(pk=endpoint_id).first()
    if found is None:
        raise WebhookEndpointNotFoundError(_("You have no webhook endpoint with this id."))
    return found


def events(
    *, user_id: int, event_type: str | None, limit: int, cursor: str | None
) -> tuple[list[WebhookEvent], str | None]:
    """What happened to the user, newest first, and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    rows = WebhookEvent.objects.filter(user_id=user_id)
    if event_type is not None:
        rows = rows.filter(type=event_type)
    return pages.newest_first(rows, limit=limit, cursor=cursor)


def event(*, user_id: int, event_id: uuid.UUID) -> WebhookEvent:
    """One event of the user.

    Raises:
        WebhookEventNotFoundError: there is none, or it is somebody else's.
    """
    found = WebhookEvent.objects.filter(pk=event_id, user_id=user_id).first()
    if found is None:
        raise WebhookEventNotFoundError(_("You have no event with this id."))
    return found


def deliveries(
    *,
    user_id: int,
    endpoint_id: uuid.UUID | None,
    status: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[WebhookDelivery], str | None]:
    """Deliveries of the user, newest first, each with its event and last try.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    rows = WebhookDelivery.objects.filter(endpoint__user_id=user_id)
    if endpoint_id is not None:
        rows = rows.filter(endpoint=endpoint(user_id=user_id, endpoint_id=endpoint_id))
    if status is not None:
        rows = rows.filter(status=status)
    return pages.newest_first(with_last_attempt(rows), limit=limit, cursor=cursor)


def with_last_attempt(rows: QuerySet[WebhookDelivery]) -> QuerySet[WebhookDelivery]:
    """Attach the event, and how the last try ended."""
    last = WebhookAttempt.objects.filter(delivery=OuterRef("pk"), number=OuterRef("attempts_count"))
    return rows.select_related("event").annotate(
        last_status_code=Subquery(last.values("status_code")),
        last_error=Subquery(last.values("error")),
    )


def delivery(*, user_id: int, delivery_id: uuid.UUID) -> DeliveryDetail:
    """One delivery of the user, with its tries.

    Raises:
        WebhookDeliveryNotFoundError: there is none, or it is somebody else's.
    """
    mine = WebhookDelivery.objects.filter(pk=delivery_id, endpoint__user_id=user_id)
    found = with_last_attempt(mine).first()
    if found is None:
        raise WebhookDeliveryNotFoundError(_("You have no delivery with this id."))
    return DeliveryDetail(found, attempts(delivery_id=delivery_id))


def attempts(*, delivery_id: uuid.UUID) -> tuple[WebhookAttempt, ...]:
    """The tries of a delivery, from first to last."""
    return tuple(WebhookAttempt.objects.filter(delivery_id=delivery_id).order_by("number"))


def backlog() -> Backlog:
    """Deliveries of all accounts whose time has come, and those that are being made. One query."""
    now = timezone.now()
    is_at_work = Q(lease_expires_at__gte=now)
    is_due = Q(next_attempt_at__lte=now) & ~is_at_work
    pending = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.PENDING)
    found = pending.aggregate(
        waiting=Count("pk", filter=is_due),
        running=Count("pk", filter=is_at_work),
        oldest=Min("next_attempt_at", filter=is_due),
    )
    return Backlog(found["waiting"], found["running"], found["oldest"])


def balance_alert(*, user_id: int) -> int | None:
    """Below how many tokens the user wants to know; None when not at all."""
    return BalanceAlert.objects.filter(pk=user_id).values_list("below", flat=True).first()


def watched_user_ids(*, after: int, limit: int) -> Sequence[int]:
    """Accounts with a balance alert, in the order of their keys, from ``after`` on."""
    rows = BalanceAlert.objects.filter(pk__gt=after).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:limit])


def _mine(user_id: int) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(user_id=user_id).exclude(
        status=WebhookEndpoint.Status.DELETED
    )
