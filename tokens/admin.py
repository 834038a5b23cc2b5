"""Back-office screens of the ledger: look, search, never edit."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import step_up
from accounts.types import Role
from facefusion_site.common.unfold import ModelAdmin, TabularInline, display
from tokens import proof_admin, recharge_admin, services
from tokens.admin_base import LedgerModelAdmin, ReadOnlyMixin
from tokens.models import (
    ApprovalPolicy,
    ApprovalRequest,
    ApprovalVote,
    ApproverRole,
    Hold,
    Transfer,
    Wallet,
)

__all__ = ["proof_admin", "recharge_admin"]


@admin.register(Wallet)
class WalletAdmin(LedgerModelAdmin[Wallet]):
    """What everybody has."""

    list_display = ("owner", "available", "held", "total", "opened_at")
    list_select_related = ("owner",)
    search_fields = ("owner__user_ref", "owner__username")
    search_help_text = _("user_ref or user name")
    ordering = ("-id",)

    @admin.display(description=_("total"))
    def total(self, wallet: Wallet) -> int:
        return wallet.available + wallet.held


@admin.register(Transfer)
class TransferAdmin(LedgerModelAdmin[Transfer]):
    """The journal."""

    list_display = ("id", "kind_label", "wallet_owner", "amount", "origin", "recorded_at")
    list_filter = ("kind",)
    list_select_related = ("wallet__owner", "hold", "recharge_line")
    search_fields = ("=id", "wallet__owner__user_ref", "hold__reference")
    search_help_text = _("transfer number, user_ref or reference")
    ordering = ("-id",)

    @display(
        description=_("kind"),
        ordering="kind",
        label={
            Transfer.Kind.RECHARGE: "success",
            Transfer.Kind.HOLD: "warning",
            Transfer.Kind.SETTLE: "info",
        },
    )
    def kind_label(self, transfer: Transfer) -> tuple[str, str]:
        return transfer.kind, transfer.get_kind_display()

    @admin.display(description=_("wallet"), ordering="wallet__owner__user_ref")
    def wallet_owner(self, transfer: Transfer) -> str:
        return str(transfer.wallet.owner)

    @admin.display(description=_("origin"))
    def origin(self, transfer: Transfer) -> str:
        if transfer.hold is not None:
            return transfer.hold.reference
        assert transfer.recharge_line is not None, "a CHECK ties the kind to its origin"
        return f"recharge_batch:{transfer.recharge_line.batch_id}"


@admin.register(Hold)
class HoldAdmin(LedgerModelAdmin[Hold]):
    """Tokens set aside."""

    list_display = (
        "reference",
        "wallet_owner",
        "amount",
        "settled",
        "status_label",
        "placed_at",
        "expires_at",
    )
    list_filter = ("status",)
    list_select_related = ("wallet__owner",)
    search_fields = ("reference", "wallet__owner__user_ref")
    search_help_text = _("reference or user_ref")
    ordering = ("-placed_at",)

    @admin.display(description=_("wallet"), ordering="wallet__owner__user_ref")
    def wallet_owner(self, hold: Hold) -> str:
        return str(hold.wallet.owner)

    @display(
        description=_("status"),
        ordering="status",
        label={
            Hold.Status.PENDING: "warning",
            Hold.Status.SETTLED: "success",
            Hold.Status.EXPIRED: "danger",
        },
    )
    def status_label(self, hold: Hold) -> tuple[str, str]:
        return hold.status, hold.get_status_display()


class ApprovalVoteInline(ReadOnlyMixin, TabularInline[ApprovalVote, ApprovalRequest]):
    """What has been said."""

    model = ApprovalVote
    fields = ("voter", "voter_role", "decision", "comment", "second_factor_at", "voted_at")
    readonly_fields = fields
    ordering = ("pk",)
    extra = 0


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(LedgerModelAdmin[ApprovalRequest]):
    """What waits for others than its maker."""

    list_display = (
        "opened_at",
        "maker",
        "batch",
        "status_label",
        "approvals_required",
        "expires_at",
        "decided_at",
    )
    list_filter = ("status",)
    list_select_related = ("maker", "batch")
    search_fields = ("=id", "=batch__id", "maker__user_ref", "content_sha256")
    search_help_text = _("request or batch id, the maker's user_ref, or digest")
    ordering = ("-opened_at", "-id")
    inlines = (ApprovalVoteInline,)

    @display(
        description=_("status"),
        ordering="status",
        label={
            ApprovalRequest.Status.OPEN: "warning",
            ApprovalRequest.Status.APPROVED: "success",
            ApprovalRequest.Status.REJECTED: "danger",
            ApprovalRequest.Status.EXPIRED: "danger",
        },
    )
    def status_label(self, request: ApprovalRequest) -> tuple[str, str]:
        return request.status, request.get_status_display()


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ModelAdmin[ApprovalPolicy]):
    """Administrators with a fresh second factor change policies; each change is an audit event."""

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
    fields = services.POLICY_FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may_write(request)

    def has_change_permission(
        self, request: HttpRequest, obj: ApprovalPolicy | None = None
    ) -> bool:
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
        if _is_administrator(request) and step_up.session_proven_at(request) is None:
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
        """Through the service, which writes the audit event."""
        assert isinstance(request.user.pk, int), "the console lets nobody else in"
        obj.pk = services.save_policy(
            actor_id=request.user.pk,
            policy_id=obj.pk if change else None,
            values=form.cleaned_data,
        )
        obj.refresh_from_db()

    def _may_write(self, request: HttpRequest) -> bool:
        return _is_administrator(request) and step_up.session_proven_at(request) is not None


def _is_administrator(request: HttpRequest) -> bool:
    return getattr(request.user, "role", None) == Role.ADMIN
