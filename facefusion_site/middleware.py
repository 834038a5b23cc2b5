"""What concerns every request: its id and the address it came from."""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


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
