"""Uploads and quotes."""

from __future__ import annotations

import uuid

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import require
from accounts.types import Scope
from inference.admin.base import (
    LIST_PICTURE_PX,
    PAGE_PICTURE_PX,
    InferenceModelAdmin,
    asset_image,
    stored_media,
)
from inference.models import MediaAsset, SwapJob, SwapQuote


@admin.register(MediaAsset)
class MediaAssetAdmin(InferenceModelAdmin[MediaAsset]):
    """Uploaded pictures and videos."""

    list_display = (
        "small_picture",
        "id",
        "owner",
        "original_name",
        "status",
        "content_type",
        "width_px",
        "height_px",
        "size_bytes",
        "created_at",
    )
    list_display_links = ("id",)
    list_filter = ("status", "kind", "content_type")
    list_select_related = ("owner",)
    fields = (
        "large_picture",
        "id",
        "owner",
        "original_name",
        "status",
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
        "received_bytes",
        "received_sha256",
        "created_at",
        "upload_expires_at",
        "expires_at",
        "deleted_at",
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
        require(request, Scope.MEDIA_REVIEW)
        asset = MediaAsset.objects.filter(pk=asset_id).first()
        if asset is None or asset.status != MediaAsset.Status.READY:
            raise Http404
        self.note_look(request, asset)
        return stored_media(
            request,
            key=asset.file_key,
            content_type=asset.content_type,
            sha256=asset.sha256,
            size=size,
        )

    @admin.display(description=_("picture"))
    def small_picture(self, asset: MediaAsset) -> SafeString | str:
        if asset.status != MediaAsset.Status.READY:
            return "—"
        return asset_image(asset.pk, width_px=LIST_PICTURE_PX)

    @admin.display(description=_("picture"))
    def large_picture(self, asset: MediaAsset) -> SafeString | str:
        if asset.status != MediaAsset.Status.READY:
            return "—"
        return asset_image(asset.pk, width_px=PAGE_PICTURE_PX)


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
        "plan",
        "rate_card_version",
        "multiplier_bp",
        "price_reason",
        "shadow_card_version",
        "shadow_tokens",
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
