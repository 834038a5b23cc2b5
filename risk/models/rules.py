"""Rules, in versions that never change once they are active."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.freeze_types import FreezeKind
from accounts.types import Plan
from facefusion_site.common.texts import translated
from risk.types import NAME_PATTERN, Action, RuleState, Signal

NOTICE_LENGTH_MAX: Final = 500
WINDOW_S_MAX: Final = 24 * 60 * 60
ACTION_S_MAX: Final = 30 * 24 * 60 * 60


class RiskRule(models.Model):
    """One version of a rule: what is measured over which window, and what follows from how much.

    Decisions name the version, so a version that has been active says for ever what it said: a
    trigger refuses to rewrite it. Of one name at most one version is active.
    """

    name = models.CharField(
        _("short name"),
        max_length=40,
        validators=[RegexValidator(rf"^{NAME_PATTERN}\Z")],
        help_text=_("Lower-case letters, digits and hyphens. The same name makes a new version."),
    )
    version = models.PositiveIntegerField(_("version"), editable=False)
    title = models.CharField(_("title"), max_length=128)
    signal = models.CharField(_("what is measured"), max_length=24, choices=Signal.choices)
    window_s = models.PositiveIntegerField(
        _("window in seconds"), validators=[MinValueValidator(60), MaxValueValidator(WINDOW_S_MAX)]
    )
    threshold = models.PositiveIntegerField(
        _("threshold"),
        validators=[MinValueValidator(1)],
        help_text=_("From this value on; of shares a percentage."),
    )
    floor = models.PositiveIntegerField(
        _("floor"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("A share is taken of so many jobs or tokens at least."),
    )
    action = models.CharField(_("action"), max_length=8, choices=Action.choices)
    freeze_kind = models.CharField(
        _("what is frozen"), max_length=8, choices=FreezeKind.choices, blank=True, default=""
    )
    action_s = models.PositiveIntegerField(
        _("seconds until it ends by itself"),
        default=3600,
        validators=[MinValueValidator(60), MaxValueValidator(ACTION_S_MAX)],
    )
    notice = models.CharField(
        _("notice"),
        max_length=NOTICE_LENGTH_MAX,
        blank=True,
        help_text=_("What the account is told."),
    )
    exempt_plans = ArrayField(
        models.CharField(max_length=16, choices=Plan.choices),
        verbose_name=_("not for the plans"),
        default=list,
        blank=True,
    )
    state = models.CharField(
        _("state"), max_length=8, choices=RuleState.choices, default=RuleState.DRAFT, editable=False
    )
    tested_at = models.DateTimeField(_("tested at"), null=True, blank=True, editable=False)
    test_report = models.JSONField(_("report of the test"), default=dict, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("drafted by"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        help_text=_("Empty: it comes with the product."),
    )
    activated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("activated by"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
    )
    created_at = models.DateTimeField(_("drafted at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("risk rule")
        verbose_name_plural = _("risk rules")
        constraints = [
            models.UniqueConstraint(name="riskrule_version_once", fields=["name", "version"]),
            models.UniqueConstraint(
                name="riskrule_one_active_version", fields=["name"], condition=Q(state="active")
            ),
            models.CheckConstraint(
                name="riskrule_freezes_something",
                condition=Q(action="freeze", freeze_kind__in=FreezeKind.values)
                | ~Q(action="freeze") & Q(freeze_kind=""),
            ),
            models.CheckConstraint(
                name="riskrule_bounds_are_positive",
                condition=Q(window_s__gt=0, threshold__gt=0, floor__gt=0, action_s__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def title_text(self) -> str:
        """The title in the active language, where the rule comes with the product."""
        return translated(self.title)

    @property
    def notice_text(self) -> str:
        """What the account is told, likewise."""
        return translated(self.notice)
