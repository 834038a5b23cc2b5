"""What the console's search field finds: people, and whatever has the id that was pasted."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from accounts import customer_selectors as accounts_customers
from accounts.console_permissions import may
from accounts.types import Scope
from inference import customer_selectors as inference_customers
from tokens import customer_selectors as tokens_customers

_FOUND_MAX: Final = 10
_REQUEST_ID_LENGTH_MIN: Final = 8


def find(request: HttpRequest, text: str) -> list[SearchResult]:
    """Everything the viewer may open that is called so; called by the console's search field."""
    found = []
    if may(request.user, Scope.USERS_READ):
        found += _users(request, text)
    row_id = _uuid(text)
    if row_id is not None:
        found += _rows(request, row_id)
    if len(text) >= _REQUEST_ID_LENGTH_MIN and may(request.user, Scope.AUDIT_READ):
        found += _requests(text)
    return found


def _users(request: HttpRequest, text: str) -> list[SearchResult]:
    return [
        SearchResult(
            title=user.username,
            description=user.user_ref,
            link=reverse("admin:customer", args=[user.user_ref]),
            icon="person",
        )
        for user in accounts_customers.find_users(text=text, limit=_FOUND_MAX)
    ]


def _rows(request: HttpRequest, row_id: uuid.UUID) -> list[SearchResult]:
    found = []
    user = request.user
    if may(user, Scope.SUPPORT_READ, Scope.OPERATIONS_READ, Scope.MEDIA_REVIEW):
        owner = inference_customers.job_owner(job_id=row_id)
        if owner is not None:
            found.append(
                SearchResult(
                    title=_("Swap job"),
                    description=f"{row_id} · {owner}",
                    link=reverse("admin:inference_swapjob_change", args=[row_id]),
                    icon="swap_horiz",
                )
            )
    if may(user, Scope.SUPPORT_READ, Scope.OPERATIONS_READ):
        owner = inference_customers.job_batch_owner(batch_id=row_id)
        if owner is not None:
            found.append(
                SearchResult(
                    title=_("Batch of jobs"),
                    description=f"{row_id} · {owner}",
                    link=reverse("admin:inference_jobbatch_change", args=[row_id]),
                    icon="stacks",
                )
            )
    if may(user, Scope.RECHARGES_READ) and tokens_customers.is_recharge_batch(batch_id=row_id):
        found.append(
            SearchResult(
                title=_("Recharge batch"),
                description=str(row_id),
                link=reverse("admin:tokens_rechargebatch_change", args=[row_id]),
                icon="playlist_add",
            )
        )
    return found


def _requests(text: str) -> list[SearchResult]:
    return [
        SearchResult(
            title=_("Request %(id)s") % {"id": text},
            description=f"{event.action} · {event.subject}",
            link=reverse("admin:tokens_auditevent_change", args=[event.pk]),
            icon="history",
        )
        for event in tokens_customers.events_of_request(request_id=text, limit=_FOUND_MAX)
    ]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None
