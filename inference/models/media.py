"""Uploads."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class MediaAsset(models.Model):
    """A picture or video that was uploaded; its bytes lie in the media storage and never change."""

    class Kind(models.TextChoices):
        IMAGE = "IMAGE", _("Picture")
        VIDEO = "VIDEO", _("Video")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    file_key = models.CharField(_("storage key"), max_length=255, unique=True)
    original_name = models.CharField(
        _("name"), max_length=255, blank=True, help_text=_("As the client called it; shown only.")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.IMAGE)
    content_type = models.CharField(_("content type"), max_length=64)
    size_bytes = models.PositiveBigIntegerField(_("bytes"))
    width_px = models.PositiveIntegerField(_("width"))
    height_px = models.PositiveIntegerField(_("height"))
    duration_ms = models.PositiveBigIntegerField(_("milliseconds"), null=True, blank=True)
    fps = models.FloatField(_("frames a second"), null=True, blank=True)
    frames_count = models.PositiveIntegerField(_("frames"), null=True, blank=True)
    has_audio = models.BooleanField(_("has sound"), default=False)
    sha256 = models.CharField("SHA-256", max_length=64)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            models.CheckConstraint(
                name="mediaasset_is_not_empty",
                condition=Q(size_bytes__gt=0, width_px__gt=0, height_px__gt=0),
            ),
            models.CheckConstraint(
                name="mediaasset_only_a_video_has_length",
                condition=Q(
                    kind="IMAGE",
                    duration_ms__isnull=True,
                    fps__isnull=True,
                    frames_count__isnull=True,
                    has_audio=False,
                )
                | Q(
                    # A comparison with nothing is unknown, which a CHECK lets pass.
                    kind="VIDEO",
                    duration_ms__isnull=False,
                    duration_ms__gt=0,
                    fps__isnull=False,
                    fps__gt=0,
                    frames_count__isnull=False,
                    frames_count__gt=0,
                ),
            ),
        ]
        indexes = [
            models.Index(name="mediaasset_owner_newest", fields=["owner", "-created_at", "-id"])
        ]

    def __str__(self) -> str:
        return f"Upload {self.id}"
