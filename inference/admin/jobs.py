"""Jobs, what became of their tokens, and what operators may do with them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import display
from inference import selectors, services
from inference.admin.base import (
    LIST_PICTURE_PX,
    PAGE_PICTURE_PX,
    InferenceModelAdmin,
    asset_image,
    result_image,
    stored_media,
)
from inference.models import SwapJob
from tokens.types import HoldReceipt

_WITH_CODE: Final = (SwapJob.Status.FAILED, SwapJob.Status.BLOCKED, SwapJob.Status.EXPIRED)
_CODES_OF: Final = 1_000


class ErrorCodeFilter(admin.SimpleListFilter):
    """Jobs that ended with one code; offered are those of the latest jobs without a result.

    Django's own would read every job for the codes that there are.
    """

    title = _("error code")
    parameter_name = "error_code"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[SwapJob]
    ) -> list[tuple[str, str]]:
        """One query for each way to end, over the index of these jobs."""
        codes: set[str] = set()
        for status in _WITH_CODE:
            latest = SwapJob.objects.filter(status=status).order_by("-created_at", "-pk")
            codes.update(latest.values_list("error_code", flat=True)[:_CODES_OF])
        return [(code, code) for code in sorted(codes)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[SwapJob]
    ) -> QuerySet[SwapJob] | None:
        """The jobs with the chosen code."""
        if not self.value():
            return None
        return queryset.filter(status__in=_WITH_CODE, error_code=self.value())


@admin.register(SwapJob)
class SwapJobAdmin(InferenceModelAdmin[SwapJob]):
    """Jobs with their pictures, their state and what became of their tokens."""

    list_display = (
        "source_picture",
        "target_picture",
        "result_picture",
        "id",
        "owner",
        "status_label",
        "progress",
        "attempt",
        "error_code",
        "receipt_text",
        "created_at",
        "finished_at",
    )
    list_display_links = ("id",)
    list_filter = ("status", ErrorCodeFilter)
    list_select_related = ("owner", "quote")
    search_fields = ("=id", "=quote__id", "owner__user_ref", "owner__username")
    search_help_text = _("a whole job or quote id, or how a user_ref, name or e-mail begins")
    id_columns = ("pk", "quote_id")
    actions = ("requeue", "cancel", "stop_and_refund")
    fieldsets = (
        (_("Pictures"), {"fields": ("pictures",)}),
        (
            _("State"),
            {
                "fields": (
                    "id",
                    "owner",
                    "status",
                    "progress",
                    "attempt",
                    "lease_expires_at",
                    "error_code",
                    "error_detail",
                    "batch",
                    "batch_row",
                    "retry_of",
                )
            },
        ),
        (_("Segments"), {"fields": ("segment_lines",)}),
        (_("Tokens"), {"fields": ("quote", "receipt_lines", "idempotency_key")}),
        (
            _("Result"),
            {
                "fields": (
                    "result_content_type",
                    "result_width_px",
                    "result_height_px",
                    "result_duration_ms",
                    "result_size_bytes",
                    "result_sha256",
                    "faces",
                    "report",
                )
            },
        ),
        (
            _("Times"),
            {
                "fields": (
                    "created_at",
                    "start_deadline_at",
                    "queued_at",
                    "sent_at",
                    "started_at",
                    "finished_at",
                    "result_deleted_at",
                )
            },
        ),
    )
    readonly_fields = (
        "pictures",
        "progress",
        "receipt_lines",
        "segment_lines",
        "id",
        "created_at",
    )

    def get_urls(self) -> list[URLPattern]:
        """The picture views come first: the object pages would swallow their addresses."""
        pattern = path(
            "<uuid:job_id>/result/<str:size>/",
            self.admin_site.admin_view(self.result_view),
            name="inference_swapjob_result",
        )
        return [pattern, *super().get_urls()]

    def result_view(self, request: HttpRequest, job_id: uuid.UUID, size: str) -> HttpResponseBase:
        """A result, whole or in small."""
        require(request, Scope.MEDIA_REVIEW)
        job = SwapJob.objects.filter(pk=job_id).first()
        if job is None or not job.has_result:
            raise Http404
        self.note_look(request, job)
        return stored_media(
            request,
            key=job.result_key,
            content_type=job.result_content_type,
            sha256=job.result_sha256,
            size=size,
        )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Faces are for those who review media, and for nobody else."""
        if may(request.user, Scope.MEDIA_REVIEW):
            return self.list_display
        return tuple(name for name in self.list_display if not name.endswith("_picture"))

    def get_fieldsets(self, request: HttpRequest, obj: SwapJob | None = None) -> Any:
        """The same for the page of one job."""
        if may(request.user, Scope.MEDIA_REVIEW):
            return self.fieldsets
        return tuple(part for part in self.fieldsets if part[1]["fields"] != ("pictures",))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Read the receipts of the whole page at once instead of row by row."""
        changelist = super().get_changelist_instance(request)
        jobs: list[SwapJob] = list(changelist.result_list)
        receipts = {detail.job.pk: detail.receipt for detail in selectors.with_receipts(jobs)}
        for job in jobs:
            job.page_receipt = receipts.get(job.pk)  # type: ignore[attr-defined]  # for receipt_text
        changelist.result_list = jobs
        return changelist

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whoever runs the workers; the role decides, as everywhere."""
        return may(request.user, Scope.OPERATIONS_WRITE)

    @admin.action(description=_("Give the chosen jobs to a new worker"), permissions=["operate"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[SwapJob]) -> None:
        self._apply(request, queryset, services.requeue_swap_job, _t("queued again"))

    @admin.action(
        description=_("Stop the chosen jobs and refund their tokens"), permissions=["operate"]
    )
    def stop_and_refund(self, request: HttpRequest, queryset: QuerySet[SwapJob]) -> None:
        self._apply(request, queryset, services.stop_swap_job, _t("stopped and refunded"))

    @admin.action(description=_("Cancel the chosen jobs…"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[SwapJob]) -> TemplateResponse | None:
        """First show what each would charge and give back; then do it."""
        if "confirmed" in request.POST:
            self._apply(request, queryset, services.cancel_swap_job_of_anybody, _t("canceled"))
            return None
        previews = services.preview_cancel(jobs=queryset.select_related("owner"))
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Cancel jobs"),
            "opts": self.opts,
            "previews": previews,
            "held": sum(preview.held for preview in previews),
            "settled": sum(preview.settled for preview in previews),
            "refunded": sum(preview.refunded for preview in previews),
        }
        return TemplateResponse(request, "inference/cancel_jobs.html", context)

    def _apply(
        self,
        request: HttpRequest,
        jobs: Iterable[SwapJob],
        service: Callable[..., None],
        outcome: str,
    ) -> None:
        done_count = 0
        for job in jobs:
            try:
                service(job_id=job.pk, actor_id=request.user.pk)
            except DomainError as error:
                self.message_user(request, f"{job.pk}: {error}", messages.WARNING)
            else:
                self.log_change(request, job, outcome)
                done_count += 1
        if done_count:
            self.message_user(
                request,
                ngettext("%(count)d job: %(outcome)s.", "%(count)d jobs: %(outcome)s.", done_count)
                % {"count": done_count, "outcome": outcome},
                messages.SUCCESS,
            )

    @display(
        description=_("status"),
        ordering="status",
        label={
            SwapJob.Status.AWAITING_INPUT: "info",
            SwapJob.Status.QUEUED: "info",
            SwapJob.Status.RUNNING: "warning",
            SwapJob.Status.SUCCEEDED: "success",
            SwapJob.Status.FAILED: "danger",
            SwapJob.Status.BLOCKED: "danger",
            SwapJob.Status.CANCELED: "warning",
            SwapJob.Status.EXPIRED: "warning",
        },
    )
    def status_label(self, job: SwapJob) -> tuple[str, str]:
        return job.status, job.get_status_display()

    @admin.display(description=_("progress"))
    def progress(self, job: SwapJob) -> str:
        text = f"{job.progress_percent} % {job.stage}".rstrip()
        if not job.frames_count:
            return text
        return _t("%(text)s, %(done)d of %(all)d frames") % {
            "text": text,
            "done": job.frames_done,
            "all": job.frames_count,
        }

    @admin.display(description=_("source"))
    def source_picture(self, job: SwapJob) -> SafeString:
        return asset_image(job.quote.source_id, width_px=LIST_PICTURE_PX)

    @admin.display(description=_("target"))
    def target_picture(self, job: SwapJob) -> SafeString:
        return asset_image(job.quote.target_id, width_px=LIST_PICTURE_PX)

    @admin.display(description=_("result"))
    def result_picture(self, job: SwapJob) -> SafeString | str:
        return result_image(job, width_px=LIST_PICTURE_PX)

    @admin.display(description=_("source, target, result"))
    def pictures(self, job: SwapJob) -> SafeString:
        return format_html(
            '<div class="flex flex-row flex-wrap gap-4">{}{}{}</div>',
            asset_image(job.quote.source_id, width_px=PAGE_PICTURE_PX),
            asset_image(job.quote.target_id, width_px=PAGE_PICTURE_PX),
            result_image(job, width_px=PAGE_PICTURE_PX),
        )

    @admin.display(description=_("segments"))
    def segment_lines(self, job: SwapJob) -> SafeString | str:
        """Each segment with its state, frames and attempt; a dash for a job in one piece."""
        rows = [
            (
                segment.index,
                segment.get_status_display(),
                segment.frames_done,
                segment.frames_count,
                segment.attempt,
            )
            for segment in job.segments.order_by("index")
        ]
        if not rows:
            return "—"
        line = format_html(
            "<li>{{}}: {{}}, {{}} / {{}} {}, {} {{}}</li>", _t("frames"), _t("attempt")
        )
        return format_html("<ul>{}</ul>", format_html_join("", line, rows))

    @admin.display(description=_("receipt"))
    def receipt_text(self, job: SwapJob) -> str:
        receipt: HoldReceipt | None = getattr(job, "page_receipt", None)
        return "—" if receipt is None else _totals(receipt)

    @admin.display(description=_("receipt"))
    def receipt_lines(self, job: SwapJob) -> SafeString:
        receipt = selectors.with_receipts([job])[0].receipt
        rows = (
            (date_format(localtime(line.recorded_at), "DATETIME_FORMAT"), line.kind, line.tokens)
            for line in receipt.transfers
        )
        return format_html(
            "{}<ul>{}</ul>",
            _totals(receipt),
            format_html_join("", "<li>{} · {} · {}</li>", rows),
        )


def _totals(receipt: HoldReceipt) -> str:
    return _t("held %(held)d, settled %(settled)d, refunded %(refunded)d") % {
        "held": receipt.held,
        "settled": receipt.settled,
        "refunded": receipt.refunded,
    }
