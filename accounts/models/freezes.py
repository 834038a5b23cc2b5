"""Freezes of accounts, and what staff note about them."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.freeze_types import AppealState, FreezeCode, FreezeKind
from facefusion_site.common.texts import translated

REASON_LENGTH_MAX: Final = 255
EVIDENCE_LENGTH_MAX: Final = 2000
NOTICE_LENGTH_MAX: Final = 500
SOURCE_LENGTH_MAX: Final = 64
NOTE_LENGTH_MAX: Final = 4000


class AccountFreeze(models.Model):
    """One thing that an account may not do for now, why, and on whose word.

    Several freezes of one kind can be active at once, each with its own source: the account may
    act again when the last of them has ended. ``User.frozen_kinds`` repeats which kinds are
    active, so that no request has to look here. What a freeze was for never changes: a trigger of
    the database lets only its end, its expiry and its appeal be written.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
        # The index of all freezes of an account, newest first, begins with it.
        db_index=False,
    )
    kind = models.CharField(_("what is frozen"), max_length=8, choices=FreezeKind.choices)
    code = models.CharField(_("kind of reason"), max_length=32, choices=FreezeCode.choices)
    reason = models.CharField(_("reason"), max_length=REASON_LENGTH_MAX)
    evidence = models.TextField(_("evidence"), max_length=EVIDENCE_LENGTH_MAX, blank=True)
    notice = models.CharField(
        _("notice"),
        max_length=NOTICE_LENGTH_MAX,
        blank=True,
        help_text=_("What the account is told."),
    )
    source = models.CharField(
        _("source"),
        max_length=SOURCE_LENGTH_MAX,
        help_text=_("“staff”, or the rule that froze it, with its version."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("frozen by"),
        help_text=_("Empty: the platform itself."),
    )
    created_at = models.DateTimeField(_("frozen at"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("ends by itself at"), null=True, blank=True)
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("lifted by"),
    )
    lift_reason = models.CharField(
        _("why lifted"), max_length=REASON_LENGTH_MAX, blank=True, default=""
    )
    appeal = models.CharField(
        _("appeal"), max_length=8, choices=AppealState.choices, default=AppealState.NONE
    )

    class Meta:
        verbose_name = _("freeze")
        verbose_name_plural = _("freezes")
        constraints = [
            models.UniqueConstraint(
                name="accounts_freeze_once_per_source",
                fields=["user", "kind", "source"],
                condition=Q(lifted_at=None),
            ),
            models.CheckConstraint(
                name="accounts_freeze_kind_known", condition=Q(kind__in=FreezeKind.values)
            ),
            models.CheckConstraint(
                name="accounts_freeze_is_explained", condition=~Q(reason="") & ~Q(source="")
            ),
            models.CheckConstraint(
                name="accounts_freeze_end_is_explained",
                condition=Q(lifted_at=None, lifted_by=None, lift_reason="")
                | Q(lifted_at__isnull=False) & ~Q(lift_reason=""),
            ),
        ]
        indexes = [
            models.Index(name="accounts_freeze_of_user", fields=["user", "-created_at"]),
            models.Index(
                name="accounts_freeze_due",
                fields=["expires_at"],
                condition=Q(lifted_at=None, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def notice_text(self) -> str:
        """What the account is told, in the active language where a rule of the product says it."""
        return translated(self.notice)


class AccountNote(models.Model):
    """What a member of staff wants the next one to know about an account; append-only."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
        db_index=False,
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("author"),
    )
    text = models.TextField(_("note"), max_length=NOTE_LENGTH_MAX)
    created_at = models.DateTimeField(_("written at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        constraints = [
            models.CheckConstraint(name="accounts_note_says_something", condition=~Q(text="")),
        ]
        indexes = [
            models.Index(name="accounts_note_of_user", fields=["user", "-created_at", "-id"])
        ]

    def __str__(self) -> str:
        return f"Note {self.pk}"
