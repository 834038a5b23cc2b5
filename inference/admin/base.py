"""What the screens share: read-only rows, and pictures that staff may see."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final, TypeVar

import structlog
from django.db.models import Model, Q
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from facefusion_site.common.changelists import (
    MATCHES_MAX,
    CappedPaginator,
    IndexedSearchMixin,
    by_uuid,
)
from facefusion_site.common.unfold import ModelAdmin
from inference import downloads, storage
from inference.models import SwapJob

Row = TypeVar("Row", bound=Model)
log = structlog.get_logger(__name__)
LIST_PICTURE_PX: Final = 56
PAGE_PICTURE_PX: Final = 200


class InferenceModelAdmin(IndexedSearchMixin, ModelAdmin[Row]):
    """Read-only, and fast on large tables."""

    show_full_result_count = False
    list_per_page = 50
    ordering = ("-created_at", "-id")
    search_fields: ClassVar[tuple[str, ...]] = ("=id", "owner__user_ref", "owner__username")
    search_help_text = _("a whole id, or how a user_ref, user name or e-mail begins")
    id_columns: ClassVar[tuple[str, ...]] = ("pk",)
    paginator = CappedPaginator

    def matches(self, text: str) -> Q:
        """By a whole id, or by the owner."""
        owner_ids = accounts_selectors.user_ids_beginning(text=text, limit=MATCHES_MAX)
        return by_uuid(text, *self.id_columns) | Q(owner_id__in=owner_ids)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def note_look(self, request: HttpRequest, row: Row) -> None:
        """Log that somebody looks at a picture, because pictures show faces."""
        log.info(
            "inference.picture.seen_by_staff",
            actor_id=request.user.pk,
            model=self.opts.model_name,
            row_id=str(row.pk),
        )


def asset_image(asset_id: uuid.UUID, *, width_px: int) -> SafeString:
    """An upload in small, which leads to the whole of it."""
    return _image("admin:inference_mediaasset_picture", asset_id, width_px=width_px)


def result_image(job: SwapJob, *, width_px: int) -> SafeString | str:
    """A result in small, which leads to the whole of it; a dash where there is none."""
    if not job.has_result:
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


def stored_media(
    request: HttpRequest, *, key: str, content_type: str, sha256: str, size: str
) -> HttpResponseBase:
    """A stored file, whole (``full``) or as its thumbnail (``small``).

    Raises:
        Http404: no such size.
    """
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
