"""Campaigns: the same tokens for everybody of a segment, or for everybody with a code."""

from __future__ import annotations

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.types import Plan
from promotions.models.base import Promotion, activated_check
from promotions.types import CODE_PATTERN


class Campaign(Promotion):
    """Tokens given away once per person, within a time and a budget.

    With a code, people come for them; without, a run grants them to the whole segment. ``granted``
    counts what was promised so far: it grows in the transaction that promises, and never beyond
    the budget, which the database checks.
    """

    code = models.CharField(
        _("code"),
        max_length=32,
        null=True,
        blank=True,
        unique=True,
        validators=[RegexValidator(rf"^{CODE_PATTERN}\Z")],
        help_text=_("6 to 32 capital letters, digits and hyphens; empty: for the whole segment."),
    )
    plan = models.CharField(
        _("only for the plan"), max_length=16, choices=Plan.choices, blank=True, default=""
    )
    user_ref_prefix = models.CharField(
        _("only for references that begin with"), max_length=64, blank=True, default=""
    )
    joined_after = models.DateTimeField(_("only for who joined from"), null=True, blank=True)
    joined_before = models.DateTimeField(_("only for who joined before"), null=True, blank=True)
    tokens = models.PositiveIntegerField(_("tokens per person"), validators=[MinValueValidator(1)])
    budget = models.BigIntegerField(_("budget in tokens"), validators=[MinValueValidator(1)])
    granted = models.BigIntegerField(_("granted"), default=0, db_default=0, editable=False)
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        constraints = [
            models.CheckConstraint(
                name="campaign_never_over_budget",
                condition=Q(granted__gte=0, granted__lte=F("budget")),
            ),
            models.CheckConstraint(
                name="campaign_gives_something", condition=Q(tokens__gt=0, budget__gt=0)
            ),
            models.CheckConstraint(
                name="campaign_lasts_a_while", condition=Q(ends_at__gt=F("starts_at"))
            ),
            activated_check("campaign_activated_by_somebody"),
        ]
