"""Breaks: what a proof of the books found, and who looks into it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.proof import ReconRun


class ReconBreak(models.Model):
    """A check that does not hold, from the run that found it until somebody says why.

    A run that finds it again only counts anew; a run that no longer finds it leaves it open:
    somebody has to say what happened.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        IN_PROGRESS = "IN_PROGRESS", _("Being looked into")
        RESOLVED = "RESOLVED", _("Resolved")

    id = models.BigAutoField(primary_key=True)
    check_name = models.CharField(_("check"), max_length=96)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.OPEN)
    offenders_count = models.PositiveBigIntegerField(
        _("offenders"), help_text=_("As the last run that found it counted them.")
    )
    sample = models.JSONField(_("examples"), default=list)
    first_run = models.ForeignKey(
        ReconRun, verbose_name=_("found by"), on_delete=models.PROTECT, related_name="+"
    )
    last_run = models.ForeignKey(
        ReconRun, verbose_name=_("last found by"), on_delete=models.PROTECT, related_name="+"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("looked into by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    note = models.TextField(_("note"), blank=True, default="")
    opened_at = models.DateTimeField(_("opened at"), db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("resolved by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    resolution = models.CharField(_("why resolved"), max_length=255, blank=True, default="")

    class Meta:
        verbose_name = _("break")
        verbose_name_plural = _("breaks")
        constraints = [
            models.UniqueConstraint(
                name="reconbreak_open_once",
                fields=["check_name"],
                condition=~Q(status="RESOLVED"),
            ),
            models.CheckConstraint(
                name="reconbreak_resolution_is_explained",
                condition=(
                    Q(status="RESOLVED", resolved_at__isnull=False, resolved_by__isnull=False)
                    & ~Q(resolution="")
                )
                | (
                    ~Q(status="RESOLVED")
                    & Q(resolved_at__isnull=True, resolved_by__isnull=True, resolution="")
                ),
            ),
            models.CheckConstraint(
                name="reconbreak_in_progress_has_owner",
                condition=~Q(status="IN_PROGRESS") | Q(owner__isnull=False),
            ),
        ]
        indexes = [models.Index(name="reconbreak_newest", fields=["-opened_at", "-id"])]

    def __str__(self) -> str:
        return self.check_name
