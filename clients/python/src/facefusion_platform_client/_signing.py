"""Signatures of requests, for keys that were issued with a signing secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Generator
from typing import Final

import httpx

VERSION: Final = "v1"


class RequestSigner(httpx.Auth):
    """Signs what is about to be sent; every attempt anew, because a signature works once.

    Args:
        secret: the ``signing_secret`` that came with the key.
    """

    requires_request_body = True

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the three headers."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        lines = (
            VERSION,
            timestamp,
            nonce,
            request.method,
            request.url.raw_path.decode("ascii"),
            request.headers.get("Idempotency-Key", ""),
            hashlib.sha256(request.content).hexdigest(),
        )
        mac = hmac.new(self._secret, "\n".join(lines).encode(), hashlib.sha256)
        request.headers["X-Signature-Timestamp"] = timestamp
        request.headers["X-Signature-Nonce"] = nonce
        request.headers["X-Signature"] = f"{VERSION}={mac.hexdigest()}"
        yield request
