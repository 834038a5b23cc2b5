"""Back-office screens of bulk recharges: look, upload, steer. Each button asks before it acts."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import step_up
from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import TabularInline, action, display
from tokens import services
from tokens.admin_base import LedgerModelAdmin, ReadOnlyMixin
from tokens.forms import RechargeForm, RetryForm, ReversalForm, StepForm
from tokens.models import RechargeBatch, RechargeLine
from tokens.recharge_files import read_rows
from tokens.recharge_uploads import from_upload
from tokens.types import RechargeMode, RechargePreview, RechargeReceipt

Status = RechargeBatch.Status


class RechargeLineInline(ReadOnlyMixin, TabularInline[RechargeLine, RechargeBatch]):
    """The lines of a batch, in pages."""

    model = RechargeLine
    fields = ("row_no", "item_key", "user_ref", "amount", "outcome")
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
        "source",
        "mode",
        "status_label",
        "lines_count",
        "done_count",
        "applied_count",
        "failed_count",
        "tokens_total",
    )
    list_filter = ("status", "mode", "source")
    list_select_related = ("actor",)
    search_fields = ("=id", "operator", "reason", "actor__user_ref", "=content_sha256")
    search_help_text = _("batch id, operator, reason, content digest or the principal's user_ref")
    ordering = ("-created_at", "-id")
    inlines = (RechargeLineInline,)
    actions_list = ("new_recharge",)
    actions_detail: ClassVar[tuple[str, ...]] = ("pause", "resume", "stop", "retry", "reverse")

    @admin.display(description=_("failed lines"))
    def failed_count(self, batch: RechargeBatch) -> int:
        """Lines that have ended and moved nothing."""
        return batch.done_count - batch.applied_count

    @display(
        description=_("status"),
        ordering="status",
        label={
            Status.APPLIED: "success",
            Status.PARTIALLY_APPLIED: "warning",
            Status.PENDING_APPROVAL: "warning",
            Status.PAUSED: "warning",
            Status.QUEUED: "info",
            Status.APPLYING: "info",
            Status.FAILED: "danger",
            Status.STOPPED: "danger",
            Status.REJECTED: "danger",
            Status.APPROVAL_EXPIRED: "danger",
        },
    )
    def status_label(self, batch: RechargeBatch) -> tuple[str, str]:
        """Status as a badge."""
        return batch.status, batch.get_status_display()

    def has_recharge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever makes recharges; policies ask for approvals above that."""
        return may(request.user, Scope.RECHARGES_WRITE)

    @action(
        description=_("Recharge from a file"),
        url_path="new",
        permissions=["recharge"],
        icon="upload_file",
    )
    def new_recharge(self, request: HttpRequest) -> HttpResponse:
        """Upload rows; by default only to see what would happen."""
        form = RechargeForm(request.POST or None, request.FILES or None)
        return self._answer(request, form, partial(self._recharge, request, form), batch=None)

    @action(description=_("Pause"), url_path="pause", permissions=["recharge"], icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Pause between two chunks."""
        return self._step(request, object_id, services.pause_batch)

    @action(description=_("Resume"), url_path="resume", permissions=["recharge"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go on where it stood."""
        return self._step(request, object_id, services.resume_batch)

    @action(description=_("Stop"), url_path="stop", permissions=["recharge"], icon="stop")
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End it; lines not applied yet will not be."""
        return self._step(request, object_id, services.stop_batch)

    @action(
        description=_("Retry failures"), url_path="retry", permissions=["recharge"], icon="replay"
    )
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send the failed lines again as a batch of its own."""
        batch = get_object_or_404(RechargeBatch, pk=object_id)
        form = RetryForm(request.POST or None)

        def send() -> RechargeReceipt:
            mode = form.cleaned_data["mode"]
            return services.retry_failures(
                batch_id=batch.pk,
                actor_id=_actor_id(request),
                idempotency_key=form.cleaned_data["key"],
                mode=RechargeMode(mode) if mode else None,
                unproven_tokens_max=_unproven_tokens_max(request),
            )

        return self._answer(request, form, send, batch=batch)

    @action(description=_("Reverse"), url_path="reverse", permissions=["recharge"], icon="undo")
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take back what it has granted."""
        batch = get_object_or_404(RechargeBatch, pk=object_id)
        form = ReversalForm(request.POST or None)

        def send() -> RechargeReceipt | RechargePreview:
            if form.cleaned_data["dry_run"]:
                return services.preview_reversal(batch_id=batch.pk, order=form.order())
            return services.reverse_batch(
                batch_id=batch.pk,
                order=form.order(),
                actor_id=_actor_id(request),
                idempotency_key=form.cleaned_data["key"],
                unproven_tokens_max=_unproven_tokens_max(request),
            )

        return self._answer(request, form, send, batch=batch)

    def _step(self, request: HttpRequest, object_id: str, service: Any) -> HttpResponse:
        batch = get_object_or_404(RechargeBatch, pk=object_id)
        form = StepForm(request.POST or None)
        send = partial(service, batch_id=batch.pk, actor_id=_actor_id(request))
        return self._answer(request, form, send, batch=batch)

    def _recharge(
        self, request: HttpRequest, form: RechargeForm
    ) -> RechargeReceipt | RechargePreview:
        rows_file = from_upload(form.cleaned_data["file"])
        order = form.order(rows_file)
        rows = partial(read_rows, rows_file.file, source=rows_file.source, rules=form.rules(order))
        if form.cleaned_data["dry_run"]:
            return services.preview(order=order, rows=rows)
        return services.create_batch(
            order=order,
            rows=rows,
            actor_id=_actor_id(request),
            idempotency_key=form.cleaned_data["key"],
            unproven_tokens_max=_unproven_tokens_max(request),
        )

    def _answer(
        self, request: HttpRequest, form: forms.Form, send: Any, *, batch: RechargeBatch | None
    ) -> HttpResponse:
        """Show the form; or act, and then show the batch, or what it would do."""
        preview = None
        if form.is_valid():
            try:
                done = send()
            except DomainError as error:
                form.add_error(None, str(error))
            else:
                if isinstance(done, RechargeReceipt):
                    messages.success(request, _("Done; the batch says what became of it."))
                    return HttpResponseRedirect(_batch_url(done.batch_id))
                preview = done
        step = request.resolver_match.url_name if request.resolver_match else ""
        context = {
            **self.admin_site.each_context(request),
            "title": TITLES[str(step).rsplit("_", maxsplit=1)[-1]],
            "opts": self.opts,
            "original": batch,
            "form": form,
            "preview": preview,
        }
        return render(request, "tokens/batch_step.html", context)


TITLES = {
    "recharge": _("Recharge from a file"),
    "pause": _("Pause the batch"),
    "resume": _("Resume the batch"),
    "stop": _("Stop the batch"),
    "retry": _("Retry the failed lines"),
    "reverse": _("Reverse the batch"),
}


def _batch_url(batch_id: uuid.UUID) -> str:
    return reverse("admin:tokens_rechargebatch_change", args=[batch_id])


def _actor_id(request: HttpRequest) -> int:
    assert request.user.pk is not None, "the console lets nobody in without signing in"
    return int(request.user.pk)


def _unproven_tokens_max(request: HttpRequest) -> int | None:
    is_proven = step_up.session_proven_at(request) is not None
    return None if is_proven else settings.RECHARGE_STEP_UP_TOKENS
