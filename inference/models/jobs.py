"""Swap jobs. The job row is the single truth about a job.

The broker may lose or repeat any message: a job is found again by its status, its lease and the
time its message was last sent. ``attempt`` fences late workers off.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from inference.models.batches import JobBatch
from inference.models.quotes import SwapQuote


class SwapJob(models.Model):
    """One paid swap, from the accepted request to its result or its refund."""

    class Status(models.TextChoices):
        AWAITING_INPUT = "AWAITING_INPUT", _("Waiting for its uploads")
        QUEUED = "QUEUED", _("Queued")
        RUNNING = "RUNNING", _("Running")
        SUCCEEDED = "SUCCEEDED", _("Succeeded")
        FAILED = "FAILED", _("Failed")
        BLOCKED = "BLOCKED", _("Blocked")
        CANCELED = "CANCELED", _("Canceled")
        EXPIRED = "EXPIRED", _("Expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("request fingerprint"), max_length=64)
    quote = models.OneToOneField(
        SwapQuote, verbose_name=_("quote"), on_delete=models.PROTECT, related_name="job"
    )
    hold = models.OneToOneField(
        "tokens.Hold",
        verbose_name=_("hold"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty only inside the transaction that accepts the job."),
    )
    retry_of = models.ForeignKey(
        "self",
        verbose_name=_("retry of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    batch = models.ForeignKey(
        JobBatch,
        verbose_name=_("batch"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="jobs",
        # The unique pair with the row serves every read.
        db_index=False,
    )
    batch_row = models.PositiveIntegerField(_("row of the batch"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(
        _("attempt"), default=0, help_text=_("Fencing token: grows with each claim.")
    )
    attempts_before = models.PositiveSmallIntegerField(
        _("attempts before"),
        default=0,
        help_text=_("Attempts that do not count any more: the work was split up since."),
    )
    lease_expires_at = models.DateTimeField(
        _("lease expires at"),
        null=True,
        blank=True,
        help_text=_("Empty while the segments run: each has its own."),
    )
    segments_count = models.PositiveSmallIntegerField(
        _("segments"), default=0, help_text=_("0: the job runs in one piece.")
    )
    stage = models.CharField(_("stage"), max_length=32, blank=True)
    progress_percent = models.PositiveSmallIntegerField(_("progress"), default=0)
    frames_done = models.PositiveIntegerField(_("frames done"), default=0)
    frames_count = models.PositiveIntegerField(_("frames"), default=0)
    segments_done = models.PositiveSmallIntegerField(_("segments done"), default=0)
    eta_s = models.PositiveIntegerField(_("seconds left"), null=True, blank=True)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error_detail = models.TextField(
        _("error detail"), blank=True, help_text=_("For staff; the owner is told by the code.")
    )
    faces = models.JSONField(_("faces"), default=list, blank=True)
    report = models.JSONField(
        _("report"), default=dict, blank=True, help_text=_("What was done to a video.")
    )
    result_key = models.CharField(_("result key"), max_length=255, blank=True)
    result_sha256 = models.CharField(_("result SHA-256"), max_length=64, blank=True)
    result_content_type = models.CharField(_("result content type"), max_length=64, blank=True)
    result_size_bytes = models.PositiveBigIntegerField(_("result bytes"), default=0)
    result_width_px = models.PositiveIntegerField(_("result width"), default=0)
    result_height_px = models.PositiveIntegerField(_("result height"), default=0)
    result_duration_ms = models.PositiveBigIntegerField(
        _("result milliseconds"), null=True, blank=True
    )
    result_deleted_at = models.DateTimeField(
        _("result deleted at"), null=True, blank=True, help_text=_("Since when its bytes are gone.")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    start_deadline_at = models.DateTimeField(
        _("start deadline"),
        null=True,
        blank=True,
        help_text=_("Until when a worker has to begin, or the job expires with a refund."),
    )
    queued_at = models.DateTimeField(
        _("queued at"), db_default=Now(), help_text=_("Since when it waits for a worker.")
    )
    sent_at = models.DateTimeField(
        _("sent at"),
        null=True,
        blank=True,
        help_text=_(
            "When its message was last put in the queue; empty while its owner has as many jobs "
            "at work as the plan allows."
        ),
    )
    placed_at = models.DateTimeField(
        _("placed at"),
        null=True,
        blank=True,
        help_text=_(
            "Since when it waits for a worker and not for its owner's other jobs: how busy the "
            "platform is, is told by this."
        ),
    )
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("swap job")
        verbose_name_plural = _("swap jobs")
        constraints = [
            models.UniqueConstraint(
                name="swapjob_key_per_owner", fields=["owner", "idempotency_key"]
            ),
            models.CheckConstraint(
                name="swapjob_progress_is_percent", condition=Q(progress_percent__lte=100)
            ),
            models.CheckConstraint(
                name="swapjob_started_job_has_hold",
                condition=Q(hold__isnull=False)
                | Q(status__in=["AWAITING_INPUT", "QUEUED"], attempt=0),
            ),
            models.CheckConstraint(
                name="swapjob_lease_only_while_running",
                condition=Q(
                    status="RUNNING",
                    attempt__gt=0,
                    lease_expires_at__isnull=False,
                    started_at__isnull=False,
                    # Of a split job: only to join what is done.
                    segments_done=F("segments_count"),
                )
                | Q(
                    status="RUNNING",
                    lease_expires_at__isnull=True,
                    started_at__isnull=False,
                    segments_done__lt=F("segments_count"),
                )
                | (~Q(status="RUNNING") & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="swapjob_finished_at_only_at_the_end",
                condition=Q(
                    status__in=["AWAITING_INPUT", "QUEUED", "RUNNING"], finished_at__isnull=True
                )
                | Q(
                    status__in=["SUCCEEDED", "FAILED", "BLOCKED", "CANCELED", "EXPIRED"],
                    finished_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="swapjob_result_only_when_succeeded",
                condition=(
                    Q(status="SUCCEEDED", result_size_bytes__gt=0, progress_percent=100)
                    & Q(result_width_px__gt=0, result_height_px__gt=0)
                    & ~Q(result_key="")
                    & ~Q(result_sha256="")
                    & ~Q(result_content_type="")
                )
                | (~Q(status="SUCCEEDED") & Q(result_key="", result_sha256="")),
            ),
            models.CheckConstraint(
                name="swapjob_error_only_when_failed",
                condition=(Q(status__in=["FAILED", "BLOCKED", "EXPIRED"]) & ~Q(error_code=""))
                | (~Q(status__in=["FAILED", "BLOCKED", "EXPIRED"]) & Q(error_code="")),
            ),
            models.CheckConstraint(
                name="swapjob_expires_only_unstarted",
                condition=~Q(status__in=["AWAITING_INPUT", "EXPIRED"]) | Q(attempt=0),
            ),
            models.CheckConstraint(
                name="swapjob_deletes_only_a_result",
                condition=Q(status="SUCCEEDED") | Q(result_deleted_at__isnull=True),
            ),
            models.CheckConstraint(
                name="swapjob_batch_row_only_in_batch",
                condition=Q(batch__isnull=True, batch_row__isnull=True)
                | Q(batch__isnull=False, batch_row__isnull=False),
            ),
            models.UniqueConstraint(name="swapjob_row_per_batch", fields=["batch", "batch_row"]),
        ]
        indexes = [
            models.Index(name="swapjob_owner_newest", fields=["owner", "-created_at", "-id"]),
            models.Index(name="swapjob_newest", fields=["-created_at", "-id"]),
            models.Index(
                name="swapjob_running_lease",
                fields=["lease_expires_at"],
                condition=Q(status="RUNNING"),
            ),
            models.Index(
                name="swapjob_queued_sent", fields=["sent_at"], condition=Q(status="QUEUED")
            ),
            models.Index(
                name="swapjob_queued_since", fields=["queued_at"], condition=Q(status="QUEUED")
            ),
            models.Index(
                name="swapjob_open_by_owner",
                fields=["owner", "created_at", "batch_row"],
                condition=Q(status__in=["AWAITING_INPUT", "QUEUED", "RUNNING"]),
            ),
            models.Index(
                name="swapjob_start_deadline",
                fields=["start_deadline_at"],
                condition=Q(
                    status__in=["AWAITING_INPUT", "QUEUED"],
                    attempt=0,
                    start_deadline_at__isnull=False,
                ),
            ),
            models.Index(
                name="swapjob_result_sha256",
                fields=["result_sha256"],
                condition=~Q(result_sha256=""),
            ),
            models.Index(
                name="swapjob_ended",
                fields=["finished_at"],
                condition=Q(finished_at__isnull=False),
            ),
            models.Index(
                name="swapjob_fruitless_newest",
                fields=["status", "-created_at", "-id"],
                condition=Q(status__in=["FAILED", "BLOCKED", "CANCELED", "EXPIRED"]),
            ),
            models.Index(
                name="swapjob_succeeded_newest",
                fields=["-finished_at"],
                condition=Q(status="SUCCEEDED"),
            ),
        ]

    def __str__(self) -> str:
        return f"Job {self.id}"

    @property
    def is_final(self) -> bool:
        """True once the job can no longer change."""
        return self.status not in OPEN_STATUSES

    @property
    def has_result(self) -> bool:
        """Whether there are bytes to be fetched."""
        return self.status == self.Status.SUCCEEDED and self.result_deleted_at is None


UNSTARTED_STATUSES: Final = frozenset({SwapJob.Status.AWAITING_INPUT, SwapJob.Status.QUEUED})
OPEN_STATUSES: Final = UNSTARTED_STATUSES | {SwapJob.Status.RUNNING}
