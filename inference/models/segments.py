"""Parts of long videos that workers share."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from inference.models.jobs import SwapJob


class SwapSegment(models.Model):
    """A part of a video that one worker swaps; the last one done leads to the joined result."""

    class Status(models.TextChoices):
        QUEUED = "QUEUED", _("Queued")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Done")
        STOPPED = "STOPPED", _("Stopped")

    job = models.ForeignKey(
        SwapJob, verbose_name=_("job"), on_delete=models.CASCADE, related_name="segments"
    )
    index = models.PositiveSmallIntegerField(_("number"))
    plan = models.JSONField(_("plan"), help_text=_("Where it starts and ends in the video."))
    frames_count = models.PositiveIntegerField(_("frames"))
    frames_done = models.PositiveIntegerField(_("frames done"), default=0)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(
        _("attempt"), default=0, help_text=_("Fencing token: grows with each claim.")
    )
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    report = models.JSONField(_("report"), default=dict, blank=True)
    result_key = models.CharField(_("result key"), max_length=255, blank=True)
    queued_at = models.DateTimeField(_("queued at"), db_default=Now())
    sent_at = models.DateTimeField(
        _("sent at"), null=True, blank=True, help_text=_("Empty until its first message is sent.")
    )
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        constraints = [
            models.UniqueConstraint(name="swapsegment_number_per_job", fields=["job", "index"]),
            models.CheckConstraint(
                name="swapsegment_lease_only_while_running",
                condition=Q(status="RUNNING", attempt__gt=0, lease_expires_at__isnull=False)
                | (~Q(status="RUNNING") & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="swapsegment_result_only_when_done",
                condition=(Q(status="DONE") & ~Q(result_key=""))
                | (~Q(status="DONE") & Q(result_key="")),
            ),
        ]
        indexes = [
            models.Index(
                name="swapsegment_running_lease",
                fields=["lease_expires_at"],
                condition=Q(status="RUNNING"),
            ),
            models.Index(
                name="swapsegment_queued_sent", fields=["sent_at"], condition=Q(status="QUEUED")
            ),
        ]

    def __str__(self) -> str:
        return f"Segment {self.index} of job {self.job_id}"
