"""What ended when, added up by day, so that no overview reads every job."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from inference.models.jobs import SwapJob


class JobDay(models.Model):
    """Jobs that ended in one way on one day in UTC, those of sandboxes left out.

    Days are counted anew until nothing can end on them any more; see ``inference.job_reports``.
    """

    day = models.DateField(_("day"))
    status = models.CharField(_("status"), max_length=16, choices=SwapJob.Status)
    jobs_count = models.PositiveBigIntegerField(_("jobs"))

    class Meta:
        verbose_name = _("jobs of a day")
        verbose_name_plural = _("jobs by day")
        constraints = [
            models.UniqueConstraint(name="jobday_once", fields=["day", "status"]),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.status}"
