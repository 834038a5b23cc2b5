"""Batches of jobs that were ordered in one request."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class JobBatch(models.Model):
    """What one request ordered: its jobs name it, and here stand the rows that became none."""

    class Mode(models.TextChoices):
        ATOMIC = "ATOMIC", _("All or none")
        SOFT_FAIL = "SOFT_FAIL", _("Each row by itself")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The unique pair with the key serves every read.
        db_index=False,
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("request fingerprint"), max_length=64)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    rows_count = models.PositiveIntegerField(_("rows"))
    accepted_count = models.PositiveIntegerField(_("accepted"), default=0)
    tokens = models.PositiveBigIntegerField(
        _("tokens"), default=0, help_text=_("The price of all accepted rows.")
    )
    refusals = models.JSONField(
        _("refused rows"), default=list, blank=True, help_text=_("Number, code and reason of each.")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("job batch")
        verbose_name_plural = _("job batches")
        constraints = [
            models.UniqueConstraint(
                name="jobbatch_key_per_owner", fields=["owner", "idempotency_key"]
            ),
            models.CheckConstraint(
                name="jobbatch_counts_fit",
                condition=Q(rows_count__gt=0, accepted_count__lte=F("rows_count")),
            ),
        ]
        indexes = [models.Index(name="jobbatch_newest", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return f"Batch {self.id}"
