"""Faces that were found in uploads."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from inference.models.media import MediaAsset


class FaceSearch(models.Model):
    """The search for faces in one upload with one set of models.

    The row outlives its faces: it tells an upload whose faces expired from one never searched.
    """

    class Status(models.TextChoices):
        QUEUED = "QUEUED", _("Queued")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Done")
        FAILED = "FAILED", _("Failed")
        EXPIRED = "EXPIRED", _("Expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(
        MediaAsset,
        verbose_name=_("upload"),
        # Faces are facts about the upload, and must not outlive it.
        on_delete=models.CASCADE,
        related_name="+",
        # The unique constraint (asset, model set) serves every read.
        db_index=False,
    )
    model_set = models.CharField(_("models"), max_length=128)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(
        _("attempt"), default=0, help_text=_("Fencing token: grows with each claim.")
    )
    attempts_before = models.PositiveSmallIntegerField(
        _("attempts before"), default=0, help_text=_("Attempts of earlier requests.")
    )
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    samples_count = models.PositiveIntegerField(_("samples"), default=0)
    turned_away_count = models.PositiveIntegerField(_("turned away"), default=0)
    left_out_count = models.PositiveIntegerField(_("left out"), default=0)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    sent_at = models.DateTimeField(_("sent at"), db_default=Now())
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("When its faces are forgotten.")
    )

    class Meta:
        verbose_name = _("face search")
        verbose_name_plural = _("face searches")
        constraints = [
            models.UniqueConstraint(
                name="facesearch_one_per_model_set", fields=["asset", "model_set"]
            ),
            models.CheckConstraint(
                name="facesearch_lease_only_while_running",
                condition=Q(status="RUNNING", attempt__gt=0, lease_expires_at__isnull=False)
                | (~Q(status="RUNNING") & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="facesearch_error_only_when_failed",
                condition=(Q(status="FAILED") & ~Q(error_code=""))
                | (~Q(status="FAILED") & Q(error_code="")),
            ),
            models.CheckConstraint(
                name="facesearch_expires_only_when_done",
                condition=Q(status="DONE", expires_at__isnull=False)
                | (~Q(status="DONE") & Q(expires_at__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(
                name="facesearch_open_sent",
                fields=["sent_at"],
                condition=Q(status__in=["QUEUED", "RUNNING"]),
            ),
            models.Index(
                name="facesearch_expiry", fields=["expires_at"], condition=Q(status="DONE")
            ),
        ]

    def __str__(self) -> str:
        return f"Faces of upload {self.asset_id}"


class AssetFace(models.Model):
    """One face of a picture, or one person of a video by her best sample.

    The id follows from the upload, the models and the place of the face: when the same faces are
    found again, they have the same ids.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    search = models.ForeignKey(
        FaceSearch,
        verbose_name=_("search"),
        on_delete=models.CASCADE,
        related_name="faces",
        db_index=False,
    )
    index = models.PositiveSmallIntegerField(_("number"))
    left_px = models.FloatField(_("left"))
    top_px = models.FloatField(_("top"))
    right_px = models.FloatField(_("right"))
    bottom_px = models.FloatField(_("bottom"))
    score = models.FloatField(_("detector score"))
    landmark_score = models.FloatField(_("landmark score"))
    sharpness = models.FloatField(_("sharpness"))
    samples_count = models.PositiveIntegerField(_("samples"))
    time_ms = models.PositiveBigIntegerField(_("sample time"), null=True, blank=True)
    start_ms = models.PositiveBigIntegerField(_("first seen"), null=True, blank=True)
    end_ms = models.PositiveBigIntegerField(_("last seen"), null=True, blank=True)
    embedding = models.BinaryField(
        _("embedding"), help_text=_("float32, little endian; never leaves the server.")
    )
    thumbnail_key = models.CharField(_("thumbnail key"), max_length=255)

    class Meta:
        verbose_name = _("face")
        verbose_name_plural = _("faces")
        constraints = [
            models.UniqueConstraint(name="assetface_number_per_search", fields=["search", "index"]),
            models.CheckConstraint(
                name="assetface_box_has_area",
                condition=Q(right_px__gt=F("left_px"), bottom_px__gt=F("top_px")),
            ),
            models.CheckConstraint(
                name="assetface_times_come_together",
                condition=Q(time_ms__isnull=True, start_ms__isnull=True, end_ms__isnull=True)
                | Q(
                    time_ms__isnull=False,
                    start_ms__isnull=False,
                    end_ms__isnull=False,
                    start_ms__lte=F("time_ms"),
                    end_ms__gte=F("time_ms"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"Face {self.id}"
