"""The ledger's rows: wallets, immutable transfers, holds, recharge batches.

Every movement of tokens is one Transfer that names a debit and a credit account, so the books sum
to zero by construction. A wallet caches what is free and what is held; both are guarded here and
proven against the journal by ``manage.py audit_ledger``.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Account(models.TextChoices):
    """The chart of accounts. WALLET has a sub-ledger, one row per user; the others keep no row.

    A row of a system account would be locked by every recharge and every job; its balance is a sum
    over the journal instead.
    """

    WALLET = "WALLET", _("User wallets")
    ISSUANCE = "ISSUANCE", _("Tokens issued")
    HELD = "HELD", _("Tokens held for running work")
    CONSUMED = "CONSUMED", _("Tokens spent")


class Wallet(models.Model):
    """The tokens of one user: free to spend, and set aside for running work."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    available = models.BigIntegerField(_("available"), default=0)
    held = models.BigIntegerField(_("held"), default=0)
    opened_at = models.DateTimeField(_("opened at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        constraints = [
            models.CheckConstraint(
                name="wallet_never_negative", condition=Q(available__gte=0, held__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"Wallet {self.pk}"


class Hold(models.Model):
    """Tokens set aside for work in progress; resolved exactly once."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        SETTLED = "SETTLED", _("Settled")
        VOIDED = "VOIDED", _("Voided")
        EXPIRED = "EXPIRED", _("Expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(
        Wallet, verbose_name=_("wallet"), on_delete=models.PROTECT, related_name="+"
    )
    reference = models.CharField(
        _("reference"),
        max_length=128,
        unique=True,
        help_text=_("What the tokens are held for; one hold per reference, for ever."),
    )
    amount = models.BigIntegerField(_("amount"))
    settled = models.BigIntegerField(_("settled"), default=0)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PENDING)
    expires_at = models.DateTimeField(_("expires at"))
    placed_at = models.DateTimeField(_("placed at"), db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.CheckConstraint(name="hold_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="hold_status_explains_settled",
                condition=Q(status="PENDING", settled=0, resolved_at__isnull=True)
                | Q(
                    status="SETTLED",
                    settled__gt=0,
                    settled__lte=F("amount"),
                    resolved_at__isnull=False,
                )
                | Q(status__in=["VOIDED", "EXPIRED"], settled=0, resolved_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="hold_due", fields=["expires_at"], condition=Q(status="PENDING")),
        ]

    def __str__(self) -> str:
        return f"Hold {self.id}"


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
        DUPLICATE_ROW = "duplicate_row_in_batch", _("The user appears in an earlier line")

    batch = models.ForeignKey(
        RechargeBatch, verbose_name=_("batch"), on_delete=models.PROTECT, related_name="lines"
    )
    row_no = models.PositiveIntegerField(_("row"))
    user_ref = models.CharField(_("user reference"), max_length=64)
    amount = models.BigIntegerField(_("amount"))
    outcome = models.CharField(_("outcome"), max_length=32, choices=Outcome)
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
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
                condition=Q(outcome="applied", wallet__isnull=False, amount__gt=0)
                | (~Q(outcome="applied") & Q(wallet__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.row_no}: {self.user_ref}"


class Transfer(models.Model):
    """An immutable movement of ``amount`` tokens of one wallet; its number orders the journal.

    A database trigger refuses UPDATE and DELETE: a wrong transfer is answered by another one.
    """

    class Kind(models.TextChoices):
        RECHARGE = "RECHARGE", _("Recharge")
        HOLD = "HOLD", _("Hold")
        SETTLE = "SETTLE", _("Settle")
        RELEASE = "RELEASE", _("Release")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (wallet, id) serves every read; a second one would only slow the writes.
        db_index=False,
        help_text=_("The user's wallet this movement is about."),
    )
    debit = models.CharField(_("from"), max_length=16, choices=Account)
    credit = models.CharField(_("to"), max_length=16, choices=Account)
    amount = models.BigIntegerField(_("amount"))
    hold = models.ForeignKey(
        Hold,
        verbose_name=_("hold"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="transfers",
        db_index=False,
    )
    recharge_line = models.OneToOneField(
        RechargeLine,
        verbose_name=_("recharge line"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="transfer_kind_explains_accounts",
                condition=Q(kind="RECHARGE", debit="ISSUANCE", credit="WALLET")
                | Q(kind="HOLD", debit="WALLET", credit="HELD")
                | Q(kind="SETTLE", debit="HELD", credit="CONSUMED")
                | Q(kind="RELEASE", debit="HELD", credit="WALLET"),
            ),
            models.CheckConstraint(
                name="transfer_kind_explains_origin",
                condition=Q(kind="RECHARGE", recharge_line__isnull=False, hold__isnull=True)
                | (~Q(kind="RECHARGE") & Q(recharge_line__isnull=True, hold__isnull=False)),
            ),
            models.UniqueConstraint(
                name="transfer_kind_once_per_hold",
                fields=["hold", "kind"],
                condition=Q(hold__isnull=False),
            ),
        ]
        indexes = [models.Index(name="transfer_wallet_journal", fields=["wallet", "-id"])]

    def __str__(self) -> str:
        return f"Transfer {self.pk}"
