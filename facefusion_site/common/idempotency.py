"""Helpers for requests that a client may safely repeat."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from facefusion_site.common.errors import DomainError

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


class IdempotencyKeyMissingError(DomainError):
    """The endpoint needs an Idempotency-Key header."""

    code = "idempotency_key_missing"
    title = _("The Idempotency-Key header is missing")
    next_step = _("Send a fresh random value, such as a UUID; repeat it when you retry.")


class IdempotencyKeyInvalidError(DomainError):
    """The header is there and unusable."""

    code = "idempotency_key_invalid"
    title = _("The Idempotency-Key header is not valid")
    next_step = _("Use 1 to 255 printable ASCII characters, for example a UUID.")


class IdempotencyKeyReusedError(DomainError):
    """The key was used before, with another request body."""

    code = "idempotency_key_reused"
    http_status = 422
    title = _("This Idempotency-Key belongs to another request")
    next_step = _("Use a new key for a new request; repeat a key only with the same body.")


def fingerprint(payload: object) -> str:
    """SHA-256 (64 hex digits) of ``payload`` as canonical JSON.

    Keys are sorted; ids and times are taken as their text.
    """
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def require_key(request: Request) -> str:
    """The request's Idempotency-Key header.

    Raises:
        IdempotencyKeyMissingError: there is none.
        IdempotencyKeyInvalidError: not 1 to 255 printable ASCII characters.
    """
    key = request.headers.get(KEY_HEADER, "")
    if not key:
        raise IdempotencyKeyMissingError(
            _("This request costs or creates tokens. Send an Idempotency-Key header with it."),
            param=KEY_HEADER,
        )
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalidError(
            _("The Idempotency-Key must be 1 to 255 printable ASCII characters."),
            param=KEY_HEADER,
        )
    return key
