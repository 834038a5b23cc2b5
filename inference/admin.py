"""Back-office screens of inference: look at uploads, quotes and jobs; requeue or refund a job.

Nothing can be edited. Pictures are served by views of the admin site itself, to staff who may see
the row, and each look at one is logged.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, TypeVar

import structlog
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.types import STAFF_ROLES
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import ModelAdmin, display
from inference import downloads, selectors, services, storage
from inference.models import MediaAsset, SwapJob, SwapQuote
from tokens.types import HoldReceipt

Row = TypeVar("Row", bound=Model)
log = structlog.get_logger(__name__)
_LIST_PICTURE_PX: Final = 56
_PAGE_PICTURE_PX: Final = 200


class InferenceModelAdmin(ModelAdmin[Row]):
    """Read-only, and fast on large tables."""

    show_full_result_count = False
    list_per_page = 50
    ordering = ("-created_at", "-id")
    search_fields: ClassVar[tuple[str, ...]] = ("=id", "owner__user_ref", "owner__username")
    search_help_text = _("id, user_ref or user name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def check_may_see(self, request: HttpRequest, row: Row) -> None:
        """Guard of the picture views; the look is logged because pictures show faces.

        Raises:
            PermissionDenied: the row's page is not for this member of staff.
        """
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        log.info(
            "inference.picture.seen_by_staff",
            actor_id=request.user.pk,
            model=self.opts.model_name,
            row_id=str(row.pk),
        )


@admin.register(MediaAsset)
class MediaAssetAdmin(InferenceModelAdmin[MediaAsset]):
    """Uploaded pictures and videos."""

    list_display = (
        "small_picture",
        "id",
        "owner",
        "original_name",
        "content_type",
        "width_px",
        "height_px",
        "size_bytes",
        "created_at",
    )
    list_display_links = ("id",)
    list_filter = ("kind", "content_type")
    list_select_related = ("owner",)
    fields = (
        "large_picture",
        "id",
        "owner",
        "original_name",
        "kind",
        "content_type",
        "width_px",
        "height_px",
        "duration_ms",
        "fps",
        "frames_count",
        "has_audio",
        "size_bytes",
        "sha256",
        "created_at",
    )
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        """The picture views come first: the object pages would swallow their addresses."""
        pattern = path(
            "<uuid:asset_id>/picture/<str:size>/",
            self.admin_site.admin_view(self.picture_view),
            name="inference_mediaasset_picture",
        )
        return [pattern, *super().get_urls()]

    def picture_view(
        self, request: HttpRequest, asset_id: uuid.UUID, size: str
    ) -> HttpResponseBase:
        """An upload, whole or in small."""
        asset = MediaAsset.objects.filter(pk=asset_id).first()
        if asset is None:
            raise Http404
        self.check_may_see(request, asset)
        return _media(
            request,
            key=asset.file_key,
            content_type=asset.content_type,
            sha256=asset.sha256,
            size=size,
        )

    @admin.display(description=_("picture"))
    def small_picture(self, asset: MediaAsset) -> SafeString:
        return _asset_image(asset.pk, width_px=_LIST_PICTURE_PX)

    @admin.display(description=_("picture"))
    def large_picture(self, asset: MediaAsset) -> SafeString:
        return _asset_image(asset.pk, width_px=_PAGE_PICTURE_PX)


@admin.register(SwapQuote)
class SwapQuoteAdmin(InferenceModelAdmin[SwapQuote]):
    """Promised prices."""

    list_display = ("id", "owner", "operation", "tokens", "paid_job", "created_at", "expires_at")
    list_select_related = ("owner", "job")
    fields = (
        "id",
        "owner",
        "operation",
        "source",
        "target",
        "options",
        "tokens",
        "price_lines",
        "paid_job",
        "created_at",
        "expires_at",
    )
    readonly_fields = fields

    @admin.display(description=_("job"))
    def paid_job(self, quote: SwapQuote) -> SafeString | str:
        job: SwapJob | None = getattr(quote, "job", None)
        if job is None:
            return "—"
        url = reverse("admin:inference_swapjob_change", args=[job.pk])
        return format_html('<a href="{}">{}</a>', url, job.pk)


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
    list_filter = ("status", "error_code")
    list_select_related = ("owner", "quote")
    search_fields = ("=id", "=quote__id", "owner__user_ref", "owner__username")
    search_help_text = _("job id, quote id, user_ref or user name")
    actions = ("requeue", "stop_and_refund")
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
                )
            },
        ),
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
            {"fields": ("created_at", "queued_at", "sent_at", "started_at", "finished_at")},
        ),
    )
    readonly_fields = (
        "pictures",
        "progress",
        "receipt_lines",
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
        job = SwapJob.objects.filter(pk=job_id, status=SwapJob.Status.SUCCEEDED).first()
        if job is None:
            raise Http404
        self.check_may_see(request, job)
        return _media(
            request,
            key=job.result_key,
            content_type=job.result_content_type,
            sha256=job.result_sha256,
            size=size,
        )

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
        """Operators and administrators; the role decides, as everywhere."""
        return getattr(request.user, "role", None) in STAFF_ROLES

    @admin.action(description=_("Give the chosen jobs to a new worker"), permissions=["operate"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[SwapJob]) -> None:
        self._apply(request, queryset, services.requeue_swap_job, _t("queued again"))

    @admin.action(
        description=_("Stop the chosen jobs and refund their tokens"), permissions=["operate"]
    )
    def stop_and_refund(self, request: HttpRequest, queryset: QuerySet[SwapJob]) -> None:
        self._apply(request, queryset, services.stop_swap_job, _t("stopped and refunded"))

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
            SwapJob.Status.QUEUED: "info",
            SwapJob.Status.RUNNING: "warning",
            SwapJob.Status.SUCCEEDED: "success",
            SwapJob.Status.FAILED: "danger",
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
        return _asset_image(job.quote.source_id, width_px=_LIST_PICTURE_PX)

    @admin.display(description=_("target"))
    def target_picture(self, job: SwapJob) -> SafeString:
        return _asset_image(job.quote.target_id, width_px=_LIST_PICTURE_PX)

    @admin.display(description=_("result"))
    def result_picture(self, job: SwapJob) -> SafeString | str:
        return _result_image(job, width_px=_LIST_PICTURE_PX)

    @admin.display(description=_("source, target, result"))
    def pictures(self, job: SwapJob) -> SafeString:
        return format_html(
            '<div class="flex flex-row flex-wrap gap-4">{}{}{}</div>',
            _asset_image(job.quote.source_id, width_px=_PAGE_PICTURE_PX),
            _asset_image(job.quote.target_id, width_px=_PAGE_PICTURE_PX),
            _result_image(job, width_px=_PAGE_PICTURE_PX),
        )

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


def _asset_image(asset_id: uuid.UUID, *, width_px: int) -> SafeString:
    return _image("admin:inference_mediaasset_picture", asset_id, width_px=width_px)


def _result_image(job: SwapJob, *, width_px: int) -> SafeString | str:
    if job.status != SwapJob.Status.SUCCEEDED:
        return "—"
    return _image("admin:inference_swapjob_result", job.pk, width_px=width_px)


def _image(view: str, row_id: uuid.UUID, *, width_px: int) -> SafeString:
    return format_html(
        '<a href="{}" target="_blank"><img src="{}" width="{}" alt="{}"></a>',
        reverse(view, args=[row_id, "full"]),
        reverse(view, args=[row_id, "small"]),
        width_px,
        _t("picture"),
    )


def _media(
    request: HttpRequest, *, key: str, content_type: str, sha256: str, size: str
) -> HttpResponseBase:
    if size == "small":
        return downloads.thumbnail(key=key)
    if size != "full":
        raise Http404
    return downloads.media(
        request,
        key=key,
        content_type=content_type,
        file_name=f"{content_type.partition('/')[0]}.{storage.EXTENSIONS[content_type]}",
        sha256=sha256,
        is_attachment=False,
    )
