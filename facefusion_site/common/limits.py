"""Request limits on the Redis cache."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, TypeVar

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_ratelimit.core import get_usage
from rest_framework.request import Request

from facefusion_site.common.errors import RateLimitedError, ServiceUnavailableError

View = TypeVar("View")
Req = TypeVar("Req", Request, HttpRequest)
P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)
_RATE: Final = re.compile(r"(\d+)/(\d*)([smhd])")
_NOTED: Final = "counted_limits"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Counted:
    """One limit after it has counted a request."""

    name: str
    quota: int
    window_s: int
    left: int
    reset_s: int


def limit(
    *, group: str, rate: str, key: str = "user_or_ip", is_fail_open: bool = True
) -> Callable[[Callable[Concatenate[View, Req, P], R]], Callable[Concatenate[View, Req, P], R]]:
    """Limit a view *method*; there ``request.user`` is the API's user.

    Args:
        group: name of the counter, shared by the methods that use it.
        rate: name of the setting that holds the rate, for example ``"JOBS_RATE"``.
        key: what is counted, in the words of django-ratelimit.
        is_fail_open: what happens while Redis is down. True lets the request through, for work
            that has its own guard; False refuses it, where a limit is the guard itself (log-in).
    """

    def decorate(
        method: Callable[Concatenate[View, Req, P], R],
    ) -> Callable[Concatenate[View, Req, P], R]:
        @functools.wraps(method)
        def limited(view: View, request: Req, /, *args: P.args, **kwargs: P.kwargs) -> R:
            check(request, group=group, rate=rate, key=key, is_fail_open=is_fail_open)
            return method(view, request, *args, **kwargs)

        return limited

    return decorate


def check(
    request: Request | HttpRequest, *, group: str, rate: str, key: str, is_fail_open: bool
) -> None:
    """Count this request; see ``limit`` for the arguments.

    Raises:
        RateLimitedError: over the limit; its context carries ``retry_after_s``.
        ServiceUnavailableError: the counter does not answer and the limit fails closed.
    """
    quota, window_s = parse_rate(getattr(settings, rate))
    if key != "ip":
        plan = getattr(request.user, "plan", "")
        quota *= settings.RATE_PLAN_FACTORS.get(plan, 1)
        slowed_until = getattr(request.user, "slowed_until", None)
        if slowed_until is not None and slowed_until > timezone.now():
            quota = max(1, quota // 2)
    count(
        request,
        name=group,
        quota=quota,
        window_s=window_s,
        counted=key,
        is_fail_open=is_fail_open,
    )


def count(  # what a limit is made of
    request: Request | HttpRequest,
    *,
    name: str,
    quota: int,
    window_s: int,
    counted: str | Callable[[str, HttpRequest], str],
    is_fail_open: bool,
) -> None:
    """Count this request against ``quota`` requests in ``window_s`` seconds.

    Args:
        request: what is counted; its answer will tell what is left.
        name: of the counter and of the policy in the answer's headers.
        quota: requests that the window lets through.
        window_s: length of the window in seconds.
        counted: whose requests; in the words of django-ratelimit, or a function of it.
        is_fail_open: see ``limit``.

    Raises:
        RateLimitedError: over the limit; its context carries ``retry_after_s``.
        ServiceUnavailableError: the counter does not answer and the limit fails closed.
    """
    try:
        usage = get_usage(
            request, group=name, key=counted, rate=f"{quota}/{window_s}s", increment=True
        )
    except (redis.RedisError, OSError) as error:
        log.warning("limits.counter.unreachable", group=name, error=str(error))
        if is_fail_open:
            return
        raise ServiceUnavailableError(
            _("Requests cannot be counted right now, so this one is refused. Try again soon."),
            retry_after_s=10,
        ) from error
    if usage is None:
        return
    wait_s = max(1, int(usage["time_left"]))
    left = max(0, quota - usage["count"])
    _note(request, Counted(name, quota, window_s, left, wait_s))
    if usage["should_limit"]:
        raise RateLimitedError(
            _("Too many requests. Try again in %(seconds)d seconds.") % {"seconds": wait_s},
            retry_after_s=wait_s,
            limit=name,
        )


def parse_rate(rate: str) -> tuple[int, int]:
    """Requests and seconds of a rate such as ``60/m`` or ``10/30s``.

    Raises:
        ValueError: it is none.
    """
    match = _RATE.fullmatch(rate)
    if match is None:
        raise ValueError(f"{rate} is not a rate such as 60/m.")
    quota, number, unit = match.groups()
    return int(quota), int(number or 1) * _SECONDS[unit]


def headers(request: HttpRequest) -> dict[str, str]:
    """``RateLimit-Policy`` and ``RateLimit`` of the limits that counted this request.

    Structured fields of the IETF draft "RateLimit header fields for HTTP", revision 10: ``q`` is
    the quota, ``w`` the window, ``r`` what is left, ``t`` the seconds until the window ends.
    """
    limits: dict[str, Counted] = getattr(request, _NOTED, {})
    if not limits:
        return {}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{it.name}";q={it.quota};w={it.window_s}' for it in limits.values()
        ),
        "RateLimit": ", ".join(f'"{it.name}";r={it.left};t={it.reset_s}' for it in limits.values()),
    }


def _note(request: Request | HttpRequest, counted: Counted) -> None:
    inner = request._request if isinstance(request, Request) else request  # noqa: SLF001
    noted: dict[str, Counted] = inner.__dict__.setdefault(_NOTED, {})
    noted[counted.name] = counted
