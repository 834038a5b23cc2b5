"""Worker processes as they report themselves."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """One worker process. It writes this row itself every few seconds; ``is_draining`` is ours.

    Nothing is decided by these rows but whether a worker takes more work: who owns a job is told
    by the lease of the job.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        _("name"), max_length=255, unique=True, help_text=_("Celery's name, and the process id.")
    )
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    queues = ArrayField(models.CharField(max_length=64), verbose_name=_("queues"))
    concurrency = models.PositiveSmallIntegerField(_("tasks at once"), default=1)
    provider = models.CharField(
        _("execution providers"),
        max_length=255,
        blank=True,
        help_text=_("As set up for this worker, in the order in which they are tried."),
    )
    task = models.CharField(_("running task"), max_length=255, blank=True)
    reference = models.CharField(
        _("running for"), max_length=64, blank=True, help_text=_("The job or batch of the task.")
    )
    task_since = models.DateTimeField(_("running since"), null=True, blank=True)
    gpu_name = models.CharField(_("GPU"), max_length=128, blank=True)
    gpu_percent = models.PositiveSmallIntegerField(_("GPU load"), null=True, blank=True)
    gpu_memory_used_bytes = models.PositiveBigIntegerField(
        _("GPU memory used"), null=True, blank=True
    )
    gpu_memory_total_bytes = models.PositiveBigIntegerField(_("GPU memory"), null=True, blank=True)
    is_draining = models.BooleanField(
        _("draining"),
        default=False,
        help_text=_(
            "It finishes what it has and takes nothing new, until it is told or restarted."
        ),
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("last heard of at"), db_default=Now())
    stopped_at = models.DateTimeField(_("stopped at"), null=True, blank=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        constraints = [
            models.CheckConstraint(
                name="worker_gpu_load_is_percent",
                condition=Q(gpu_percent__isnull=True) | Q(gpu_percent__lte=100),
            ),
            models.CheckConstraint(
                name="worker_task_has_a_start",
                condition=Q(task="", task_since__isnull=True)
                | (~Q(task="") & Q(task_since__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.name
