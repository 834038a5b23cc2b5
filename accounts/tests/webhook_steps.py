"""Steps that the tests of webhooks share."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import standardwebhooks
from django.db import transaction

from accounts import handlers, services
from accounts.models import User, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.tests.receivers import Got, Receiver
from accounts.webhook_types import IssuedEndpoint, WebhookEventType

FROZEN = WebhookEventType.WALLET_FROZEN


def reach(settings, receiver: Receiver) -> None:
    """Let calls go to the receiver, which is on this machine."""
    settings.OUTBOUND_PORTS = (443, 8443, urlsplit(receiver.url).port)
    settings.OUTBOUND_EXEMPT_NETWORKS = ("127.0.0.0/8", "::1/128")
    settings.OUTBOUND_CA_FILE = receiver.ca_file


def make_user(name: str = "listener", *, email: str = "") -> User:
    return services.register_user(username=name, password=None, user_ref=name, email=email)


def listen(user: User, receiver: Receiver, *, events=("*",), path: str = "") -> IssuedEndpoint:
    return services.create_endpoint(user_id=user.pk, url=receiver.url + path, events=events)


def tell(user: User, *, event_type: WebhookEventType = FROZEN, **data: Any) -> None:
    with transaction.atomic():
        services.enqueue_webhook(event_type=event_type, user_id=user.pk, data=data)


def deliver() -> None:
    """Everything that is due, in this thread."""
    handlers.deliver_webhooks(threads_max=1)


def make_due() -> None:
    """Let the wait for the next try be over."""
    WebhookDelivery.objects.filter(status="PENDING").update(next_attempt_at="2020-01-01T00:00:00Z")


def verified(got: Got, secret: str) -> dict[str, Any]:
    """The content, after the library of receivers has checked its signature and its time."""
    content: dict[str, Any] = standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    assert content == json.loads(got.body)
    return content


def only_delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.select_related("endpoint", "event").get()


def attempts() -> list[WebhookAttempt]:
    return list(WebhookAttempt.objects.order_by("number"))


def endpoint_of(issued: IssuedEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.objects.get(pk=issued.id)
