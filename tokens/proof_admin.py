"""Back-office screens of the proof of the books: look, never edit."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.unfold import action, display
from tokens import exports
from tokens.admin_base import LedgerModelAdmin
from tokens.export_forms import ExportForm
from tokens.models import (
    AuditEvent,
    BalanceSnapshot,
    MonthClose,
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


@admin.register(MonthClose)
class MonthCloseAdmin(LedgerModelAdmin[MonthClose]):
    """Closed months."""

    list_display = ("month", "closed_at", "closed_by", "reopened_at", "reopened_by")
    list_select_related = ("closed_by", "reopened_by")
    ordering = ("-month", "-closed_at")
    actions_list = ("exports",)

    def has_export_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may see the books may take them along."""
        return self.has_view_permission(request)

    @action(description=_("Exports"), url_path="exports", permissions=["export"], icon="download")
    def exports(self, request: HttpRequest) -> HttpResponse:
        """Choose a month and perhaps one account, then download what is wanted."""
        form = ExportForm(request.GET or None)
        files = []
        if form.is_valid():
            wanted = form.query()
            names = exports.OWNED_NAMES if "user" in wanted else exports.NAMES
            files = [
                (name, f"{reverse('export', args=[name])}?{urlencode(wanted)}") for name in names
            ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Exports"),
            "opts": self.opts,
            "form": form,
            "files": [(name, EXPORT_TEXTS[name], url) for name, url in files],
        }
        return render(request, "tokens/exports.html", context)


EXPORT_TEXTS = {
    "journal": _("Every transfer"),
    "balances": _("Balances at the end of the month"),
    "daily": _("Opening, in, out and closing of each day"),
    "consumption": _("Consumption by account, operation and day"),
    "audit": _("Audit events"),
    "seals": _("The hash chain"),
}
