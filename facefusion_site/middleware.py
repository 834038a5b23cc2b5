"""What concerns every request: its id, who may forward it, how credentials travel, its policy."""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import services
from accounts.errors import HttpsRequiredError
from facefusion_site.common import limits
from facefusion_site.common.clients import is_trusted_peer
from facefusion_site.common.drf import problem_response

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# Our own pages: files of ours alone, nothing inline.
_STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# The console's templates evaluate expressions and style inline; the page of the API styles inline.
_POLICY_BY_PREFIX = {
    "/admin/": _STRICT_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-eval'")
    .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    .replace("blob:", "blob: data:"),
    "/api/docs": _STRICT_POLICY.replace(
        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
    ).replace("blob:", "blob: data:"),
}


class RequestIdMiddleware:
    """Give every request an id: the caller's ``X-Request-Id`` when well-formed, else a new one.

    The id is readable as ``request.headers["X-Request-Id"]``, stands in every log line as
    ``request_id`` and goes back in the answer's ``X-Request-Id`` header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Replace an id that is missing, too long or could forge log lines."""
        request_id = request.META.get("HTTP_X_REQUEST_ID", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = str(uuid.uuid4())
            request.META["HTTP_X_REQUEST_ID"] = request_id
        response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response


class ContentPolicyMiddleware:
    """Send the Content-Security-Policy that fits the page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Leave a policy alone that a view has set itself."""
        response = self.get_response(request)
        policy = next(
            (it for prefix, it in _POLICY_BY_PREFIX.items() if request.path.startswith(prefix)),
            _STRICT_POLICY,
        )
        response.headers.setdefault("Content-Security-Policy", policy)
        return response


class ForwardedHeadersMiddleware:
    """Drop what a peer says about the client unless the peer is a proxy of ours.

    Stands before everything that reads those headers, Django's own HTTPS check included.
    """

    _NAMES = (
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_FORWARDED",
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, with headers that can be believed."""
        if not is_trusted_peer(request):
            for name in self._NAMES:
                request.META.pop(name, None)
        return self.get_response(request)


class HttpsCredentialsMiddleware:
    """Refuse credentials of the API that come over plain HTTP, and tell their owner.

    Stands before the redirect to HTTPS: a client that is only redirected sends its key in clear
    again and again, and nobody notices.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 403, or pass the request on."""
        if not settings.API_HTTPS_ONLY or request.is_secure():
            return self.get_response(request)
        if not request.path.startswith("/api/"):
            return self.get_response(request)
        if "Authorization" not in request.headers and "X-Api-Key" not in request.headers:
            return self.get_response(request)
        services.note_key_exposure(headers=request.headers)
        return problem_response(
            request, HttpsRequiredError(_("The credentials of this request came over plain HTTP."))
        )


class RateLimitHeadersMiddleware:
    """Say in the answer which limits counted the request, and what is left of them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add ``RateLimit`` and ``RateLimit-Policy`` where something was counted."""
        response = self.get_response(request)
        for name, value in limits.headers(request).items():
            response.headers[name] = value
        return response
