"""Signing secrets of webhook endpoints, and the signatures made with them. No rows."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from standardwebhooks import Webhook

from accounts import sealing

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32
_PURPOSE: Final = "accounts.webhook_secrets"


def generate() -> str:
    """A fresh secret in the form that the libraries of receivers take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal(*, secret: str, endpoint_id: uuid.UUID) -> str:
    """Encrypt a secret of ``generate`` for its endpoint."""
    raw = base64.b64decode(secret.removeprefix(PREFIX))
    return sealing.seal(secret=raw, purpose=_PURPOSE, owner=_owner(endpoint_id))


def unseal(*, text: str, endpoint_id: uuid.UUID) -> str:
    """Decrypt what ``seal`` made.

    Raises:
        sealing.UnreadableError: no key opens it, or it is another endpoint's.
    """
    raw = sealing.unseal(text=text, purpose=_PURPOSE, owner=_owner(endpoint_id))
    return PREFIX + base64.b64encode(raw).decode()


def is_current(*, text: str) -> bool:
    """Whether the first of the keys encrypts it."""
    return sealing.is_current(text=text, purpose=_PURPOSE)


def signed_headers(
    *, message_id: str, sent_at: dt.datetime, body: bytes, secrets: Sequence[str]
) -> Mapping[str, str]:
    """The three headers of Standard Webhooks, with a signature for each secret."""
    # The library takes the wall clock's digits for UTC.
    moment = sent_at.astimezone(dt.UTC)
    signatures = [
        Webhook(secret).sign(msg_id=message_id, timestamp=moment, data=body.decode())
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _owner(endpoint_id: uuid.UUID) -> str:
    return f"webhook_endpoint:{endpoint_id}"
