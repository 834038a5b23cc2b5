"""Exports that workers write and staff download."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ExportJob(models.Model):
    """One file of the books, from the order to the day it is deleted.

    ``attempt`` fences late workers off; the broker may lose or repeat the message.
    """

    class Status(models.TextChoices):
        QUEUED = "QUEUED", _("Queued")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Ready")
        FAILED = "FAILED", _("Failed")
        DELETED = "DELETED", _("Deleted")

    class Format(models.TextChoices):
        CSV = "csv", _("CSV")
        XLSX = "xlsx", _("Excel")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("requested by"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    name = models.CharField(_("export"), max_length=32)
    file_format = models.CharField(_("format"), max_length=4, choices=Format)
    first = models.DateField(_("first day"))
    last = models.DateField(_("last day"))
    basis = models.CharField(_("time that counts"), max_length=16)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: everybody's."),
    )
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=0)
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    rows_count = models.PositiveBigIntegerField(_("rows"), null=True, blank=True)
    rows_done = models.PositiveBigIntegerField(_("rows written"), default=0)
    size_bytes = models.PositiveBigIntegerField(_("bytes"), default=0)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True, default="")
    file_key = models.CharField(_("file"), max_length=255, blank=True, default="")
    error_code = models.CharField(_("error code"), max_length=64, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    expires_at = models.DateTimeField(
        _("deleted after"), null=True, blank=True, help_text=_("When its file is deleted.")
    )

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            models.CheckConstraint(
                name="exportjob_range_is_in_order", condition=Q(last__gte=F("first"))
            ),
            models.CheckConstraint(
                name="exportjob_lease_only_while_running",
                condition=Q(status="RUNNING", lease_expires_at__isnull=False)
                | (~Q(status="RUNNING") & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="exportjob_file_only_when_done",
                condition=(Q(status="DONE", expires_at__isnull=False) & ~Q(file_key=""))
                | (~Q(status="DONE") & Q(file_key="")),
            ),
        ]
        indexes = [
            models.Index(name="exportjob_newest", fields=["-created_at", "-id"]),
            models.Index(
                name="exportjob_open",
                fields=["created_at"],
                condition=Q(status__in=["QUEUED", "RUNNING"]),
            ),
            models.Index(
                name="exportjob_expiry", fields=["expires_at"], condition=Q(status="DONE")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.first}/{self.last}"
