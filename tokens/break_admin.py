"""The queue of breaks in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import display
from tokens import proof_selectors, services
from tokens.decision_pages import DecisionPageMixin, refuse
from tokens.finance_forms import LookIntoForm, ReasonForm
from tokens.models import ReconBreak

FORMS: dict[str, type[forms.Form]] = {"note": LookIntoForm, "resolve": ReasonForm}


@admin.register(ReconBreak)
class ReconBreakAdmin(DecisionPageMixin[ReconBreak]):
    """What proofs of the books found, and who looks into it."""

    list_display = (
        "opened_at",
        "check_name",
        "status_label",
        "offenders_count",
        "owner",
        "last_run",
        "resolved_at",
    )
    list_filter = ("status",)
    list_select_related = ("owner", "last_run")
    search_fields = ("check_name", "owner__user_ref")
    search_help_text = _("check or the user_ref of who looks into it")
    ordering = ("-opened_at", "-id")
    decision_template = "tokens/finance/break.html"

    @display(
        description=_("status"),
        ordering="status",
        label={
            ReconBreak.Status.OPEN: "danger",
            ReconBreak.Status.IN_PROGRESS: "warning",
            ReconBreak.Status.RESOLVED: "success",
        },
    )
    def status_label(self, row: ReconBreak) -> tuple[str, str]:
        """As a coloured badge."""
        return row.status, row.get_status_display()

    def act(self, request: HttpRequest, row: ReconBreak) -> dict[str, Any] | None:
        """Take it, or resolve it."""
        step = request.POST.get("step", "")
        if step not in FORMS:
            raise PermissionDenied
        form = FORMS[step](request.POST)
        if not form.is_valid():
            return {step: form}
        viewer_id = actor_id(request)
        try:
            if step == "note":
                note = form.cleaned_data["note"]
                services.look_into_break(break_id=row.pk, actor_id=viewer_id, note=note)
            else:
                reason = form.cleaned_data["reason"]
                services.resolve_break(break_id=row.pk, actor_id=viewer_id, reason=reason)
        except DomainError as error:
            refuse(form, error)
            return {step: form}
        messages.success(request, _("Done; the audit trail keeps it."))
        return None

    def page_context(
        self, request: HttpRequest, row: ReconBreak, refused: dict[str, Any]
    ) -> dict[str, Any]:
        """What was found, and the forms of those who settle it."""
        context: dict[str, Any] = {
            "opened_text": f"{row.opened_at:%Y-%m-%d %H:%M} UTC",
            "is_seen": proof_selectors.is_newest_run(run_id=row.last_run_id),
        }
        is_resolved = row.status == ReconBreak.Status.RESOLVED
        if not is_resolved and may(request.user, Scope.BOOKS_WRITE):
            context["note_form"] = refused.get("note") or LookIntoForm(initial={"note": row.note})
            context["resolve_form"] = refused.get("resolve") or ReasonForm()
        return context
