"""One error format for the whole API: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext_lazy as _
from django_ratelimit.exceptions import Ratelimited
from rest_framework import exceptions, serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from facefusion_site.common import errors
from facefusion_site.common.errors import DomainError

PROBLEM_TYPE: Final = "application/problem+json"

# A limit declared with django-ratelimit's own decorator does not say how long is left; a minute is
# the longest window in use.
_UNKNOWN_WAIT_S: Final = 60

_BY_EXCEPTION: Final[tuple[tuple[type[Exception], type[DomainError]], ...]] = (
    (exceptions.ParseError, errors.ParseError),
    (exceptions.AuthenticationFailed, errors.NotAuthenticatedError),
    (exceptions.NotAuthenticated, errors.NotAuthenticatedError),
    (exceptions.PermissionDenied, errors.PermissionDeniedError),
    (PermissionDenied, errors.PermissionDeniedError),
    (exceptions.NotFound, errors.NotFoundError),
    (Http404, errors.NotFoundError),
    (exceptions.MethodNotAllowed, errors.MethodNotAllowedError),
    (exceptions.NotAcceptable, errors.NotAcceptableError),
    (exceptions.UnsupportedMediaType, errors.UnsupportedMediaTypeError),
)


class AuthenticationRefusedError(exceptions.AuthenticationFailed):
    """Carries a ``DomainError`` out of an authentication class.

    DRF treats only its own exceptions as the end of authentication; with any other it would ask
    the same class again as soon as something reads ``request.user``.
    """

    def __init__(self, error: DomainError) -> None:
        super().__init__(detail=str(error))
        self.error = error


class ProblemRenderer(JSONRenderer):
    """JSON under the media type of problem details."""

    media_type = PROBLEM_TYPE


class ProblemItemSerializer(serializers.Serializer[Any]):
    """One fault among several."""

    pointer = serializers.CharField(help_text="JSON pointer into the request body.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """The body of every error answer (RFC 9457), for the API schema."""

    type = serializers.URLField(help_text="Page that explains the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable, machine-readable.")
    detail = serializers.CharField(help_text="What happened and what to do, in your language.")
    param = serializers.CharField(required=False)
    # DRF collects the declaration away, so the base class keeps its own property of this name.
    errors = ProblemItemSerializer(many=True, required=False)  # type: ignore[assignment]
    request_id = serializers.CharField()
    retryable = serializers.BooleanField()
    charged_tokens = serializers.IntegerField(help_text="Always 0: a refused request is free.")


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn expected failures into problem details; bugs return None and become a logged 500."""
    error = to_domain_error(exc)
    if error is None:
        return None
    request: Request = context["request"]
    # Whatever the client accepts, an error is JSON: another format would hide the code.
    request.accepted_renderer = ProblemRenderer()
    request.accepted_media_type = PROBLEM_TYPE
    body = problem(error, request_id=request_id(request))
    return Response(
        body, status=error.http_status, headers=_headers(error), content_type=PROBLEM_TYPE
    )


def problem(error: DomainError, *, request_id: str) -> dict[str, Any]:
    """The problem document of ``error``, with texts in the active language."""
    body: dict[str, Any] = {
        "type": f"{settings.PUBLIC_URL}/errors/{error.code}",
        "title": str(error.title),
        "status": error.http_status,
        "code": error.code,
        "detail": str(error.detail),
        "request_id": request_id,
        "retryable": error.retryable,
        "charged_tokens": 0,
    }
    if error.param is not None:
        body["param"] = error.param
    if error.errors:
        body["errors"] = [{k: _plain(v) for k, v in item.items()} for item in error.errors]
    for name, value in error.context.items():
        body.setdefault(name, _plain(value))
    return body


def problem_response(request: HttpRequest, error: DomainError) -> JsonResponse:
    """The same answer for code outside the API views (middleware, error pages)."""
    return JsonResponse(
        problem(error, request_id=request_id(request)),
        status=error.http_status,
        headers=_headers(error),
        content_type=PROBLEM_TYPE,
    )


def to_domain_error(exc: Exception) -> DomainError | None:
    """The catalogue entry for an exception of ours, DRF's or Django's; None for a bug."""
    if isinstance(exc, DomainError):
        return exc
    if isinstance(exc, AuthenticationRefusedError):
        return exc.error
    if isinstance(exc, exceptions.ValidationError):
        return errors.InvalidRequestError(
            _("Some fields are missing or wrong; “errors” names each."),
            errors=tuple(_flatten(exc.detail, "#")),
        )
    if isinstance(exc, Ratelimited | exceptions.Throttled):
        wait_s = int(getattr(exc, "wait", None) or _UNKNOWN_WAIT_S)
        return errors.RateLimitedError(
            _("Too many requests. Try again in %(seconds)d seconds.") % {"seconds": wait_s},
            retry_after_s=wait_s,
        )
    for kind, error in _BY_EXCEPTION:
        if isinstance(exc, kind):
            return error(_message(exc) or error.next_step)
    return None


def request_id(request: HttpRequest | Request) -> str:
    """The id under which this request is logged; the middleware has set or checked it."""
    return request.headers.get("X-Request-Id", "")


def user_id(request: Request) -> int:
    """The caller's primary key; for views that require a signed-in caller."""
    pk = request.user.pk
    assert isinstance(pk, int), "the view lets anonymous callers in"
    return pk


def _headers(error: DomainError) -> dict[str, str]:
    headers = dict(error.headers)
    if error.http_status == errors.NotAuthenticatedError.http_status:
        headers["WWW-Authenticate"] = 'Bearer realm="api"'
    retry_after_s = error.context.get("retry_after_s")
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return headers


def _message(exc: Exception) -> str:
    """DRF's own text, which it translates; empty for Django's, whose texts are for developers."""
    detail = getattr(exc, "detail", "")
    if isinstance(detail, Mapping):
        # simplejwt nests its text.
        detail = detail.get("detail", "")
    return str(detail)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | list | dict | tuple):
        return value
    return str(value)


def _flatten(detail: object, pointer: str) -> Iterator[dict[str, str]]:
    """Walk DRF's nested validation detail; yields one item per fault with its JSON pointer."""
    if isinstance(detail, exceptions.ErrorDetail):
        yield {"pointer": pointer, "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, Mapping):
        for name, inner in detail.items():
            is_whole = name == "non_field_errors"
            step = str(name).replace("~", "~0").replace("/", "~1")
            yield from _flatten(inner, pointer if is_whole else f"{pointer}/{step}")
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            is_row = isinstance(inner, Mapping)
            yield from _flatten(inner, f"{pointer}/{index}" if is_row else pointer)
