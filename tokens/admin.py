"""Back-office screens of the ledger: look, search, never edit."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.unfold import ModelAdmin, TabularInline, display
from tokens.models import Hold, RechargeBatch, RechargeLine, Transfer, Wallet

Row = TypeVar("Row", bound=Model)


class ReadOnlyMixin:
    """No way to add, change or delete: money moves through services only."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LedgerModelAdmin(ReadOnlyMixin, ModelAdmin[Row]):
    """Defaults that stay fast on large tables."""

    show_full_result_count = False
    list_per_page = 50


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


class RechargeLineInline(ReadOnlyMixin, TabularInline[RechargeLine, RechargeBatch]):
    """The lines of a batch, in pages."""

    model = RechargeLine
    fields = ("row_no", "user_ref", "amount", "outcome")
    readonly_fields = fields
    ordering = ("row_no",)
    per_page = 50
    extra = 0
    tab = True


@admin.register(RechargeBatch)
class RechargeBatchAdmin(LedgerModelAdmin[RechargeBatch]):
    """Bulk recharges with their lines."""

    list_display = (
        "id",
        "created_at",
        "actor",
        "operator",
        "reason",
        "mode",
        "status_label",
        "lines_count",
        "applied_count",
        "failed_count",
        "tokens_total",
    )
    list_filter = ("status", "mode")
    list_select_related = ("actor",)
    search_fields = ("=id", "operator", "reason", "actor__user_ref")
    search_help_text = _("batch id, operator, reason or the principal's user_ref")
    ordering = ("-created_at", "-id")
    inlines = (RechargeLineInline,)

    @admin.display(description=_("failed lines"))
    def failed_count(self, batch: RechargeBatch) -> int:
        return batch.lines_count - batch.applied_count

    @display(
        description=_("status"),
        ordering="status",
        label={
            RechargeBatch.Status.APPLIED: "success",
            RechargeBatch.Status.PARTIALLY_APPLIED: "warning",
            RechargeBatch.Status.FAILED: "danger",
        },
    )
    def status_label(self, batch: RechargeBatch) -> tuple[str, str]:
        return batch.status, batch.get_status_display()
