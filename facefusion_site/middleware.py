"""What concerns every request: its id, where it came from, what its page may load."""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

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


def client_ip(request: HttpRequest) -> str:
    """Name the address a request came from, for request limits.

    Each of our ``TRUSTED_PROXY_HOPS`` proxies appends the address it saw to X-Forwarded-For; what
    stands before those entries was written by the client and is ignored.
    """
    hops: int = settings.TRUSTED_PROXY_HOPS
    seen = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if hops and len(seen) >= hops and seen[-hops]:
        return seen[-hops]
    return str(request.META["REMOTE_ADDR"])
