"""Back-office screens of the ledger: look, search, never edit."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.changelists import IndexedSearchMixin, by_number, keys
from facefusion_site.common.unfold import display
from tokens import (
    approval_admin,
    break_admin,
    draft_admin,
    export_admin,
    finance_admin,
    month_admin,
    plan_admin,
    policy_admin,
    price_admin,
    proof_admin,
    rate_card_admin,
    recharge_admin,
    segment_admin,
    wallet_admin,
)
from tokens.admin_base import LedgerModelAdmin, wallet_ids
from tokens.models import Hold, Transfer

__all__ = [
    "approval_admin",
    "break_admin",
    "draft_admin",
    "export_admin",
    "finance_admin",
    "month_admin",
    "plan_admin",
    "policy_admin",
    "price_admin",
    "proof_admin",
    "rate_card_admin",
    "recharge_admin",
    "segment_admin",
    "wallet_admin",
]


@admin.register(Transfer)
class TransferAdmin(IndexedSearchMixin, LedgerModelAdmin[Transfer]):
    """The journal."""

    list_display = ("id", "kind_label", "wallet_owner", "amount", "origin", "recorded_at")
    list_filter = ("kind",)
    list_select_related = ("wallet__owner", "hold", "recharge_line")
    search_fields = ("=id", "wallet__owner__user_ref", "hold__reference")
    search_help_text = _("transfer number, how a user_ref begins, or a whole reference")
    ordering = ("-id",)

    def matches(self, text: str) -> Q:
        """By number, by the wallets of people, or by the hold with this reference."""
        hold_ids = keys(Hold.objects.filter(reference=text))
        return by_number(text) | Q(wallet_id__in=wallet_ids(text)) | Q(hold_id__in=hold_ids)

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
class HoldAdmin(IndexedSearchMixin, LedgerModelAdmin[Hold]):
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
    list_select_related = ("wallet__owner",)
    search_fields = ("reference", "wallet__owner__user_ref")
    search_help_text = _(
        "Pending holds, the next deadline first. A whole reference, or how a user_ref begins, finds"
        " others as well."
    )
    ordering = ("expires_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        """Those that nobody searches are the pending ones: an index of all by time would cost."""
        holds = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == (
            "tokens_hold_changelist"
        )
        if is_list and not request.GET.get("q"):
            return holds.filter(status=Hold.Status.PENDING)
        return holds

    def matches(self, text: str) -> Q:
        """By reference, or by the wallets of people."""
        return Q(reference=text) | Q(wallet_id__in=wallet_ids(text))

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
