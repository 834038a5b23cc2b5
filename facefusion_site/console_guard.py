"""What stands before every page of the console, whoever wrote the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import ResolverMatch, reverse
from django.utils import timezone

from accounts import session_limits, step_up

_CONSOLE: Final = "admin"
_OPEN_VIEWS: Final = frozenset({"logout"})


class ConsoleGuardMiddleware:
    """Ends sessions of staff that are too old, and asks for the second factor.

    Sits behind the authentication. A session that ends here is ended for the whole site, so that
    what is open in another tab does not keep it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Look at the session first, where there is one."""
        # Without the cookie nobody is signed in to a page, and nothing has to be read.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_staff:
            is_kept = session_limits.keep(session=request.session, now=timezone.now())
            if not is_kept:
                logout(request)
                request.has_ended = True  # type: ignore[attr-defined]  # for process_view
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Send staff to what is missing, and from there back to where they wanted to go."""
        match: ResolverMatch | None = request.resolver_match
        if match is None or match.namespace != _CONSOLE or match.url_name in _OPEN_VIEWS:
            return None
        if getattr(request, "has_ended", False):
            return _detour("login", request, ended="1")
        if not settings.CONSOLE_SECOND_FACTOR or not request.user.is_staff:
            return None
        return None if step_up.is_session_proven(request) else _detour("second-factor", request)


def _detour(view: str, request: HttpRequest, **more: str) -> HttpResponseRedirect:
    # A form cannot be sent again after the detour, so its page is opened instead.
    wanted = request.get_full_path()
    return HttpResponseRedirect(f"{reverse(view)}?{urlencode({'next': wanted, **more})}")
