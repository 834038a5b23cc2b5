"""The durable copy of what was counted in Redis, and what is known of source faces for a while."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from risk.types import LIVE_SIGNALS, Signal


class RiskMinute(models.Model):
    """What an account did in one minute, by signal; kept for RISK_HISTORY_DAYS to test rules on."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    minute = models.DateTimeField(_("minute"))
    signal = models.CharField(
        _("what was counted"),
        max_length=24,
        choices=[choice for choice in Signal.choices if choice[0] in LIVE_SIGNALS],
    )
    value = models.PositiveIntegerField(_("count"))

    class Meta:
        verbose_name = _("minute of an account")
        verbose_name_plural = _("minutes of accounts")
        constraints = [
            models.UniqueConstraint(name="riskminute_once", fields=["signal", "minute", "user"]),
        ]

    def __str__(self) -> str:
        return f"{self.value} {self.signal} at {self.minute}"


class FaceSighting(models.Model):
    """That a job or batch took some source face: nobody can tell which, only that it came before.

    ``tokens`` are keyed hashes of how the face falls on secret planes. Faces that share enough of
    them are the same, and get the same ``person``, a random label. Without the key they are noise,
    and after RISK_FACE_TTL_S they are deleted: the label is then tied to nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    # Jobs of one batch are one request: whoever swaps a whole album with one face asked once.
    reference = models.CharField(_("job or batch"), max_length=64)
    person = models.UUIDField(
        _("label"), help_text=_("Random; the same for faces that look alike.")
    )
    tokens = ArrayField(models.BigIntegerField(), verbose_name=_("tokens"), default=list)
    seen_at = models.DateTimeField(_("seen at"))
    forget_at = models.DateTimeField(
        _("forgotten at"), null=True, blank=True, help_text=_("When its tokens are deleted.")
    )

    class Meta:
        verbose_name = _("sighting of a face")
        verbose_name_plural = _("sightings of faces")
        constraints = [
            # A split or repeated job shows its faces again.
            models.UniqueConstraint(
                name="facesighting_once_per_request", fields=["reference", "person"]
            ),
            models.CheckConstraint(
                name="facesighting_tokens_have_an_end",
                condition=models.Q(tokens=[], forget_at=None)
                | ~models.Q(tokens=[]) & models.Q(forget_at__isnull=False),
            ),
        ]
        indexes = [
            GinIndex(name="facesighting_tokens", fields=["tokens"]),
            models.Index(name="facesighting_seen", fields=["seen_at"]),
            models.Index(
                name="facesighting_due",
                fields=["forget_at"],
                condition=models.Q(forget_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Sighting {self.pk}"
