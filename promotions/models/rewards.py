"""Rewards: tokens for what an account has produced."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from inference.types import OutputMetric
from promotions.models.base import Promotion, activated_check
from promotions.types import WindowKind

TIER_FIELDS = frozenset({"from", "per", "tokens"})
TIERS_MAX = 20
BOUND = 1_000_000_000


def check_tiers(tiers: Any) -> None:
    """Refuse tiers that cannot be read.

    Raises:
        ValidationError: they are no list of objects with the whole numbers ``from`` (0 or more),
            ``per`` and ``tokens`` (1 or more), each ``from`` above the one before.
    """
    is_list = isinstance(tiers, list) and 0 < len(tiers) <= TIERS_MAX
    if not is_list or not all(_is_tier(tier) for tier in tiers):
        raise ValidationError(
            _('Write a list such as [{"from": 10, "per": 5, "tokens": 1}].'), code="tiers"
        )
    bounds = [tier["from"] for tier in tiers]
    if bounds != sorted(set(bounds)):
        raise ValidationError(_("Each tier begins above the one before."), code="tiers")


def _is_tier(tier: Any) -> bool:
    if not isinstance(tier, dict) or tier.keys() != TIER_FIELDS:
        return False
    if not all(type(value) is int and 0 <= value <= BOUND for value in tier.values()):
        return False
    return bool(tier["per"] and tier["tokens"])


class RewardRule(Promotion):
    """Tokens for each account's output of a window, by the highest tier that it reaches.

    A tier gives ``tokens`` for every full ``per`` units of the output; it counts from ``from``
    units on.
    """

    metric = models.CharField(
        _("output"),
        max_length=16,
        choices=[
            (OutputMetric.JOBS, _("Finished swaps")),
            (OutputMetric.VIDEO_SECONDS, _("Seconds of finished video")),
        ],
    )
    window = models.CharField(
        _("window"),
        max_length=8,
        choices=[
            (WindowKind.DAY, _("Day")),
            (WindowKind.WEEK, _("Week")),
            (WindowKind.MONTH, _("Month")),
        ],
    )
    tiers = models.JSONField(
        _("tiers"),
        validators=[check_tiers],
        help_text=_(
            "From so many units on, so many tokens for every full “per” units; the highest tier "
            "that is reached counts for all of them."
        ),
    )
    cap = models.PositiveIntegerField(
        _("most tokens of an account"), validators=[MinValueValidator(1)]
    )
    total_max = models.BigIntegerField(
        _("most tokens of a window"),
        validators=[MinValueValidator(1)],
        help_text=_("A run that would grant more is taken for a mistake."),
    )
    starts_on = models.DateField(
        _("from"), help_text=_("Windows that begin on this day or later are rewarded.")
    )
    ends_on = models.DateField(
        _("until"), null=True, blank=True, help_text=_("The last day; empty: for good.")
    )

    class Meta:
        verbose_name = _("reward rule")
        verbose_name_plural = _("reward rules")
        constraints = [
            models.CheckConstraint(
                name="rewardrule_bounds_are_positive", condition=Q(cap__gt=0, total_max__gt=0)
            ),
            models.CheckConstraint(
                name="rewardrule_ends_after_it_starts",
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
            ),
            activated_check("rewardrule_activated_by_somebody"),
        ]
