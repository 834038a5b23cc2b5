"""Webhook endpoints, and what arrives at them: believe it only after ``verify``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import standardwebhooks

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport
from facefusion_platform_client.errors import WebhookRefusedError


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Something that happened to your account; ``id`` is the same in every delivery of it."""

    id: str
    type: str
    timestamp: dt.datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address of yours; ``secret`` is there only right after it was made."""

    id: str
    url: str
    events: list[str]
    secret: str = ""


class Webhooks:
    """Addresses that are told what happens to the account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, url: str, *, events: Sequence[str] = ("*",)) -> WebhookEndpoint:
        """Register a public https address. Keep the secret: it is not shown again.

        Not repeated once it was sent: a second registration would be a second endpoint.

        Raises:
            ApiError: the address or an event is refused.
        """
        body = {"url": url, "events": list(events)}
        return build(WebhookEndpoint, self._transport.json("POST", "webhook-endpoints", json=body))

    def list(self) -> list[WebhookEndpoint]:
        """All endpoints, newest first."""
        found = self._transport.json("GET", "webhook-endpoints")
        return [build(WebhookEndpoint, item) for item in found["items"]]

    def rotate_secret(self, endpoint_id: str, *, overlap_s: int) -> WebhookEndpoint:
        """Replace the secret; for so many seconds both sign every event."""
        path = f"webhook-endpoints/{endpoint_id}/rotate-secret"
        body = {"overlap_s": overlap_s}
        return build(WebhookEndpoint, self._transport.json("POST", path, json=body))

    def send_test(self, endpoint_id: str) -> str:
        """Send ``webhook.test`` to an endpoint; the id of the delivery."""
        sent = self._transport.json("POST", f"webhook-endpoints/{endpoint_id}/test")
        return str(sent["id"])

    def delete(self, endpoint_id: str) -> None:
        """Forget an endpoint and its secrets."""
        self._transport.send("DELETE", f"webhook-endpoints/{endpoint_id}")


def verify(
    body: bytes, headers: Mapping[str, str], *, secrets: str | Sequence[str]
) -> WebhookEvent:
    """The event in a request, if it was signed by us and is no older than five minutes.

    Args:
        body: the bytes as they came, before any parsing.
        headers: of the request, in any case.
        secrets: of the endpoint; while you rotate it, the old and the new one.

    Raises:
        WebhookRefusedError: signature, time or form is wrong.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        try:
            data = standardwebhooks.Webhook(secret).verify(body, lower)
        except standardwebhooks.WebhookVerificationError:
            continue
        return build(WebhookEvent, data)
    raise WebhookRefusedError("The webhook is not signed with a secret of yours, or it is old.")
