"""Liveness and readiness for load balancers and orchestrators.

Answered by a middleware in front of all others: probes come by address, so neither the host check
nor the redirect to HTTPS may stand in their way, and they need no session and no log line.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
import redis
import structlog
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

# Each check gives up after this long, so a probe always gets its answer.
_TIMEOUT_S: Final = 2

log = structlog.get_logger(__name__)


class UnreadyError(Exception):
    """A dependency does not do its part; the text is safe to show to anybody."""


class HealthMiddleware:
    """Answer ``/healthz`` (this process runs) and ``/readyz`` (it can do its work)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe, or pass the request on."""
        if request.method in {"GET", "HEAD"}:
            if request.path == "/healthz":
                return _uncached(JsonResponse({"status": "ok"}))
            if request.path == "/readyz":
                return _uncached(_readiness())
        return self.get_response(request)


def _uncached(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store"
    return response


def _readiness() -> JsonResponse:
    checks = {name: _outcome(name, check) for name, check in _CHECKS.items()}
    is_ready = all(outcome["status"] == "ok" for outcome in checks.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "unavailable", "checks": checks},
        status=200 if is_ready else 503,
    )


def _outcome(name: str, check: Callable[[], None]) -> dict[str, str | int]:
    started = time.monotonic()
    try:
        check()
    except UnreadyError as error:
        log.warning("health.check.failed", check=name, reason=str(error))
        return {"status": "failed", "reason": str(error)}
    return {"status": "ok", "took_ms": round((time.monotonic() - started) * 1000)}


def _check_database() -> None:
    _query("SELECT 1")


def _check_migrations() -> None:
    applied = set(_query("SELECT app, name FROM django_migrations"))
    missing = len(_last_migrations() - applied)
    if missing:
        raise UnreadyError(f"{missing} apps have migrations that are not applied")


def _check_broker() -> None:
    _ping(settings.CELERY_BROKER_URL)


def _check_cache() -> None:
    _ping(settings.CACHES["default"]["LOCATION"])


_CHECKS: Final[Mapping[str, Callable[[], None]]] = {
    "database": _check_database,
    "migrations": _check_migrations,
    "broker": _check_broker,
    "cache": _check_cache,
}


def _query(query: str) -> list[tuple[Any, ...]]:
    """Ask over a connection of our own: the pool may be busy, and its wait is too long here."""
    parameters = dict(connections["default"].get_connection_params())
    for name in ("pool", "cursor_factory", "context", "prepare_threshold", "server_side_binding"):
        parameters.pop(name, None)
    parameters |= {
        "connect_timeout": _TIMEOUT_S,
        "options": f"-c statement_timeout={_TIMEOUT_S * 1000}",
    }
    try:
        with psycopg.connect(**parameters) as connection:
            return connection.execute(query.encode()).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise UnreadyError("no migration is applied") from error
    except psycopg.Error as error:
        raise UnreadyError(f"does not answer ({type(error).__name__})") from error


@functools.cache
def _last_migrations() -> frozenset[tuple[str, str]]:
    """Name the last migration of every app in this release."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _ping(url: str) -> None:
    client = redis.Redis.from_url(
        url,
        socket_connect_timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), retries=0),
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        raise UnreadyError(f"does not answer ({type(error).__name__})") from error
    finally:
        client.close()
