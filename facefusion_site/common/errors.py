"""Errors that callers may expect, as opposed to bugs.

Every expected failure of the product is one subclass of ``DomainError`` with a stable ``code``.
The classes are the error catalogue: ``catalogue()`` lists them, the pages under ``/errors/`` show
them, and the API answers with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

Text = str | Promise


class DomainError(Exception):
    """Base of every expected failure.

    Subclasses set the class attributes. ``detail`` tells one caller what happened this time,
    ``param`` names the field or header at fault, ``errors`` lists several faults at once, each
    with ``pointer``, ``code`` and ``detail``; ``context`` becomes extra members of the API's reply.
    """

    code: ClassVar[str] = "domain_error"
    http_status: ClassVar[int] = 400
    title: ClassVar[Text] = _("The request was refused")
    next_step: ClassVar[Text] = _("Read the detail of the answer, correct the request, try again.")
    retryable: ClassVar[bool] = False
    # When tokens are charged. No refusal costs anything itself; some are about work that has.
    charge: ClassVar[Text] = _("Nothing: a refused request is free.")
    # The catalogue pages show the classes themselves; a template would create an instance.
    do_not_call_in_templates: ClassVar[bool] = True

    def __init__(
        self,
        detail: Text,
        *,
        param: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        **context: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param
        self.errors = tuple(errors)
        self.context = context
        # Extra headers of the API's answer, for example that a refusal is a replay.
        self.headers: dict[str, str] = {}

    def __str__(self) -> str:
        return str(self.detail)


class InvalidRequestError(DomainError):
    """Fields of the request are missing or wrong; ``errors`` points at each."""

    code = "invalid_request"
    title = _("The request is not valid")
    next_step = _("Correct the fields named in “errors” and send the request again.")


class ParseError(DomainError):
    """The body is not what its content type says."""

    code = "parse_error"
    title = _("The request body cannot be read")
    next_step = _("Send valid JSON, or a valid multipart form where a file is uploaded.")


class NotAuthenticatedError(DomainError):
    """No credentials, or wrong ones."""

    code = "not_authenticated"
    http_status = 401
    title = _("Sign in first")
    next_step = _("Send a valid API key or access token in the Authorization header, or sign in.")


class PermissionDeniedError(DomainError):
    """Known caller, not allowed."""

    code = "permission_denied"
    http_status = 403
    title = _("You may not do this")
    next_step = _("Ask an administrator for access, or reload the page and sign in again.")


class NotFoundError(DomainError):
    """No such thing, or none that the caller may see."""

    code = "not_found"
    http_status = 404
    title = _("Nothing is here")
    next_step = _("Check the address and the id. You see only what belongs to you.")


class InvalidCursorError(DomainError):
    """The page cursor was not made by us."""

    code = "invalid_cursor"
    http_status = 400
    title = _("The page cursor is not valid")
    next_step = _("Take the cursor from “next_cursor” of the page before, or leave it out.")


class MethodNotAllowedError(DomainError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    http_status = 405
    title = _("This method is not available here")
    next_step = _("Use one of the methods in the Allow header of the answer.")


class NotAcceptableError(DomainError):
    """No renderer for what the caller accepts."""

    code = "not_acceptable"
    http_status = 406
    title = _("No answer in the wanted format")
    next_step = _("Accept application/json.")


class UnsupportedMediaTypeError(DomainError):
    """No parser for the body's content type."""

    code = "unsupported_media_type"
    http_status = 415
    title = _("The body's content type is not supported")
    next_step = _("Send application/json, or multipart/form-data where a file is uploaded.")


class RateLimitedError(DomainError):
    """Too many requests in the window."""

    code = "rate_limited"
    http_status = 429
    title = _("Too many requests")
    next_step = _("Wait as many seconds as the Retry-After header says, then try again.")
    retryable = True


class InternalError(DomainError):
    """A bug; the details are in the logs under the request id."""

    code = "internal_error"
    http_status = 500
    title = _("Something broke on our side")
    next_step = _("Try again. If it happens again, send us the request id.")
    retryable = True


class ServiceUnavailableError(DomainError):
    """A part the request needs does not answer."""

    code = "service_unavailable"
    http_status = 503
    title = _("The service is not available right now")
    next_step = _("Try again in a minute.")
    retryable = True


def catalogue() -> tuple[type[DomainError], ...]:
    """Every error class that has its own code, sorted by code.

    Imports the ``errors`` module of each installed app first, so the answer is complete in any
    process.
    """
    autodiscover_modules("errors")
    return tuple(sorted(_coded_subclasses(DomainError), key=lambda cls: (cls.code, cls.__name__)))


def _coded_subclasses(cls: type[DomainError]) -> Iterator[type[DomainError]]:
    for sub in cls.__subclasses__():
        if "code" in vars(sub):
            yield sub
        yield from _coded_subclasses(sub)
