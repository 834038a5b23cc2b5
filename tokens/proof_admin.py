"""Back-office screens of the proof of the books: look, never edit."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.unfold import display
from tokens.admin_base import LedgerModelAdmin
from tokens.models import (
    AuditEvent,
    BalanceSnapshot,
    ReconRun,
    SealBlock,
    SnapshotDay,
)


@admin.register(AuditEvent)
class AuditEventAdmin(LedgerModelAdmin[AuditEvent]):
    """Who changed what."""

    list_display = ("id", "recorded_at", "actor", "action", "subject", "request_id")
    list_select_related = ("actor",)
    search_fields = ("=subject", "=action", "actor__user_ref", "=request_id")
    search_help_text = _("subject, action, the principal's user_ref or request id")
    ordering = ("-id",)


@admin.register(SealBlock)
class SealBlockAdmin(LedgerModelAdmin[SealBlock]):
    """The hash chain."""

    list_display = (
        "number",
        "sealed_at",
        "transfers_count",
        "tokens_total",
        "events_count",
        "hash",
    )
    search_fields = ("=number", "=hash")
    search_help_text = _("number or hash")
    ordering = ("-number",)


@admin.register(SnapshotDay)
class SnapshotDayAdmin(LedgerModelAdmin[SnapshotDay]):
    """Days that were added up."""

    list_display = ("day", "transfers_count", "tokens_total", "taken_at")
    ordering = ("-day",)


@admin.register(BalanceSnapshot)
class BalanceSnapshotAdmin(LedgerModelAdmin[BalanceSnapshot]):
    """Opening, in, out and closing."""

    list_display = ("day", "account", "wallet_owner", "opening", "credited", "debited", "closing")
    list_filter = ("account",)
    list_select_related = ("day", "wallet__owner")
    search_fields = ("=day__day", "wallet__owner__user_ref")
    search_help_text = _("day or user_ref")
    ordering = ("-day", "account", "wallet")

    @admin.display(description=_("wallet"))
    def wallet_owner(self, snapshot: BalanceSnapshot) -> str:
        """Whose; empty for a system account."""
        return "" if snapshot.wallet is None else str(snapshot.wallet.owner)


@admin.register(ReconRun)
class ReconRunAdmin(LedgerModelAdmin[ReconRun]):
    """Proofs of the books."""

    list_display = ("started_at", "kind", "status_label", "checks_count", "finished_at")
    list_filter = ("status", "kind")
    ordering = ("-started_at", "-id")

    @display(
        description=_("status"),
        ordering="status",
        label={ReconRun.Status.PASSED: "success", ReconRun.Status.FAILED: "danger"},
    )
    def status_label(self, run: ReconRun) -> tuple[str, str]:
        """As a coloured badge."""
        return run.status, run.get_status_display()
