"""Corrections by hand."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.wallets import Wallet


class Adjustment(models.Model):
    """Tokens given (above zero) or taken (below) by hand, with a reason; immutable.

    Its transfers run between the wallet and the account ADJUSTMENT, one per lot. Scope and key
    are its natural key for ever: a repeat finds the row and moves nothing.
    """

    class Scope(models.TextChoices):
        ADJUST = "ADJUST", _("Correction")
        CLOSE = "CLOSE", _("Write-off of a wallet that is closed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(
        Wallet, verbose_name=_("wallet"), on_delete=models.PROTECT, related_name="+"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("principal"),
        on_delete=models.PROTECT,
        related_name="+",
        # The natural key starts with it.
        db_index=False,
    )
    amount = models.BigIntegerField(_("amount"))
    reason = models.CharField(_("reason"), max_length=255)
    available_before = models.BigIntegerField(
        _("available before"), help_text=_("What could be spent at that moment.")
    )
    available_after = models.BigIntegerField(_("available after"))
    key_scope = models.CharField(_("kind"), max_length=8, choices=Scope)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("digest of the request"), max_length=64)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        constraints = [
            models.CheckConstraint(name="adjustment_moves_tokens", condition=~Q(amount=0)),
            models.CheckConstraint(
                name="adjustment_has_a_reason", condition=Q(reason__regex=r"\S")
            ),
            models.CheckConstraint(
                name="adjustment_never_below_zero",
                condition=Q(available_before__gte=0, available_after__gte=0),
            ),
            models.CheckConstraint(
                name="adjustment_explains_its_balances",
                # What is written off at the end includes tokens that could not be spent yet.
                condition=Q(key_scope="ADJUST", available_after=F("available_before") + F("amount"))
                | Q(key_scope="CLOSE", amount__lt=0, available_after=0),
            ),
            models.UniqueConstraint(
                name="adjustment_once_per_key", fields=["actor", "key_scope", "idempotency_key"]
            ),
        ]
        indexes = [
            models.Index(name="adjustment_by_actor", fields=["actor", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"Adjustment {self.id}"
