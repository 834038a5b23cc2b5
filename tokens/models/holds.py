"""Tokens set aside for running work, and what happened to them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Func, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.wallets import Wallet


class Hold(models.Model):
    """Tokens set aside for work in progress; resolved exactly once.

    Which lots they came from is in the HOLD transfers. What the work cost beyond the hold, where
    policy charges it, is ``overrun``; what was given back after a settle is ``refunded``.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        SETTLED = "SETTLED", _("Settled")
        VOIDED = "VOIDED", _("Voided")
        EXPIRED = "EXPIRED", _("Expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The function that writes a hold has just locked its wallet, which no trigger lets go away.
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    # Unique by a constraint below: a unique field has a second index, for prefixes nobody asks for.
    reference = models.CharField(
        _("reference"),
        max_length=128,
        help_text=_("What the tokens are held for; one hold per reference, for ever."),
    )
    operation = models.CharField(
        _("operation"),
        max_length=32,
        blank=True,
        default="",
        db_default="",
        help_text=_("Work that the tokens pay for, by its name in the rate card."),
    )
    amount = models.BigIntegerField(_("amount"))
    settled = models.BigIntegerField(_("settled"), default=0, db_default=0)
    overrun = models.BigIntegerField(_("over-run"), default=0, db_default=0)
    refunded = models.BigIntegerField(_("refunded"), default=0, db_default=0)
    status = models.CharField(
        _("status"), max_length=16, choices=Status, default=Status.PENDING, db_default="PENDING"
    )
    expires_at = models.DateTimeField(_("expires at"))
    placed_at = models.DateTimeField(_("placed at"), db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.UniqueConstraint(name="hold_once_per_reference", fields=["reference"]),
            # How amounts, status and end belong together; a function for the sake of speed, as
            # that of transfers: see sql/sound_rows.sql.
            models.CheckConstraint(
                name="hold_is_sound",
                condition=Func(
                    "status",
                    "amount",
                    "settled",
                    "overrun",
                    "refunded",
                    "resolved_at",
                    function="tokens_hold_is_sound",
                    output_field=models.BooleanField(),
                ),
            ),
        ]
        indexes = [
            models.Index(name="hold_due", fields=["expires_at"], condition=Q(status="PENDING")),
        ]

    def __str__(self) -> str:
        return f"Hold {self.id}"


class HoldEvent(models.Model):
    """What happened to a hold between its placing and its end, or after; append-only.

    When it was placed, when and how it ended, and which tokens moved, the hold and its transfers
    say. A late result is an event and nothing more: it is never charged.
    """

    class Kind(models.TextChoices):
        EXTENDED = "EXTENDED", _("Extended")
        OVERRUN = "OVERRUN", _("Over-run")
        REFUNDED = "REFUNDED", _("Refunded")
        LATE_RESULT = "LATE_RESULT", _("Late result")

    hold = models.ForeignKey(
        Hold,
        verbose_name=_("hold"),
        on_delete=models.PROTECT,
        related_name="events",
        db_constraint=False,
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    tokens = models.BigIntegerField(_("tokens"), default=0, db_default=0)
    note = models.CharField(_("note"), max_length=255, blank=True, default="", db_default="")
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("hold event")
        verbose_name_plural = _("hold events")

    def __str__(self) -> str:
        return f"{self.kind} {self.hold_id}"
