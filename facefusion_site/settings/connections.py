"""Turns DATABASE_URL and REDIS_URL into Django settings, the same way in every environment."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import environ
from django.core.exceptions import ImproperlyConfigured


def databases(*, url: str, pool_max: int) -> dict[str, dict[str, Any]]:
    """Build ``DATABASES`` for one PostgreSQL.

    Args:
        url: ``postgres://user:password@host:port/name``.
        pool_max: Connections one process may hold open; 0 opens one per thread without a pool.

    Raises:
        ImproperlyConfigured: The URL is not a PostgreSQL URL.
    """
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if config.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must start with postgres://")
    options = config.setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", 5)
    # The pool keeps connections itself: Django refuses CONN_MAX_AGE beside it.
    config["CONN_MAX_AGE"] = 0
    if pool_max:
        options["pool"] = {"min_size": 1, "max_size": pool_max, "timeout": 10}
    return {"default": config}


def caches(*, url: str) -> dict[str, dict[str, Any]]:
    """Build ``CACHES``: one Redis cache that gives up quickly when the server is away."""
    return {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "facefusion",
            "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 5},
        }
    }


def cache_url_beside(broker_url: str) -> str:
    """Name database 1 of the broker's server: clearing the cache must never drop a message.

    Raises:
        ImproperlyConfigured: The URL is not a redis:// or rediss:// URL.
    """
    parts = urlsplit(broker_url)
    if parts.scheme not in {"redis", "rediss"}:
        raise ImproperlyConfigured("REDIS_URL must start with redis:// or rediss://")
    if parts.path not in {"", "/", "/0"}:
        raise ImproperlyConfigured("REDIS_URL names another database than 0: set CACHE_URL as well")
    return urlunsplit(parts._replace(path="/1"))
