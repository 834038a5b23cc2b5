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

    class Status(models.TextChoices):
        # Announced; its bytes are on their way. ``kind`` is what the client says it will be.
        PENDING_UPLOAD = "PENDING_UPLOAD", _("Waiting for its bytes")
        READY = "READY", _("Ready")
        # Nobody can use it any more; its bytes may still be there.
        DELETING = "DELETING", _("Being deleted")
        DELETED = "DELETED", _("Deleted")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.READY)
    file_key = models.CharField(_("storage key"), max_length=255, unique=True)
    original_name = models.CharField(
        _("name"), max_length=255, blank=True, help_text=_("As the client called it; shown only.")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.IMAGE)
    content_type = models.CharField(_("content type"), max_length=64)
    size_bytes = models.PositiveBigIntegerField(
        _("bytes"), help_text=_("As kept; of an upload that waits, as announced.")
    )
    width_px = models.PositiveIntegerField(_("width"), default=0)
    height_px = models.PositiveIntegerField(_("height"), default=0)
    duration_ms = models.PositiveBigIntegerField(_("milliseconds"), null=True, blank=True)
    fps = models.FloatField(_("frames a second"), null=True, blank=True)
    frames_count = models.PositiveIntegerField(_("frames"), null=True, blank=True)
    has_audio = models.BooleanField(_("has sound"), default=False)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    received_sha256 = models.CharField(
        _("SHA-256 as received"),
        max_length=64,
        blank=True,
        help_text=_("A picture is written anew before it is kept."),
    )
    received_bytes = models.PositiveBigIntegerField(_("bytes as received"), default=0)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    upload_expires_at = models.DateTimeField(
        _("upload ends at"),
        null=True,
        blank=True,
        help_text=_("Until when the bytes of an announced upload may come."),
    )
    expires_at = models.DateTimeField(
        _("expires at"),
        null=True,
        blank=True,
        help_text=_("When it is deleted by itself; empty: never."),
    )
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            models.CheckConstraint(
                name="mediaasset_is_not_empty",
                condition=Q(size_bytes__gt=0)
                & (~Q(status="READY") | (Q(width_px__gt=0, height_px__gt=0) & ~Q(sha256=""))),
            ),
            models.CheckConstraint(
                name="mediaasset_status_fits_its_times",
                condition=Q(
                    status="PENDING_UPLOAD", upload_expires_at__isnull=False, deleted_at=None
                )
                | Q(status__in=["READY", "DELETING"], deleted_at=None)
                | Q(status="DELETED", deleted_at__isnull=False),
            ),
            models.CheckConstraint(
                name="mediaasset_only_a_video_has_length",
                # An upload that never came has no length, whatever it was announced as.
                condition=Q(
                    ~Q(kind="VIDEO") | ~Q(status="READY"),
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
            # By these, a blocked file is found wherever it is.
            models.Index(name="mediaasset_sha256", fields=["sha256"]),
            models.Index(name="mediaasset_received_sha256", fields=["received_sha256"]),
            models.Index(name="mediaasset_owner_newest", fields=["owner", "-created_at", "-id"]),
            models.Index(
                name="mediaasset_kept_until",
                fields=["expires_at"],
                condition=Q(status="READY"),
            ),
            models.Index(
                name="mediaasset_unfinished",
                fields=["status", "upload_expires_at"],
                condition=Q(status__in=["PENDING_UPLOAD", "DELETING"]),
            ),
        ]

    def __str__(self) -> str:
        return f"Upload {self.id}"
