"""Counts what accounts ask of the API, after the answer is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.activity_selectors import network_of
from accounts.types import Role
from facefusion_site.common.clients import client_address
from risk import services
from risk.counters import Count
from risk.types import Signal

_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429


class RequestCountMiddleware:
    """One round trip to Redis for each request of a known account; none for anybody else's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer first, count then."""
        response = self.get_response(request)
        if settings.RISK_ENABLED and request.path.startswith("/api/v1/"):
            counts = _counts(request, response.status_code)
            if counts:
                services.note_request(counts=counts)
        return response


def _counts(request: HttpRequest, status: int) -> list[Count]:
    user: Any = request.user
    # Rules never decide about staff or sandboxes, so there is nothing to count.
    if not user.is_authenticated or user.role != Role.USER or user.is_sandbox:
        return []
    counts = [Count(Signal.REQUESTS, user.pk)]
    if status == _TOO_MANY:
        counts.append(Count(Signal.REFUSED, user.pk))
    if status == _NOT_FOUND:
        digest = hashlib.sha256(request.path.encode()).hexdigest()[:16]
        counts.append(Count(Signal.MISSING, user.pk, thing=digest))
    lineage = getattr(getattr(request, "auth", None), "lineage", None)
    address = client_address(request)
    if lineage is not None and address is not None:
        network = network_of(str(address))
        counts.append(Count(Signal.KEY_NETWORKS, user.pk, thing=network, scope=str(lineage)))
    return counts
