"""What rules decided about accounts."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.freeze_types import FreezeKind
from risk.models.rules import RiskRule
from risk.types import Action, Appeal, Verdict

REASON_LENGTH_MAX: Final = 255
TEXT_LENGTH_MAX: Final = 2000


class RiskDecision(models.Model):
    """That a version of a rule found something, on which evidence, and what was done about it.

    Evidence, rule and action never change, and no row is deleted: a trigger sees to that. What is
    added later is its end, the verdict of people, and an appeal with its answer.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(
        RiskRule, verbose_name=_("rule"), on_delete=models.PROTECT, related_name="+"
    )
    # Repeats that of the rule, so that the database can allow one open decision of all versions.
    rule_name = models.CharField(_("name of the rule"), max_length=40)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index of all decisions about an account begins with it.
        db_index=False,
    )
    action = models.CharField(_("action"), max_length=8, choices=Action.choices)
    freeze_kind = models.CharField(
        _("what is frozen"), max_length=8, choices=FreezeKind.choices, blank=True, default=""
    )
    evidence = models.JSONField(_("evidence"))
    freeze_id = models.UUIDField(
        _("freeze"), null=True, blank=True, help_text=_("The freeze that was placed, if any.")
    )
    decided_at = models.DateTimeField(_("decided at"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(
        _("ends by itself at"), null=True, blank=True, help_text=_("Empty: somebody has to look.")
    )
    closed_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("ended by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: its time was over."),
    )
    close_reason = models.CharField(
        _("why ended"), max_length=REASON_LENGTH_MAX, blank=True, default=""
    )
    verdict = models.CharField(
        _("verdict"), max_length=8, choices=Verdict.choices, default=Verdict.OPEN
    )
    appeal = models.CharField(
        _("appeal"), max_length=8, choices=Appeal.choices, default=Appeal.NONE
    )
    appeal_text = models.TextField(
        _("words of the appeal"), max_length=TEXT_LENGTH_MAX, blank=True, default=""
    )
    appealed_at = models.DateTimeField(_("appealed at"), null=True, blank=True)
    answer = models.TextField(_("answer"), max_length=TEXT_LENGTH_MAX, blank=True, default="")
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("answered by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    class Meta:
        verbose_name = _("risk decision")
        verbose_name_plural = _("risk decisions")
        constraints = [
            models.UniqueConstraint(
                name="riskdecision_one_open_per_rule",
                fields=["user", "rule_name"],
                condition=Q(closed_at=None),
            ),
            models.CheckConstraint(
                name="riskdecision_end_is_explained",
                condition=Q(closed_by=None) | Q(closed_at__isnull=False) & ~Q(close_reason=""),
            ),
            models.CheckConstraint(
                name="riskdecision_appeal_has_words",
                condition=Q(appeal="none", appeal_text="", appealed_at=None)
                | ~Q(appeal="none") & ~Q(appeal_text="") & Q(appealed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="riskdecision_answer_is_signed",
                condition=Q(appeal__in=["none", "open"], answered_at=None, answered_by=None)
                | Q(appeal__in=["rejected", "granted"], answered_at__isnull=False)
                & Q(answered_by__isnull=False)
                & ~Q(answer=""),
            ),
        ]
        indexes = [
            models.Index(name="riskdecision_of_user", fields=["user", "-decided_at"]),
            models.Index(name="riskdecision_newest", fields=["-decided_at", "-id"]),
            models.Index(
                name="riskdecision_due",
                fields=["expires_at"],
                condition=Q(closed_at=None, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Decision {self.pk}"

    @property
    def frozen_kind(self) -> str | None:
        """What is frozen; None where nothing is."""
        return self.freeze_kind or None
