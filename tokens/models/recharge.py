"""Bulk recharges: the batch and the outcome of each of its lines."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.wallets import CreditLot, Wallet


class RechargeBatch(models.Model):
    """One principal's grant to many wallets, applied or refused as a whole or line by line."""

    class Mode(models.TextChoices):
        ATOMIC = "ATOMIC", _("All lines or none")
        SOFT_FAIL = "SOFT_FAIL", _("Good lines go through")

    class Status(models.TextChoices):
        APPLIED = "APPLIED", _("Applied")
        PARTIALLY_APPLIED = "PARTIALLY_APPLIED", _("Partially applied")
        FAILED = "FAILED", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("principal"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    operator = models.CharField(_("operator label"), max_length=128, blank=True)
    reason = models.CharField(_("reason"), max_length=255)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    status = models.CharField(_("status"), max_length=24, choices=Status)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("request fingerprint"), max_length=64)
    lines_count = models.PositiveIntegerField(_("lines"))
    applied_count = models.PositiveIntegerField(_("applied lines"))
    tokens_total = models.BigIntegerField(_("tokens applied"))
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("recharge batch")
        verbose_name_plural = _("recharge batches")
        constraints = [
            models.UniqueConstraint(
                name="rechargebatch_key_per_actor", fields=["actor", "idempotency_key"]
            ),
            models.CheckConstraint(
                name="rechargebatch_counts_explain_status",
                condition=Q(status="APPLIED", applied_count=F("lines_count"), tokens_total__gt=0)
                | Q(
                    status="PARTIALLY_APPLIED",
                    mode="SOFT_FAIL",
                    applied_count__gt=0,
                    applied_count__lt=F("lines_count"),
                    tokens_total__gt=0,
                )
                | Q(status="FAILED", applied_count=0, tokens_total=0),
            ),
        ]
        indexes = [models.Index(name="rechargebatch_newest", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return f"Recharge {self.id}"


class RechargeLine(models.Model):
    """One requested line and its outcome, written once."""

    class Outcome(models.TextChoices):
        APPLIED = "applied", _("Applied")
        ROLLED_BACK = "rolled_back", _("Not applied: another line of the atomic batch was refused")
        ACCOUNT_NOT_FOUND = "account_not_found", _("No active user has this reference")
        AMOUNT_NOT_POSITIVE = "amount_not_positive", _("The amount is below 1 token")
        AMOUNT_OUT_OF_RANGE = "amount_out_of_range", _("The amount is above the limit of a line")
        ACCOUNT_FROZEN = "account_frozen", _("The wallet is frozen")
        ACCOUNT_CLOSED = "account_closed", _("The wallet is closed")
        EXCEEDS_MAX_BALANCE = "exceeds_max_balance", _("The wallet may not hold that many tokens")
        DUPLICATE_ROW = "duplicate_row_in_batch", _("The user appears in an earlier line")
        ITEM_KEY_CONFLICT = "item_key_conflict", _("The key appears in an earlier line")
        EXPIRY_IN_PAST = "expiry_in_past", _("The tokens would already have expired")
        EFFECTIVE_AFTER_EXPIRY = (
            "effective_after_expiry",
            _("The tokens would expire before they become effective"),
        )

    batch = models.ForeignKey(
        RechargeBatch, verbose_name=_("batch"), on_delete=models.PROTECT, related_name="lines"
    )
    row_no = models.PositiveIntegerField(_("row"))
    item_key = models.CharField(
        _("key"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("The client's own name for the line."),
    )
    user_ref = models.CharField(_("user reference"), max_length=64)
    amount = models.BigIntegerField(_("amount"))
    category = models.CharField(_("category"), max_length=8, choices=CreditLot.Category)
    priority = models.PositiveSmallIntegerField(_("priority"))
    effective_at = models.DateTimeField(_("effective at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=32, choices=Outcome)
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    lot = models.OneToOneField(
        CreditLot,
        verbose_name=_("lot"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    class Meta:
        verbose_name = _("recharge line")
        verbose_name_plural = _("recharge lines")
        constraints = [
            models.UniqueConstraint(name="rechargeline_row_once", fields=["batch", "row_no"]),
            models.UniqueConstraint(
                name="rechargeline_wallet_once_per_batch",
                fields=["batch", "wallet"],
                condition=Q(outcome="applied"),
            ),
            models.CheckConstraint(
                name="rechargeline_applied_names_wallet",
                condition=Q(
                    outcome="applied", wallet__isnull=False, lot__isnull=False, amount__gt=0
                )
                | (~Q(outcome="applied") & Q(wallet__isnull=True, lot__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.row_no}: {self.user_ref}"
