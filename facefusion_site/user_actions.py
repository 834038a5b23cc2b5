"""Actions on the list of users that other apps offer; only the site may know of both."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import console_permissions
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from tokens import services as tokens_services


@admin.action(description=_("Recharge the chosen users"), permissions=["recharge"])
def recharge_users(
    _model_admin: object, request: HttpRequest, queryset: Any
) -> HttpResponse | None:
    """Prepare a recharge for them; its terms are asked for next."""
    console_permissions.require(request, Scope.RECHARGES_WRITE)
    assert request.user.pk is not None, "the console lets nobody in without signing in"
    try:
        draft_id = tokens_services.draft_from_users(
            maker_id=request.user.pk, user_ids=list(queryset.values_list("pk", flat=True))
        )
    except DomainError as error:
        messages.error(request, f"{error} {error.next_step}")
        return None
    return HttpResponseRedirect(reverse("admin:tokens_rechargedraft_terms", args=[draft_id]))


def install() -> None:
    """Offer the actions; called once, when all apps have registered their pages."""
    users = admin.site.get_model_admin(get_user_model())
    users.actions = [*(users.actions or ()), recharge_users]
