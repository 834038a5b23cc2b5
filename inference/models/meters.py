"""What each attempt of a job took: time, memory, bytes."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from inference.models.jobs import SwapJob


class JobMeter(models.Model):
    """One attempt of a job or of one of its segments, as its process measured it. Never changed.

    An attempt whose process was killed has none: nobody was left to measure.
    """

    class Outcome(models.TextChoices):
        DONE = "DONE", _("Done")
        SPLIT = "SPLIT", _("Split into segments")
        REFUSED = "REFUSED", _("Input refused")
        BROKE = "BROKE", _("Broke")
        STOPPED = "STOPPED", _("Stopped")

    job = models.ForeignKey(
        SwapJob, verbose_name=_("job"), on_delete=models.CASCADE, related_name="meters"
    )
    segment_index = models.PositiveSmallIntegerField(
        _("segment"), null=True, blank=True, help_text=_("Empty: the job itself.")
    )
    attempt = models.PositiveSmallIntegerField(_("attempt"))
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome)
    wall_ms = models.PositiveBigIntegerField(_("milliseconds"))
    cpu_ms = models.PositiveBigIntegerField(_("CPU milliseconds"))
    gpu_ms = models.PositiveBigIntegerField(
        _("GPU milliseconds"), null=True, blank=True, help_text=_("Empty where there is no GPU.")
    )
    memory_peak_bytes = models.PositiveBigIntegerField(_("most bytes of memory"))
    gpu_memory_peak_bytes = models.PositiveBigIntegerField(
        _("most bytes of GPU memory"), null=True, blank=True
    )
    bytes_in = models.PositiveBigIntegerField(_("bytes in"))
    bytes_out = models.PositiveBigIntegerField(_("bytes out"))
    frames_count = models.PositiveIntegerField(_("frames"), help_text=_("A picture is one."))
    pixels_count = models.PositiveBigIntegerField(_("pixels"), help_text=_("Of all frames."))
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("meter of an attempt")
        verbose_name_plural = _("meters of attempts")
        constraints = [
            models.UniqueConstraint(
                name="jobmeter_once_per_attempt",
                fields=["job", "attempt"],
                condition=Q(segment_index__isnull=True),
            ),
            models.UniqueConstraint(
                name="jobmeter_once_per_segment_attempt",
                fields=["job", "segment_index", "attempt"],
                condition=Q(segment_index__isnull=False),
            ),
        ]
        indexes = [models.Index(name="jobmeter_newest", fields=["-recorded_at", "-id"])]

    def __str__(self) -> str:
        return f"Attempt {self.attempt} of job {self.job_id}"
