"""Addresses of customers' pages, inside the console, and the duty that each asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from accounts.console_permissions import require
from accounts.types import Scope
from facefusion_site.customers import actions, page, pictures

View = Callable[..., HttpResponse]


def _page(route: str, view: View, name: str, *scopes: Scope) -> URLPattern:
    """A page of the console for roles with one of the scopes; it asks before anything else."""

    @wraps(view)
    def guarded(request: HttpRequest, **names: Any) -> HttpResponse:
        require(request, *scopes)
        return view(request, **names)

    return path(route, admin.site.admin_view(guarded), name=name)


urlpatterns = [
    _page("<str:user_ref>/", page.customer, "customer", Scope.USERS_READ),
    _page("<str:user_ref>/freeze/", actions.freeze, "customer_freeze", Scope.FREEZES_WRITE),
    _page(
        "<str:user_ref>/freezes/<uuid:freeze_id>/lift/",
        actions.lift,
        "customer_lift",
        Scope.FREEZES_WRITE,
    ),
    _page(
        "<str:user_ref>/freezes/<uuid:freeze_id>/appeal/",
        actions.appeal,
        "customer_appeal",
        Scope.FREEZES_WRITE,
    ),
    _page("<str:user_ref>/factor/", actions.reset_factor, "customer_factor", Scope.ACCOUNTS_WRITE),
    _page("<str:user_ref>/note/", actions.note, "customer_note", Scope.SUPPORT_WRITE),
    _page(
        "<str:user_ref>/jobs/<uuid:job_id>/refund/",
        actions.refund,
        "customer_refund",
        Scope.WALLETS_WRITE,
    ),
    _page(
        "<str:user_ref>/deliveries/<uuid:delivery_id>/replay/",
        actions.replay,
        "customer_replay",
        Scope.SUPPORT_WRITE,
    ),
    _page(
        "pictures/<uuid:job_id>/<str:which>/",
        pictures.blurred,
        "customer_picture",
        Scope.MEDIA_REVIEW,
    ),
    _page(
        "pictures/<uuid:job_id>/<str:which>/reveal/",
        pictures.reveal,
        "customer_reveal",
        Scope.MEDIA_REVIEW,
    ),
]
