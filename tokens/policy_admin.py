"""The console's pages of approval policies and of their changes, which take two administrators."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Field, Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import step_up
from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import ServiceAdmin, actor_id
from facefusion_site.common.unfold import display
from tokens import policy_selectors, services
from tokens.approvals import POLICY_FIELDS, FieldChange
from tokens.decision_forms import PolicyDecisionForm
from tokens.decision_pages import OBSTACLES, DecisionPageMixin, factor_at, refuse
from tokens.models import ApprovalPolicy, ApprovalSubject, ApproverRole, PolicyChange


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ServiceAdmin[ApprovalPolicy]):
    """Saving proposes a change to another administrator; the first policy is applied at once."""

    list_display = (
        "name",
        "subject",
        "is_active",
        "row_tokens_min",
        "batch_tokens_min",
        "rows_min",
        "maker_day_tokens_min",
        "approvals_required",
        "updated_at",
    )
    list_filter = ("subject", "is_active")
    ordering = ("name",)
    fields = POLICY_FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Administrators with a fresh second factor propose."""
        return self._may_write(request)

    def has_change_permission(
        self, request: HttpRequest, obj: ApprovalPolicy | None = None
    ) -> bool:
        """Administrators with a fresh second factor propose."""
        return self._may_write(request)

    def has_delete_permission(
        self, request: HttpRequest, obj: ApprovalPolicy | None = None
    ) -> bool:
        """Never: a policy is switched off."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say why nothing can be changed yet."""
        if _may_change(request) and step_up.session_proven_at(request) is None:
            page = f"{reverse('second-factor')}?next={request.path}"
            text = _("Prove your second factor to change policies.")
            messages.warning(request, format_html('<a href="{}">{}</a>', page, text))
        return super().changelist_view(request, extra_context)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Roles are ticked, not typed."""
        if db_field.name != "roles":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.MultipleChoiceField(
            label=_("Who may approve"),
            choices=ApproverRole.choices,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
            help_text=str(db_field.help_text),
        )

    def save_model(
        self,
        request: HttpRequest,
        obj: ApprovalPolicy,
        form: forms.ModelForm[ApprovalPolicy],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """Propose instead; the row changes when another administrator approves."""
        self._change_ids(request).append(
            services.propose_policy(
                actor_id=actor_id(request),
                policy_id=obj.pk if change else None,
                values=form.cleaned_data,
                second_factor_at=step_up.session_proven_at(request),
            )
        )

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        """Nothing was changed yet, so nothing is saved here; audit events are the record."""
        return LogEntry()

    def response_add(
        self, request: HttpRequest, obj: ApprovalPolicy, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go on to what was proposed."""
        return self._to_change(request)

    def response_change(self, request: HttpRequest, obj: ApprovalPolicy) -> HttpResponse:
        """Go on to what was proposed."""
        return self._to_change(request)

    def _to_change(self, request: HttpRequest) -> HttpResponse:
        (change_id,) = self._change_ids(request)
        view = policy_selectors.policy_change(change_id=change_id, viewer_id=actor_id(request))
        if view.is_bootstrap:
            messages.success(request, _("The first policy is in force."))
        else:
            messages.success(request, _("Proposed; another administrator decides."))
        return HttpResponseRedirect(reverse("admin:tokens_policychange_change", args=[change_id]))

    def _change_ids(self, request: HttpRequest) -> list[uuid.UUID]:
        """What this request has proposed: the page that answers comes after the saving."""
        proposed: list[uuid.UUID] = request.META.setdefault("tokens.policy_changes", [])
        return proposed

    def _may_write(self, request: HttpRequest) -> bool:
        return _may_change(request) and step_up.session_proven_at(request) is not None


@admin.register(PolicyChange)
class PolicyChangeAdmin(DecisionPageMixin[PolicyChange]):
    """What administrators propose to each other."""

    list_display = (
        "opened_at",
        "policy_name",
        "maker",
        "status_label",
        "checker",
        "expires_at",
        "decided_at",
    )
    list_filter = ("status",)
    list_select_related = ("maker", "checker")
    search_fields = ("=id", "=policy_id", "maker__user_ref", "content_sha256")
    search_help_text = _("change or policy id, the maker's user_ref, or digest")
    ordering = ("-opened_at", "-id")
    decision_template = "tokens/policy_change.html"

    @admin.display(description=_("policy"))
    def policy_name(self, change: PolicyChange) -> str:
        """As the change would have it."""
        return str(change.after["name"])

    @display(
        description=_("status"),
        ordering="status",
        label={
            PolicyChange.Status.OPEN: "warning",
            PolicyChange.Status.APPLIED: "success",
            PolicyChange.Status.REJECTED: "danger",
            PolicyChange.Status.EXPIRED: "danger",
        },
    )
    def status_label(self, change: PolicyChange) -> tuple[str, str]:
        """As a coloured badge."""
        return change.status, change.get_status_display()

    def act(self, request: HttpRequest, row: PolicyChange) -> dict[str, Any] | None:
        """Decide or recall."""
        step = request.POST.get("step")
        if step == "vote":
            return self._decide(request, row)
        if step == "recall":
            return self._recall(request, row)
        raise PermissionDenied

    def page_context(
        self, request: HttpRequest, row: PolicyChange, refused: dict[str, Any]
    ) -> dict[str, Any]:
        """The change as the viewer sees it, and the forms they may use."""
        view = policy_selectors.policy_change(change_id=row.pk, viewer_id=actor_id(request))
        form = refused.get("vote")
        if form is None and view.is_my_turn:
            form = PolicyDecisionForm(
                initial={"content_sha256": view.content_sha256},
                is_proven=step_up.session_proven_at(request) is not None,
            )
        return {
            "change": view,
            "status_text": PolicyChange.Status[view.status.upper()].label,
            "rows": [_row(field) for field in view.fields],
            "obstacle": OBSTACLES[view.obstacle],
            "vote_form": form,
            "can_recall": view.status == "open" and actor_id(request) == row.maker_id,
            "recall_error": refused.get("recall"),
        }

    def _decide(self, request: HttpRequest, row: PolicyChange) -> dict[str, Any] | None:
        is_proven = step_up.session_proven_at(request) is not None
        form = PolicyDecisionForm(request.POST, is_proven=is_proven)
        if not form.is_valid():
            return {"vote": form}
        try:
            ballot = form.ballot(second_factor_at=factor_at(request, form.cleaned_data["code"]))
            services.decide_policy_change(
                change_id=row.pk, checker_id=actor_id(request), ballot=ballot
            )
        except DomainError as error:
            refuse(form, error)
            return {"vote": form}
        messages.success(request, _("Your decision is recorded."))
        return None

    def _recall(self, request: HttpRequest, row: PolicyChange) -> dict[str, Any] | None:
        try:
            services.recall_policy_change(change_id=row.pk, actor_id=actor_id(request))
        except DomainError as error:
            return {"recall": str(error)}
        messages.success(request, _("Recalled: the policy stays as it is."))
        return None


def _row(field: FieldChange) -> tuple[str, str, str]:
    """Label, before and after of one field, in words."""
    column = ApprovalPolicy._meta.get_field(field.name)  # noqa: SLF001  Django documents it
    assert isinstance(column, Field), "a change is about columns"
    return str(column.verbose_name), _text(field.name, field.before), _text(field.name, field.after)


def _text(name: str, value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if name == "roles":
        return ", ".join(str(ApproverRole[role.upper()].label) for role in value)
    if name == "subject":
        return str(ApprovalSubject[value.upper()].label)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _may_change(request: HttpRequest) -> bool:
    return may(request.user, Scope.POLICIES_WRITE)
