"""Request limits: counted in Redis, and what happens without it."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import RequestFactory

from facefusion_site.common import limits
from facefusion_site.common.errors import RateLimitedError, ServiceUnavailableError


@pytest.fixture(autouse=True)
def _fresh(settings):
    settings.JOBS_RATE = "2/h"
    cache.clear()


def request_from(address):
    return RequestFactory().get("/", REMOTE_ADDR=address)


def check(address, *, group="jobs", is_fail_open=True):
    limits.check(
        request_from(address), group=group, rate="JOBS_RATE", key="ip", is_fail_open=is_fail_open
    )


def test_the_request_over_the_limit_is_told_how_long_to_wait():
    check("203.0.113.1")
    check("203.0.113.1")
    with pytest.raises(RateLimitedError) as refused:
        check("203.0.113.1")
    assert refused.value.context["retry_after_s"] in range(1, 3601)


def test_callers_and_groups_are_counted_apart():
    for address, group in (("203.0.113.1", "jobs"), ("203.0.113.2", "jobs"), ("203.0.113.1", "x")):
        check(address, group=group)
        check(address, group=group)
        with pytest.raises(RateLimitedError):
            check(address, group=group)


def test_without_redis_open_limits_let_through_and_closed_ones_refuse(settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    for _attempt in range(3):
        check("203.0.113.1")
    with pytest.raises(ServiceUnavailableError) as refused:
        check("203.0.113.1", is_fail_open=False)
    assert refused.value.context["retry_after_s"] == 10
