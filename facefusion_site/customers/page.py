"""The page on which staff see everything about one customer that their role may see."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts import customer_selectors as accounts_customers
from accounts import freeze_selectors, second_factor, selectors, webhook_selectors
from accounts.errors import UserNotFoundError
from facefusion_site.common.errors import InvalidCursorError
from facefusion_site.customers import history
from facefusion_site.customers.forms import MomentForm, NoteForm
from facefusion_site.customers.rights import Rights, masked_email, rights_of
from inference import selectors as inference_selectors
from inference.selectors import JobDetail
from inference.services.reviews import JobPicture
from tokens import customer_selectors as tokens_customers
from tokens import selectors as tokens_selectors
from tokens import wallet_selectors

if TYPE_CHECKING:
    from accounts.models import User

_JOBS_SHOWN: Final = 12
_DELIVERIES_SHOWN: Final = 20
_NOTES_SHOWN: Final = 5
PARTS: Final = {
    "timeline": _("Timeline"),
    "jobs": _("Jobs"),
    "access": _("Keys and webhooks"),
}


@require_safe
def customer(request: HttpRequest, user_ref: str) -> HttpResponse:
    """Who it is, what is frozen, what is in the wallet; and one part of what happened."""
    user = customer_or_404(user_ref)
    rights = rights_of(request.user)
    part = request.GET.get("part", "timeline")
    if part not in PARTS or not (part == "timeline" or rights.work):
        part = "timeline"
    context = {
        **admin.site.each_context(request),
        "title": user.username,
        "customer": user,
        "email": user.email if rights.contact else masked_email(user.email),
        "rights": rights,
        "part": part,
        "parts": [
            (name, text) for name, text in PARTS.items() if name == "timeline" or rights.work
        ],
        "freezes": freeze_selectors.active_freezes(user=user),
        "factor": second_factor.state(user_id=user.pk),
        "here": reverse("admin:customer", args=[user.user_ref]),
        **_notes(user, rights),
        **(_wallet(request, user) if rights.money else {}),
        **_READERS[part](request, user, rights),
    }
    return render(request, "customers/page.html", context)


def customer_or_404(user_ref: str) -> User:
    """The user of this reference.

    Raises:
        Http404: there is none.
    """
    try:
        return selectors.user_by_ref(user_ref=user_ref)
    except UserNotFoundError as error:
        raise Http404 from error


def _notes(user: User, rights: Rights) -> dict[str, Any]:
    if not rights.notes:
        return {}
    return {
        "notes": accounts_customers.notes(user_id=user.pk, limit=_NOTES_SHOWN),
        "note_form": NoteForm() if rights.note else None,
    }


def _wallet(request: HttpRequest, user: User) -> dict[str, Any]:
    """The wallet, its lots, and what it held at a moment where one is asked for."""
    form = MomentForm(request.GET if "at" in request.GET else None)
    past = None
    if form.is_valid():
        at: dt.datetime = form.cleaned_data["at"]
        past = tokens_customers.balance_at(user_id=user.pk, at=at)
    now = timezone.now()
    lots = tokens_selectors.lots(user_id=user.pk)
    return {
        "wallet": wallet_selectors.wallet(user_ref=user.user_ref),
        "lots": [(lot, lot.expires_at is not None and lot.expires_at <= now) for lot in lots],
        "moment_form": form,
        "past": past,
    }


def _timeline(request: HttpRequest, user: User, rights: Rights) -> dict[str, Any]:
    kind = request.GET.get("kind", "")
    if kind not in history.KINDS:
        kind = ""
    cursor = request.GET.get("cursor") or None
    try:
        lines, following = history.read(user=user, rights=rights, kind=kind, cursor=cursor)
    except InvalidCursorError:
        # An address that was cut short in a mail begins at the newest entry.
        lines, following = history.read(user=user, rights=rights, kind=kind, cursor=None)
    query = urlencode({"kind": kind, "cursor": following}) if following else ""
    return {
        "lines": lines,
        "kind": kind,
        "kinds": history.KINDS.items(),
        "next_query": query,
        "is_first": cursor is None,
    }


def _jobs(request: HttpRequest, user: User, rights: Rights) -> dict[str, Any]:
    cursor = request.GET.get("cursor") or None
    try:
        page, following = inference_selectors.jobs(
            owner_id=user.pk, limit=_JOBS_SHOWN, cursor=cursor
        )
    except InvalidCursorError:
        page, following = inference_selectors.jobs(owner_id=user.pk, limit=_JOBS_SHOWN)
    query = urlencode({"part": "jobs", "cursor": following}) if following else ""
    return {
        "jobs": [(detail, _pictures(detail) if rights.pictures else ()) for detail in page],
        "next_query": query,
    }


def _pictures(detail: JobDetail) -> tuple[tuple[JobPicture, object], ...]:
    """The pictures that there are, with what they are called."""
    named = [(JobPicture.SOURCE, _("Face")), (JobPicture.TARGET, _("Target"))]
    if detail.job.has_result:
        named.append((JobPicture.RESULT, _("Result")))
    return tuple(named)


def _access(_request: HttpRequest, user: User, _rights: Rights) -> dict[str, Any]:
    deliveries, _cursor = webhook_selectors.deliveries(
        user_id=user.pk, endpoint_id=None, status=None, limit=_DELIVERIES_SHOWN, cursor=None
    )
    return {
        "keys": selectors.api_keys(user_id=user.pk),
        "endpoints": webhook_selectors.endpoints(user_id=user.pk),
        "deliveries": deliveries,
    }


_READERS: Final = {"timeline": _timeline, "jobs": _jobs, "access": _access}
