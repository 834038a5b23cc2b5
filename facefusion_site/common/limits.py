"""Request limits on the Redis cache."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_ratelimit.core import get_usage
from rest_framework.request import Request

from facefusion_site.common.errors import RateLimitedError, ServiceUnavailableError

View = TypeVar("View")
Req = TypeVar("Req", Request, HttpRequest)
P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)


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
    try:
        usage = get_usage(
            request, group=group, key=key, rate=getattr(settings, rate), increment=True
        )
    except (redis.RedisError, OSError) as error:
        log.warning("limits.counter.unreachable", group=group, error=str(error))
        if is_fail_open:
            return
        raise ServiceUnavailableError(
            _("Requests cannot be counted right now, so this one is refused. Try again soon."),
            retry_after_s=10,
        ) from error
    if usage is not None and usage["should_limit"]:
        wait_s = max(1, int(usage["time_left"]))
        raise RateLimitedError(
            _("Too many requests. Try again in %(seconds)d seconds.") % {"seconds": wait_s},
            retry_after_s=wait_s,
        )
