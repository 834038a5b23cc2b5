"""Grants that a rule makes by itself: which account was granted for which period."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.recharge import RechargeBatch


class ScheduledGrant(models.Model):
    """One account's claim on one period of a rule, written once and kept for ever.

    The unique constraint is what makes a rule safe to run twice, on two hosts, or late: a claim
    and the batch that carries it out are written in one transaction, or not at all.
    """

    # Named by code, such as vip_daily, or by a row, such as campaign:<its short name>.
    rule = models.CharField(_("rule"), max_length=64)
    period = models.DateField(
        _("first day of the period"), help_text=_("In the time zone of the rule.")
    )
    # Up to a million rows a day: like those of the other hot tables, their foreign keys are not
    # checked row by row. A trigger keeps batches, and accounts are switched off, never deleted.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    batch = models.ForeignKey(
        RechargeBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    amount = models.BigIntegerField(
        _("tokens"), null=True, help_text=_("Empty for claims older than this column.")
    )
    expires_at = models.DateTimeField(_("expires at"), null=True)
    claimed_at = models.DateTimeField(_("claimed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("scheduled grant")
        verbose_name_plural = _("scheduled grants")
        constraints = [
            models.UniqueConstraint(
                name="scheduledgrant_once_per_owner_and_day", fields=["rule", "period", "owner"]
            ),
            models.CheckConstraint(
                name="scheduledgrant_gives_something",
                condition=Q(amount__isnull=True) | Q(amount__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.period}"
