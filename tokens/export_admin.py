"""Exports in the console: ordered on one page, followed and downloaded on another."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import action, display
from tokens import services
from tokens.admin_base import LedgerModelAdmin
from tokens.decision_pages import refuse
from tokens.finance_forms import ExportOrderForm
from tokens.models import ExportJob

Status = ExportJob.Status
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@admin.register(ExportJob)
class ExportJobAdmin(LedgerModelAdmin[ExportJob]):
    """Files of the books."""

    list_display = (
        "created_at",
        "name",
        "file_format",
        "first",
        "last",
        "status_label",
        "rows_done",
        "requested_by",
    )
    list_filter = ("status", "file_format")
    list_select_related = ("requested_by",)
    search_fields = ("=name", "requested_by__user_ref")
    search_help_text = _("export, or the user_ref of who ordered it")
    ordering = ("-created_at", "-id")
    actions_list = ("order",)

    @display(
        description=_("status"),
        ordering="status",
        label={
            Status.RUNNING: "info",
            Status.DONE: "success",
            Status.FAILED: "danger",
        },
    )
    def status_label(self, job: ExportJob) -> tuple[str, str]:
        """As a coloured badge."""
        return job.status, job.get_status_display()

    def get_urls(self) -> list[URLPattern]:
        """The file and its progress come first: the object pages would swallow their addresses."""
        return [
            path(
                "<uuid:export_id>/file/",
                self.admin_site.admin_view(self.file_view),
                name="finance_export_file",
            ),
            path(
                "<uuid:export_id>/state/",
                self.admin_site.admin_view(self.state_view),
                name="finance_export_state",
            ),
            *super().get_urls(),
        ]

    def has_order_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever reads the books may take them along."""
        return may(request.user, Scope.AUDIT_READ)

    @action(description=_("Order a file"), url_path="order", permissions=["order"], icon="add")
    def order(self, request: HttpRequest) -> HttpResponse:
        """Choose what to export; then follow its progress."""
        form = ExportOrderForm(request.POST.dict() if request.method == "POST" else request.GET)
        if request.method == "POST" and form.is_valid():
            try:
                job = services.order_export(
                    request=form.request(),
                    file_format=form.cleaned_data["file_format"],
                    actor_id=actor_id(request),
                )
            except DomainError as error:
                refuse(form, error)
            else:
                page = reverse("admin:tokens_exportjob_change", args=[job.pk])
                return HttpResponseRedirect(page)
        if request.method != "POST":
            form.errors.clear()
        return self._page(request, "order_export", title=_("Order a file"), form=form)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Progress, and the download for whoever ordered it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.get_object(request, object_id)
        if job is None:
            raise Http404
        assert isinstance(job, ExportJob), "this screen is registered for exports"
        basis = {"recorded": _("When it was written"), "effective": _("When it takes effect")}
        return self._page(
            request,
            "export",
            title=_("Export"),
            original=job,
            file_name=_file_name(job),
            state=_state(job),
            basis_text=basis.get(job.basis, job.basis),
            size_text=filesizeformat(job.size_bytes),
            can_download=job.status == Status.DONE and job.requested_by_id == request.user.pk,
        )

    def state_view(self, request: HttpRequest, export_id: uuid.UUID) -> HttpResponse:
        """How far the worker is, for the page that shows it."""
        require(request, Scope.AUDIT_READ)
        job = ExportJob.objects.filter(pk=export_id).first()
        if job is None:
            raise Http404
        return JsonResponse(_state(job), headers={"Cache-Control": "no-store"})

    def file_view(self, request: HttpRequest, export_id: uuid.UUID) -> HttpResponseBase:
        """The file, streamed."""
        require(request, Scope.AUDIT_READ)
        try:
            job, file = services.open_export(export_id=export_id, actor_id=actor_id(request))
        except DomainError as error:
            raise Http404(str(error)) from error
        return FileResponse(
            file,
            as_attachment=True,
            filename=_file_name(job),
            content_type=CONTENT_TYPES[job.file_format],
            headers={"Cache-Control": "private, no-store"},
        )

    def _page(
        self, request: HttpRequest, name: str, *, title: object, **context: object
    ) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return render(request, f"tokens/finance/{name}.html", {**shared, **context})


def _file_name(job: ExportJob) -> str:
    return f"{job.name}-{job.first}-{job.last}.{job.file_format}"


def _state(job: ExportJob) -> dict[str, Any]:
    total = job.rows_count
    percent = 100 * job.rows_done // total if total else 100 * (job.status == Status.DONE)
    text = job.get_status_display()
    if job.status == Status.RUNNING and total is not None:
        text = gettext("Writing: %(done)s of %(total)s rows") % {
            "done": f"{job.rows_done:,}",
            "total": f"{total:,}",
        }
    elif job.status == Status.DONE:
        text = gettext("Ready: %(done)s rows") % {"done": f"{job.rows_done:,}"}
    return {"status": job.status, "percent": percent, "text": text}
