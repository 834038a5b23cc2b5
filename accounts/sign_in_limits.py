"""How often somebody may try to sign in: from one address, and to one account from anywhere."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from facefusion_site.common import limits


def check_account(request: Request | HttpRequest, *, name: str) -> None:
    """Count a try to sign in under this user name, whether or not there is such an account.

    Raises:
        RateLimitedError: too many tries; right passwords count too, so the answer says nothing.
        ServiceUnavailableError: the counter does not answer.
    """
    quota, window_s = limits.parse_rate(settings.LOGIN_ACCOUNT_RATE)
    counted = name.casefold()
    limits.count(
        request,
        name="login-account",
        quota=quota,
        window_s=window_s,
        counted=lambda _group, _request: counted,
        is_fail_open=False,
    )
