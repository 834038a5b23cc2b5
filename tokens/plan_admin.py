"""The console's page of plan rules: rows are added, and never changed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts import step_up
from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.service_admin import ServiceAdmin, actor_id
from tokens import services
from tokens.models import PlanRule
from tokens.services.plan_rules import FIELDS


@admin.register(PlanRule)
class PlanRuleAdmin(ServiceAdmin[PlanRule]):
    """What plans give, now and on any day. Whoever sets policies adds rules."""

    list_display = (
        "plan",
        "cadence",
        "tokens",
        "effective_from",
        "cycle_months",
        "rollover",
        "valid_days",
        "created_by",
        "created_at",
    )
    list_filter = ("plan", "cadence")
    list_select_related = ("created_by",)
    ordering = ("-effective_from", "-id")
    fields = FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever sets policies, with a fresh second factor."""
        return (
            may(request.user, Scope.POLICIES_WRITE)
            and step_up.session_proven_at(request) is not None
        )

    def has_change_permission(self, request: HttpRequest, obj: PlanRule | None = None) -> bool:
        """Never: another row says what is in force from another day on."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PlanRule | None = None) -> bool:
        """Never: what was in force can always be read."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say why nothing can be added yet."""
        is_proven = step_up.session_proven_at(request) is not None
        if may(request.user, Scope.POLICIES_WRITE) and not is_proven:
            page = f"{reverse('second-factor')}?next={request.path}"
            text = _("Prove your second factor to add rules.")
            messages.warning(request, format_html('<a href="{}">{}</a>', page, text))
        return super().changelist_view(request, extra_context)

    def save_model(
        self,
        request: HttpRequest,
        obj: PlanRule,
        form: forms.ModelForm[PlanRule],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """The service writes the row and its event."""
        obj.pk = services.add_plan_rule(values=form.cleaned_data, actor_id=actor_id(request))
