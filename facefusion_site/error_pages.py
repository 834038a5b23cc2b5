"""The error catalogue as pages, and what visitors and API clients see when no view answers."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from facefusion_site.common import drf, errors


@require_safe
def error_list(request: HttpRequest) -> HttpResponse:
    """Every error code, what it means and what to do next."""
    return render(request, "errors/list.html", {"errors": errors.catalogue()})


@require_safe
def error_detail(request: HttpRequest, code: str) -> HttpResponse:
    """One error code; the ``type`` of every problem document leads here.

    Raises:
        Http404: no error has this code.
    """
    for error in errors.catalogue():
        if error.code == code:
            return render(request, "errors/detail.html", {"error": error})
    raise Http404


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Answer 400 for requests that Django itself refuses."""
    error = errors.ParseError(_("The request is malformed."))
    return _answer(request, error, "errors/400.html")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Answer 403."""
    error = errors.PermissionDeniedError(_("You do not have permission to do this."))
    return _answer(request, error, "errors/403.html")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Answer 404."""
    error = errors.NotFoundError(_("There is nothing at this address."))
    return _answer(request, error, "errors/404.html")


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer 500; the cause is in the log under the request id."""
    error = errors.InternalError(_("The request ended with an error that we did not expect."))
    return _answer(request, error, "errors/500.html")


@csrf_exempt
def no_such_api(request: HttpRequest, rest: str) -> HttpResponseBase:
    """Answer API paths that no route takes, also where DEBUG would show Django's own page."""
    return not_found(request)


def _answer(request: HttpRequest, error: errors.DomainError, template: str) -> HttpResponseBase:
    if request.path.startswith("/api/"):
        return drf.problem_response(request, error)
    context = {"error": error, "request_id": drf.request_id(request)}
    return render(request, template, context, status=error.http_status)
