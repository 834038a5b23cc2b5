"""Limits on all requests of an account and of an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import ApiKey, User
from accounts.types import MONEY_SCOPES
from facefusion_site.common import limits

if TYPE_CHECKING:
    # REST framework loads this module while it defines its views.
    from rest_framework.views import APIView

_MINUTE_S: Final = 60


class CallerThrottle(BaseThrottle):
    """Counts every request of a known caller; who is unknown is refused before, or by address.

    While Redis is away, requests that may move tokens are refused and others let through.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Always true: a limit that is exceeded says so itself.

        Raises:
            RateLimitedError: the account or the key has sent too many requests.
            ServiceUnavailableError: requests that move tokens cannot be counted right now.
        """
        if not isinstance(request.user, User):
            return True
        is_fail_open = not _moves_money(request, view)
        limits.check(
            request, group="account", rate="API_RATE", key="user", is_fail_open=is_fail_open
        )
        key = request.auth
        if isinstance(key, ApiKey) and key.requests_per_minute is not None:
            lineage = str(key.lineage)

            def counted(_group: str, _request: HttpRequest) -> str:
                return lineage

            limits.count(
                request,
                name="key",
                quota=key.requests_per_minute,
                window_s=_MINUTE_S,
                counted=counted,
                is_fail_open=is_fail_open,
            )
        return True


def _moves_money(request: Request, view: APIView) -> bool:
    return request.method not in SAFE_METHODS and any(
        getattr(permission, "required_scope", None) in MONEY_SCOPES
        for permission in view.get_permissions()
    )
