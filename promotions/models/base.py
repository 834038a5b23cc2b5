"""What campaigns and rules of rewards have in common."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from promotions.types import NAME_PATTERN, State

STATES = [
    (State.DRAFT, _("Draft")),
    (State.ACTIVE, _("Active")),
    (State.ENDED, _("Ended")),
]


class Promotion(models.Model):
    """Drafted by one person, activated by another, and ended for good."""

    name = models.CharField(
        _("short name"),
        max_length=24,
        unique=True,
        validators=[RegexValidator(rf"^{NAME_PATTERN}\Z")],
        help_text=_("Lower-case letters, digits and hyphens; it stays for ever."),
    )
    title = models.CharField(_("title"), max_length=128)
    state = models.CharField(
        _("state"), max_length=8, choices=STATES, default=State.DRAFT, editable=False
    )
    valid_days = models.PositiveSmallIntegerField(
        _("valid for days"),
        default=30,
        help_text=_("Whole days beside the rest of the first one; 0 means for ever."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("drafted by"),
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
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
        abstract = True

    def __str__(self) -> str:
        return self.title


def activated_check(name: str) -> models.CheckConstraint:
    """What is active was activated by somebody."""
    return models.CheckConstraint(
        name=name, condition=~Q(state="ACTIVE") | Q(activated_by__isnull=False)
    )


def values_of(row: Promotion, fields: tuple[str, ...]) -> dict[str, Any]:
    """Fields as audit events keep them."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in ((name, getattr(row, name)) for name in fields)
    }
