"""The pages and actions of the console, and what each role is told there."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied
from django.db.models import UUIDField
from django.http import Http404, HttpRequest
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.views.generic import RedirectView

from accounts.types import Role
from facefusion_site.common.errors import DomainError

TABLE = Path(__file__).resolve().parents[2] / "docs" / "access.md"
ROLES = [role for role in Role if role is not Role.USER]
# What a parameter has to be, where not anything will do.
_NAMED = {"app_label": "accounts", "month": "2026-01"}
# Pages where looking and changing are different rights.
_FORMS = ("add", "change", "delete")
# Django's own, which are the same for all staff and show nothing of anybody else.
EVERYBODY = {"index", "logout", "password_change", "password_change_done", "jsi18n", "search"}


@dataclass(frozen=True, order=True)
class Page:
    """One address: ``model`` is "app_model", or empty for pages of the site itself."""

    model: str
    name: str
    route: str

    def __str__(self) -> str:
        return f"{self.model}_{self.name}" if self.model else self.name


def pages() -> list[Page]:
    """Every named address below /admin/."""
    models = sorted(
        (f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry),
        key=len,
        reverse=True,
    )
    found = set()
    for route, pattern in _routes(_console(), ""):
        if pattern.name is None or getattr(pattern.callback, "view_class", None) is RedirectView:
            continue
        model = next((name for name in models if pattern.name.startswith(f"{name}_")), "")
        page = Page(model, pattern.name.removeprefix(f"{model}_") if model else pattern.name, route)
        found.add(page)
    return sorted(found)


def told(page: Page, user: Any) -> str:
    """``yes``, ``look`` (not change) or ``no``; ``sign in`` for who is not of the staff."""
    if page.name == "history":
        # Open to the same people as the row itself; of a row that is not there, it asks nothing.
        page = Page(page.model, "change", page.route)
        return _ask(page, user, "GET")
    seen = _ask(page, user, "GET")
    if seen != "yes" or page.name not in _FORMS:
        return seen
    return "yes" if _ask(page, user, "POST") == "yes" else "look"


def actions(user: Any) -> dict[str, set[str]]:
    """By model, the actions on its list that the user is offered."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}": set(
            model_admin.get_actions(_request(user, "GET"))
        )
        for model, model_admin in admin.site._registry.items()
        if model_admin.has_view_permission(_request(user, "GET"))
    }


def expected() -> dict[str, tuple[str, ...]]:
    """The rows of the console's table, by the name of the page or action."""
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| admin:"):
            continue
        model, _colon, names = cells[0].removeprefix("admin:").partition(":")
        for name in names.split():
            rows[f"{model}:{name}"] = tuple(cells[1:])
    return rows


def _console() -> URLResolver:
    return next(
        pattern
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLResolver) and pattern.namespace == "admin"
    )


def _routes(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        else:
            yield route, pattern


def _ask(page: Page, user: Any, method: str) -> str:
    """Call the view as the console does; what it draws is of no interest here."""
    kwargs: dict[str, Any] = {}
    for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", page.route):
        kwargs[name] = _value(page, kind, name)
    try:
        path = reverse(f"admin:{page}", kwargs=kwargs)
        match = resolve(path)
        answer = match.func(_request(user, method, path), *match.args, **match.kwargs)
    except PermissionDenied:
        return "no"
    except (Http404, DomainError):
        # Who asks was not the question any more: there is nothing with this id.
        return "yes"
    if answer.status_code == 405 and method == "GET":
        return _ask(page, user, "POST")
    if answer.status_code in {301, 302} and "/login/" in answer["Location"]:
        return "sign in"
    return "no" if answer.status_code == 403 else "yes"


def _value(page: Page, kind: str, name: str) -> Any:
    """Something of the right kind that is the id of nothing."""
    if name in _NAMED:
        return _NAMED[name]
    has_uuid = page.model and isinstance(
        apps.get_model(page.model.replace("_", ".", 1))._meta.pk, UUIDField
    )
    if kind == "uuid" or (has_uuid and name == "object_id"):
        return uuid.uuid4()
    return 1 if kind == "int" else "0"


def _request(user: Any, method: str, path: str = "/admin/") -> HttpRequest:
    request = RequestFactory().generic(method, path)
    request.resolver_match = resolve(path)
    request.user = user
    request.session = SessionStore()
    vars(request).update(_messages=CookieStorage(request), _dont_enforce_csrf_checks=True)
    return request
