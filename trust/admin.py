"""The console's pages of trust: reports to decide, and what is kept as evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.timesince import timeuntil
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import ModelAdmin, action, display
from trust import services
from trust.forms import RejectForm, UpholdForm
from trust.models import BlockedHash, Consent, ErasureReceipt, Takedown
from trust.types import TakedownState

Row = TypeVar("Row", bound=Model)
_SOON_S: Final = 12 * 60 * 60


class EvidenceAdmin(ModelAdmin[Row]):
    """Rows that only services write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never: rows are evidence."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never."""
        return False


@admin.register(Takedown)
class TakedownAdmin(EvidenceAdmin[Takedown]):
    """Reports, those that are due first."""

    list_display = ("reference", "state_badge", "clock", "reason", "created_at", "decided_by")
    list_filter = ("state", "reason")
    list_select_related = ("decided_by",)
    search_fields = ("=reference", "=sha256")
    search_help_text = _("a whole reference or SHA-256")
    fields = (
        "reference",
        "state",
        "reason",
        "statement",
        "address",
        "digest",
        "is_copy_sent",
        "contact",
        "created_at",
        "due_at",
        "decided_at",
        "decided_by",
        "note",
    )
    readonly_fields = fields
    ordering = (F("decided_at").desc(nulls_first=True), "due_at")
    actions_detail: ClassVar[tuple[str, ...]] = ("uphold", "reject")

    @display(
        description=_("state"),
        ordering="state",
        label={
            TakedownState.OPEN: "warning",
            TakedownState.UPHELD: "success",
            TakedownState.REJECTED: "info",
        },
    )
    def state_badge(self, row: Takedown) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(
        description=_("time left"),
        ordering="due_at",
        label={"late": "danger", "soon": "warning", "good": "success", "done": "info"},
    )
    def clock(self, row: Takedown) -> tuple[str, str]:
        """How much of the 48 hours is left; of a decided one, whether it was in time."""
        now = timezone.now()
        if row.decided_at is not None:
            is_late = row.decided_at > row.due_at
            return ("late", gettext("decided late")) if is_late else ("done", gettext("in time"))
        if row.due_at <= now:
            late = timeuntil(now, row.due_at)
            return "late", gettext("overdue by %(time)s") % {"time": late}
        left_s = (row.due_at - now).total_seconds()
        return ("soon" if left_s < _SOON_S else "good"), timeuntil(row.due_at, now)

    @admin.display(description=_("address"))
    def address(self, row: Takedown) -> str:
        """As text and not as a link: nobody goes there by accident."""
        return _breakable(row.link)

    @admin.display(description="SHA-256")
    def digest(self, row: Takedown) -> str:
        """Broken into lines where the page is narrow."""
        return _breakable(row.sha256)

    def has_review_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may look at media of others."""
        return may(request.user, Scope.MEDIA_REVIEW)

    @action(description=_("Uphold"), url_path="uphold", permissions=["review"], icon="gavel")
    def uphold(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Block files and remove them wherever they are."""
        row = get_object_or_404(Takedown, pk=object_id)
        form = UpholdForm(request.POST or None, initial={"sha256s": row.sha256})

        def send() -> None:
            services.uphold(
                takedown_id=row.pk,
                actor_id=actor_id(request),
                sha256s=form.cleaned_data["sha256s"].split(),
                note=form.cleaned_data["note"],
            )

        return self._decide(request, row, form, send, title=_("Uphold the report"))

    @action(description=_("Reject"), url_path="reject", permissions=["review"], icon="block")
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer that nothing is removed, and why."""
        row = get_object_or_404(Takedown, pk=object_id)
        form = RejectForm(request.POST or None)

        def send() -> None:
            services.reject(
                takedown_id=row.pk,
                actor_id=actor_id(request),
                note=form.cleaned_data["note"],
            )

        return self._decide(request, row, form, send, title=_("Reject the report"))

    def _decide(
        self,
        request: HttpRequest,
        row: Takedown,
        form: forms.Form,
        send: Callable[[], None],
        *,
        title: Promise,
    ) -> HttpResponse:
        require(request, Scope.MEDIA_REVIEW)
        if request.method == "POST" and form.is_valid():
            try:
                send()
            except DomainError as error:
                form.add_error(None, f"{error} {error.next_step}")
            else:
                messages.success(request, _("The report is decided."))
                return HttpResponseRedirect(reverse("admin:trust_takedown_change", args=[row.pk]))
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": title,
            "form": form,
        }
        return render(request, "trust/decide.html", context)


@admin.register(BlockedHash)
class BlockedHashAdmin(EvidenceAdmin[BlockedHash]):
    """What nobody may bring in any more."""

    list_display = ("sha256", "takedown", "created_at", "enforced_at", "removed_count")
    list_select_related = ("takedown",)
    search_fields = ("=sha256",)
    search_help_text = _("a whole SHA-256")
    ordering = ("-created_at",)


@admin.register(Consent)
class ConsentAdmin(EvidenceAdmin[Consent]):
    """Who vouched for whose face."""

    list_display = (
        "owner",
        "kind",
        "covers_account",
        "created_at",
        "expires_at",
        "revoked_at",
        "enforced_at",
    )
    list_filter = ("kind", "covers_account")
    list_select_related = ("owner",)
    search_fields = ("=id", "owner__user_ref")
    search_help_text = _("an id or a user_ref")
    ordering = ("-created_at", "-id")


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(EvidenceAdmin[ErasureReceipt]):
    """What was erased."""

    list_display = ("id", "owner", "scope", "items_count", "created_at")
    list_filter = ("scope",)
    list_select_related = ("owner",)
    search_fields = ("=id", "owner__user_ref")
    search_help_text = _("an id or a user_ref")
    ordering = ("-created_at", "-id")


def _breakable(text: str) -> str:
    """A long text without spaces that may be broken anywhere, as HTML."""
    return format_html_join("", "{}<wbr>", ((letter,) for letter in text)) if text else "—"
