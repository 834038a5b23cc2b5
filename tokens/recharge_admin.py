"""Back-office screens of bulk recharges: watch, read the result, steer, retry, take back."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from accounts import step_up
from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import action, display
from tokens import batch_pages, recharge_selectors, services
from tokens.admin_base import LedgerModelAdmin
from tokens.decision_pages import refuse
from tokens.forms import RetryForm, ReversalForm, StepForm
from tokens.models import RechargeBatch
from tokens.recharge_report import failures_as_sent
from tokens.reversal_outlook import ReversalOutlook, reversal_outlook
from tokens.types import RechargeMode, RechargePreview, RechargeReceipt
from tokens.verdict_texts import verdict_text

Status = RechargeBatch.Status


@admin.register(RechargeBatch)
class RechargeBatchAdmin(LedgerModelAdmin[RechargeBatch]):
    """Bulk recharges."""

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

    def get_urls(self) -> list[URLPattern]:
        """The rows, the progress and the failures of a batch beside Django's own pages."""
        guard = self.admin_site.admin_view
        pages = [
            path("<uuid:batch_id>/rows/", guard(self.rows), name="tokens_rechargebatch_rows"),
            path("<uuid:batch_id>/state", guard(self.state), name="tokens_rechargebatch_state"),
            path(
                "<uuid:batch_id>/failures.csv",
                guard(self.failures),
                name="tokens_rechargebatch_failures",
            ),
        ]
        return [*pages, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Progress while it lasts, then the result."""
        batch = self._seen(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            **batch_pages.batch_context(batch),
            "title": _("Bulk recharge"),
            "opts": self.opts,
            "can_steer": self.has_recharge_permission(request),
            "step_key": uuid.uuid4().hex,
        }
        return render(request, "tokens/batch.html", context)

    def rows(self, request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
        """The lines in pages, by outcome."""
        batch = self._seen(request, batch_id)
        code, number = request.GET.get("code", ""), request.GET.get("page", "1")
        page = batch_pages.line_page(
            batch, number=int(number) if number.isascii() and number.isdigit() else 1, code=code
        )
        outcomes = recharge_selectors.outcomes(batch_id=batch.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Rows of the batch"),
            "opts": self.opts,
            "batch": batch,
            "page": page,
            "rows": [(line, verdict_text(line.outcome)) for line in page],
            "code": code,
            "verdict": "",
            "codes": [(it, verdict_text(it).text, count) for it, count in outcomes.items()],
            "can_reverse": self.has_recharge_permission(request)
            and batch.finished_at is not None
            and batch.reverses_id is None,
        }
        return render(request, "tokens/batch_rows.html", context)

    def state(self, request: HttpRequest, batch_id: uuid.UUID) -> JsonResponse:
        """How far it is; asked again and again by the page."""
        return JsonResponse(batch_pages.progress(self._seen(request, batch_id)))

    def failures(self, request: HttpRequest, batch_id: uuid.UUID) -> StreamingHttpResponse:
        """The failed rows as they were sent, with code and message in both languages."""
        batch = self._seen(request, batch_id)
        columns, cells = batch_pages.failures_source(batch)
        lines = recharge_selectors.failed_lines(batch_id=batch.pk)
        return StreamingHttpResponse(
            failures_as_sent(lines, columns=columns, cells=cells),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="failures-{batch.pk}.csv"'},
        )

    @action(
        description=_("Bulk recharge"),
        url_path="new",
        permissions=["recharge"],
        icon="playlist_add",
    )
    def new_recharge(self, request: HttpRequest) -> HttpResponse:
        """Prepare a recharge; ``user_ref`` in the query is who it is for."""
        page = reverse("admin:tokens_rechargedraft_new")
        query = request.GET.urlencode()
        return HttpResponseRedirect(f"{page}?{query}" if query else page)

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
                actor_id=actor_id(request),
                idempotency_key=form.cleaned_data["key"],
                mode=RechargeMode(mode) if mode else None,
                unproven_tokens_max=_unproven_tokens_max(request, form.cleaned_data["code"]),
            )

        return self._answer(request, form, send, batch=batch)

    @action(description=_("Reverse"), url_path="reverse", permissions=["recharge"], icon="undo")
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take back what it has granted."""
        batch = get_object_or_404(RechargeBatch, pk=object_id)
        chosen = batch_pages.reversal_rows(request.GET.getlist("row"))
        form = ReversalForm(request.POST or None, rows=chosen)

        def send() -> RechargeReceipt | RechargePreview:
            if form.cleaned_data["dry_run"]:
                return services.preview_reversal(batch_id=batch.pk, order=form.order())
            return services.reverse_batch(
                batch_id=batch.pk,
                order=form.order(),
                actor_id=actor_id(request),
                idempotency_key=form.cleaned_data["key"],
                unproven_tokens_max=_unproven_tokens_max(request, form.cleaned_data["code"]),
            )

        rows = form.order().row_nos if form.is_bound and form.is_valid() else form.chosen()
        outlook = reversal_outlook(batch_id=batch.pk, row_nos=rows)
        return self._answer(request, form, send, batch=batch, outlook=outlook)

    def _step(self, request: HttpRequest, object_id: str, service: Any) -> HttpResponse:
        batch = get_object_or_404(RechargeBatch, pk=object_id)
        form = StepForm(request.POST or None)
        send = partial(service, batch_id=batch.pk, actor_id=actor_id(request))
        return self._answer(request, form, send, batch=batch)

    def _seen(self, request: HttpRequest, batch_id: uuid.UUID | str) -> RechargeBatch:
        if not self.has_view_permission(request):
            raise PermissionDenied
        batches = RechargeBatch.objects.select_related("actor", "approval_request")
        try:
            return get_object_or_404(batches, pk=uuid.UUID(str(batch_id)))
        except ValueError as error:
            raise Http404 from error

    def _answer(
        self,
        request: HttpRequest,
        form: forms.Form,
        send: Any,
        *,
        batch: RechargeBatch,
        outlook: ReversalOutlook | None = None,
    ) -> HttpResponse:
        """Show the form; or act, and then show the batch, or what it would do."""
        preview = None
        if form.is_valid():
            try:
                done = send()
            except DomainError as error:
                refuse(form, error)
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
            "outlook": outlook,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
        }
        return render(request, "tokens/batch_step.html", context)


TITLES = {
    "pause": _("Pause the batch"),
    "resume": _("Resume the batch"),
    "stop": _("Stop the batch"),
    "retry": _("Retry the failed lines"),
    "reverse": _("Reverse the batch"),
}


def _batch_url(batch_id: uuid.UUID) -> str:
    return reverse("admin:tokens_rechargebatch_change", args=[batch_id])


def _unproven_tokens_max(request: HttpRequest, code: str) -> int | None:
    """How many tokens may be touched: any number after a proof, now by the code or just before."""
    if code.strip():
        step_up.prove_session(request, code=code.strip())
        return None
    is_proven = step_up.session_proven_at(request) is not None
    return None if is_proven else settings.RECHARGE_STEP_UP_TOKENS
