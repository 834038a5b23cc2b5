"""Webhook endpoints of an account: created, changed, rotated, deleted."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts import tasks, webhook_deliveries, webhook_secrets, webhook_selectors
from accounts.models import User, WebhookDelivery, WebhookEndpoint
from accounts.sealing import UnreadableError
from accounts.types import ReencryptedFactors
from accounts.webhook_errors import (
    WebhookEndpointLimitError,
    WebhookEventUnknownError,
    WebhookUrlRefusedError,
)
from accounts.webhook_types import (
    EVERY_EVENT,
    EndpointChange,
    IssuedEndpoint,
    WebhookEventType,
)
from facefusion_site.common import outbound
from facefusion_site.common.celery import send_on_commit

log = structlog.get_logger(__name__)
Status = WebhookEndpoint.Status
Reason = WebhookEndpoint.Reason


@transaction.atomic
def create_endpoint(
    *, user_id: int, url: str, events: Sequence[str], description: str = ""
) -> IssuedEndpoint:
    """Register an address. Joins the caller's transaction, or owns one.

    The returned secret is shown nowhere else: the row holds it encrypted.

    Raises:
        WebhookUrlRefusedError: not a public https address.
        WebhookEventUnknownError: no event, or one that there is not.
        WebhookEndpointLimitError: the account has WEBHOOK_ENDPOINTS_MAX already.
    """
    _check_url(url)
    # Two requests at once must not both be the last one allowed.
    User.objects.select_for_update(no_key=True).get(pk=user_id)
    if len(webhook_selectors.endpoints(user_id=user_id)) >= settings.WEBHOOK_ENDPOINTS_MAX:
        raise WebhookEndpointLimitError(
            _("An account has at most %(max)d webhook endpoints.")
            % {"max": settings.WEBHOOK_ENDPOINTS_MAX}
        )
    row = WebhookEndpoint(
        user_id=user_id, url=url, events=_checked_events(events), description=description.strip()
    )
    secret = webhook_secrets.generate()
    row.secret = webhook_secrets.seal(secret=secret, endpoint_id=row.pk)
    row.save(force_insert=True)
    _log_later("created", row)
    return IssuedEndpoint(id=row.pk, secret=secret)


@transaction.atomic
def change_endpoint(*, user_id: int, endpoint_id: uuid.UUID, change: EndpointChange) -> None:
    """Change an endpoint, or switch it on or off; what waited goes out when it is on again.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
        WebhookUrlRefusedError, WebhookEventUnknownError: as for ``create_endpoint``.
    """
    row = webhook_deliveries.lock_mine(user_id=user_id, endpoint_id=endpoint_id)
    if change.url is not None:
        _check_url(change.url)
        row.url = change.url
    if change.events is not None:
        row.events = _checked_events(change.events)
    if change.description is not None:
        row.description = change.description.strip()
    row.save(update_fields=["url", "events", "description"])
    if change.is_enabled is True:
        _switch_on(row)
    elif change.is_enabled is False:
        _switch_off(row)
    _log_later("changed", row)


@transaction.atomic
def delete_endpoint(*, user_id: int, endpoint_id: uuid.UUID) -> None:
    """Forget an endpoint and its secrets; what waits for it is canceled.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
    """
    row = webhook_deliveries.lock_mine(user_id=user_id, endpoint_id=endpoint_id)
    row.status = Status.DELETED
    row.secret = row.previous_secret = ""
    row.save(update_fields=["status", "secret", "previous_secret"])
    WebhookDelivery.objects.filter(endpoint=row, status=WebhookDelivery.Status.PENDING).update(
        status=WebhookDelivery.Status.CANCELED, lease_expires_at=None, finished_at=Now()
    )
    _log_later("deleted", row)


@transaction.atomic
def rotate_secret(*, user_id: int, endpoint_id: uuid.UUID, overlap_s: int) -> IssuedEndpoint:
    """Give an endpoint a new secret; both sign for ``overlap_s`` seconds, then the new one alone.

    Of two rotations within the overlap, the older secret stops at the second.

    Raises:
        WebhookEndpointNotFoundError: the user has no such endpoint.
    """
    row = webhook_deliveries.lock_mine(user_id=user_id, endpoint_id=endpoint_id)
    secret = webhook_secrets.generate()
    row.previous_secret = row.secret if overlap_s else ""
    row.previous_secret_until = Now() + dt.timedelta(seconds=overlap_s) if overlap_s else None
    row.secret = webhook_secrets.seal(secret=secret, endpoint_id=row.pk)
    row.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    _log_later("secret_rotated", row)
    return IssuedEndpoint(id=row.pk, secret=secret)


@transaction.atomic
def switch_endpoint_off(*, endpoint_id: uuid.UUID, actor_id: int) -> None:
    """Stop sending to an endpoint; for operators. Its owner is told and can switch it on again."""
    if webhook_deliveries.disable(endpoint_id=endpoint_id, reason=Reason.OPERATOR):
        log.info(
            "accounts.webhook_endpoint.switched_off_by_operator",
            endpoint_id=str(endpoint_id),
            actor_id=actor_id,
        )


def reencrypt_endpoints(*, is_dry_run: bool = False) -> ReencryptedFactors:
    """Bring every signing secret under the first of FACTOR_SECRET_KEYS; a transaction per endpoint.

    Safe beside traffic and to repeat. What no key opens is named and left as it is.
    """
    total = changed = 0
    unreadable: list[str] = []
    endpoint_ids = WebhookEndpoint.objects.exclude(status=Status.DELETED).order_by("pk")
    for pk in endpoint_ids.values_list("pk", flat=True):
        with transaction.atomic(durable=True):
            row = webhook_deliveries.lock_endpoint(endpoint_id=pk)
            if row is None:
                continue
            total += 1
            sealed = [text for text in (row.secret, row.previous_secret) if text]
            try:
                secrets = [webhook_secrets.unseal(text=t, endpoint_id=pk) for t in sealed]
            except UnreadableError:
                unreadable.append(str(pk))
                continue
            if all(webhook_secrets.is_current(text=text) for text in sealed):
                continue
            changed += 1
            if not is_dry_run:
                fresh = [webhook_secrets.seal(secret=s, endpoint_id=pk) for s in secrets]
                row.secret, row.previous_secret = fresh[0], "".join(fresh[1:])
                row.save(update_fields=["secret", "previous_secret"])
    return ReencryptedFactors(total=total, changed=changed, unreadable=tuple(unreadable))


def _check_url(url: str) -> None:
    """Refuse what could never be called; a name is resolved and checked at every call."""
    try:
        outbound.check_url(url)
        host = urlsplit(url).hostname or ""
        if _is_address(host):
            outbound.resolve(url, timeout_s=1)
    except outbound.OutboundError as error:
        raise WebhookUrlRefusedError(
            _("This is no address that events can be sent to."),
            param="url",
            reason=error.reason.value,
        ) from error


def _is_address(host: str) -> bool:
    """Whether the host is a number in any of its spellings, so that looking it up asks nobody."""
    return ":" in host or host.rsplit(".", 1)[-1][:1].isdecimal()


def _checked_events(events: Sequence[str]) -> list[str]:
    known = {*WebhookEventType.values, EVERY_EVENT}
    unknown = sorted(set(events) - known)
    if unknown or not events:
        raise WebhookEventUnknownError(
            _("There is no such event: %(events)s.") % {"events": ", ".join(unknown)}
            if unknown
            else _("Name at least one event."),
            param="events",
        )
    return sorted(set(events))


def _switch_on(row: WebhookEndpoint) -> None:
    """What was given up stays so until it is replayed; what waits is tried at once."""
    WebhookEndpoint.objects.filter(pk=row.pk, status=Status.DISABLED).update(
        status=Status.ACTIVE, disabled_reason="", disabled_at=None
    )
    send_on_commit(tasks.deliver_webhooks)


def _switch_off(row: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=row.pk, status=Status.ACTIVE).update(
        status=Status.DISABLED, disabled_reason=Reason.OWNER, disabled_at=Now()
    )


def _log_later(action: str, row: WebhookEndpoint) -> None:
    transaction.on_commit(
        partial(
            log.info,
            f"accounts.webhook_endpoint.{action}",
            endpoint_id=str(row.pk),
            user_id=row.user_id,
        )
    )
