"""What each plan gives: rows that are added, never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.types import Plan
from tokens.plans import Cadence, Rollover


class PlanRule(models.Model):
    """Tokens that accounts of a plan get from a day on, until a later row says otherwise.

    Of the rows of a plan and cadence that have begun, the latest beginning counts, and among
    those of one day the one written last. So a mistake is answered by another row, and what was
    in force on any day of the past can still be read.
    """

    plan = models.CharField(_("plan"), max_length=16, choices=Plan.choices)
    cadence = models.CharField(
        _("how"),
        max_length=8,
        choices=[
            (Cadence.CLAIM, _("Once a day, for those who ask")),
            (Cadence.DAILY, _("Every day")),
            (Cadence.CYCLE, _("Every period of the subscription")),
        ],
    )
    tokens = models.PositiveIntegerField(
        _("tokens"), help_text=_("For each account and period; 0 switches the grant off.")
    )
    effective_from = models.DateField(
        _("in force from"), help_text=_("In the time zone of grants; not before today.")
    )
    total_max = models.BigIntegerField(
        _("most tokens of a day"),
        help_text=_("A run that would grant more in one day is taken for a mistake."),
    )
    valid_days = models.PositiveSmallIntegerField(
        _("valid for days"),
        default=30,
        help_text=_(
            "Of daily tokens: whole days beside the rest of the first one; 0 means for ever."
        ),
    )
    cycle_months = models.PositiveSmallIntegerField(
        _("months of a period"), default=1, choices=[(months, str(months)) for months in (1, 3, 12)]
    )
    rollover = models.CharField(
        _("what is left of a period"),
        max_length=8,
        default=Rollover.NONE,
        choices=[
            (Rollover.NONE, _("Expires with the period")),
            (Rollover.CAPPED, _("Is given again, up to a limit")),
            (Rollover.FULL, _("Stays")),
        ],
    )
    rollover_max = models.PositiveIntegerField(_("most that is given again"), default=0)
    reason = models.CharField(_("reason"), max_length=255)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("written by"),
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
    )
    created_at = models.DateTimeField(_("written at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("plan rule")
        verbose_name_plural = _("plan rules")
        constraints = [
            models.CheckConstraint(name="planrule_total_is_positive", condition=Q(total_max__gt=0)),
            models.CheckConstraint(
                name="planrule_cycle_is_known", condition=Q(cycle_months__in=[1, 3, 12])
            ),
            models.CheckConstraint(
                name="planrule_limit_only_where_capped",
                condition=Q(rollover="CAPPED", rollover_max__gt=0)
                | (~Q(rollover="CAPPED") & Q(rollover_max=0)),
            ),
            models.CheckConstraint(
                name="planrule_only_periods_roll_over",
                condition=Q(cadence="CYCLE") | Q(rollover="NONE"),
            ),
        ]
        indexes = [
            models.Index(name="planrule_in_force", fields=["plan", "cadence", "effective_from"])
        ]

    def __str__(self) -> str:
        return f"{self.get_plan_display()}: {self.tokens}"
