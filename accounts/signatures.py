"""Signed requests: a key that leaked, without its signing secret, moves no tokens.

What is signed are seven lines: ``v1``, the time, a nonce, the method, the path with its query, the
Idempotency-Key and the SHA-256 of the body. The secret follows from the key's id and the pepper, so
nothing of it is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from typing import Final

import redis
import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from accounts.errors import (
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureReplayedError,
    SignatureRequiredError,
    SignedBodyTooLargeError,
)
from facefusion_site.common import idempotency
from facefusion_site.common.errors import ServiceUnavailableError

SIGNATURE_HEADER: Final = "X-Signature"
TIMESTAMP_HEADER: Final = "X-Signature-Timestamp"
NONCE_HEADER: Final = "X-Signature-Nonce"
VERSION: Final = "v1"
_FAMILY: Final = "ffs_"
_SIGNATURE: Final = re.compile(rf"{VERSION}=([0-9a-f]{{64}})")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_NONCE: Final = re.compile(r"[A-Za-z0-9._-]{16,64}")
_VERIFIED: Final = "verified_signature"

log = structlog.get_logger(__name__)


def secret_of(*, key_id: uuid.UUID) -> str:
    """The signing secret of a key: ``ffs_`` and 64 hex digits."""
    # The prefix keeps it apart from the hashes of keys, which the same pepper makes.
    message = f"request-signing:{key_id}".encode()
    pepper = settings.API_KEY_PEPPER.encode()
    return _FAMILY + hmac.new(pepper, message, hashlib.sha256).hexdigest()


def sign(
    *, secret: str, timestamp: str, nonce: str, target: str, idempotency_key: str, body: bytes
) -> str:
    """The value of X-Signature.

    Args:
        secret: of the key, with its prefix.
        timestamp: seconds since 1970, as in its header.
        nonce: as in its header.
        target: method and path with query, such as ``POST /api/v1/jobs``.
        idempotency_key: the header of this name; empty where there is none.
        body: as it is sent.
    """
    method, _space, path = target.partition(" ")
    digest = hashlib.sha256(body).hexdigest()
    lines = (VERSION, timestamp, nonce, method, path, idempotency_key, digest)
    mac = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256)
    return f"{VERSION}={mac.hexdigest()}"


def verify(request: Request, *, key_id: uuid.UUID) -> None:
    """Check the signature of a request, and that it comes for the first time.

    Checked once for a request, however often it is asked: the nonce is used up then.

    Raises:
        SignatureRequiredError: a header is missing.
        SignatureInvalidError: a header is malformed, or the signature does not fit.
        SignatureExpiredError: the time is outside the window.
        SignatureReplayedError: the nonce was used before.
        SignedBodyTooLargeError: the body is more than DATA_UPLOAD_MAX_MEMORY_SIZE bytes.
        ServiceUnavailableError: nonces cannot be remembered right now.
    """
    inner = request._request  # noqa: SLF001  # DRF gives no other way to the unread body
    if getattr(inner, _VERIFIED, False):
        return
    names = (SIGNATURE_HEADER, TIMESTAMP_HEADER, NONCE_HEADER)
    signature, timestamp, nonce = (request.headers.get(name, "") for name in names)
    for name, value, pattern in zip(
        names, (signature, timestamp, nonce), (_SIGNATURE, _TIMESTAMP, _NONCE), strict=True
    ):
        if not value:
            raise SignatureRequiredError(
                _("The header %(name)s is missing.") % {"name": name}, param=name
            )
        if not pattern.fullmatch(value):
            raise SignatureInvalidError(
                _("The header %(name)s is malformed.") % {"name": name}, param=name
            )
    if abs(time.time() - int(timestamp)) > settings.SIGNATURE_WINDOW_S:
        raise SignatureExpiredError(
            _("The time of the signature is outside the window."), param=TIMESTAMP_HEADER
        )
    try:
        body = inner.body
    except RequestDataTooBig as error:
        raise SignedBodyTooLargeError(
            _("A signed body has at most %(bytes)d bytes.")
            % {"bytes": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
        ) from error
    expected = sign(
        secret=secret_of(key_id=key_id),
        timestamp=timestamp,
        nonce=nonce,
        target=f"{inner.method} {inner.get_full_path()}",
        idempotency_key=request.headers.get(idempotency.KEY_HEADER, ""),
        body=body,
    )
    if not hmac.compare_digest(signature, expected):
        raise SignatureInvalidError(
            _("The signature does not fit the request."), param=SIGNATURE_HEADER
        )
    # After the signature: strangers must not use up nonces.
    _use_up(key_id, nonce)
    setattr(inner, _VERIFIED, True)


def _use_up(key_id: uuid.UUID, nonce: str) -> None:
    try:
        # Twice the window: a signature may be from the future as well.
        is_new = cache.add(f"nonce:{key_id}:{nonce}", 1, 2 * settings.SIGNATURE_WINDOW_S + 1)
    except (redis.RedisError, OSError) as error:
        log.warning("accounts.nonce.unreachable", error=str(error))
        raise ServiceUnavailableError(
            _("Signatures cannot be checked right now, so the request is refused. Try again soon."),
            retry_after_s=10,
        ) from error
    if not is_new:
        raise SignatureReplayedError(_("The nonce was used before."), param=NONCE_HEADER)
