"""Back-office screens of the ledger: look, search, never edit."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.unfold import display
from tokens import (
    approval_admin,
    break_admin,
    export_admin,
    finance_admin,
    month_admin,
    plan_admin,
    policy_admin,
    price_admin,
    proof_admin,
    rate_card_admin,
    recharge_admin,
    wallet_admin,
)
from tokens.admin_base import LedgerModelAdmin
from tokens.models import Hold, Transfer

__all__ = [
    "approval_admin",
    "break_admin",
    "export_admin",
    "finance_admin",
    "month_admin",
    "plan_admin",
    "policy_admin",
    "price_admin",
    "proof_admin",
    "rate_card_admin",
    "recharge_admin",
    "wallet_admin",
]


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
        if transfer.recharge_line is not None:
            return f"recharge_batch:{transfer.recharge_line.batch_id}"
        if transfer.adjustment_id is not None:
            return f"adjustment:{transfer.adjustment_id}"
        return f"lot_{transfer.lot_id}"


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
