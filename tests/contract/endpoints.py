"""The API's endpoints as Django's URL map has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

PREFIX = "api/v1/"
# DRF answers these for every view: OPTIONS says what there is, HEAD is GET without a body.
_EVERYWHERE = {"options", "head"}
# Without a class of ours behind them: the document itself, and the answer to unknown addresses.
_NO_ENDPOINTS = {f"{PREFIX}schema"}


@dataclass(frozen=True, order=True, slots=True)
class Endpoint:
    """One method of one path; parameters in braces, as in OpenAPI."""

    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def endpoints() -> list[Endpoint]:
    """Every method of every path below the API's prefix."""
    found = []
    for route, pattern in _routes(get_resolver(), ""):
        if not route.startswith(PREFIX) or route in _NO_ENDPOINTS:
            continue
        view = getattr(pattern.callback, "view_class", None)
        assert view is not None, f"{route} is no class-based view, so its methods are unknown"
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.removeprefix(PREFIX))
        found += [
            Endpoint(path, method.upper())
            for method in view.http_method_names
            if hasattr(view, method) and method not in _EVERYWHERE
        ]
    return sorted(found)


def _routes(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        else:
            yield route, pattern
