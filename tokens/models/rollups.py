"""What the journal adds up to, by day and by expiry, so that no report reads the journal itself.

Sealed blocks are added once each, in their order, in the transaction that moves ``RollupHead``; see
``tokens.ledger.rollups``. The rows can be thrown away and made again, and the verification compares
them with the journal.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tokens.models.journal import Account, Transfer
from tokens.models.wallets import CreditLot, Wallet


class Book(models.TextChoices):
    """Whose tokens: those of sandboxes are worth nothing and are reported apart."""

    LIVE = "LIVE", _("Accounts of people")
    SANDBOX = "SANDBOX", _("Sandboxes")


class RollupHead(models.Model):
    """Up to which seal the reports have been added up; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    block = models.BigIntegerField(_("seal"))
    folded_at = models.DateTimeField(_("added up at"))

    class Meta:
        verbose_name = _("state of the reports")
        verbose_name_plural = _("state of the reports")
        constraints = [models.CheckConstraint(name="rolluphead_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"Reports up to seal {self.block}"


class JournalDay(models.Model):
    """Transfers of one kind on one day of system time in UTC; ``source`` is that of the lot."""

    day = models.DateField(_("day"))
    book = models.CharField(_("book"), max_length=8, choices=Book)
    source = models.CharField(_("source"), max_length=8, choices=CreditLot.Category)
    kind = models.CharField(_("kind"), max_length=16, choices=Transfer.Kind)
    operation = models.CharField(_("operation"), max_length=32, blank=True)
    debit = models.CharField(_("from"), max_length=16, choices=Account)
    credit = models.CharField(_("to"), max_length=16, choices=Account)
    transfers_count = models.PositiveBigIntegerField(_("transfers"))
    tokens = models.BigIntegerField(_("tokens"))

    class Meta:
        verbose_name = _("day of the journal")
        verbose_name_plural = _("days of the journal")
        constraints = [
            models.UniqueConstraint(
                name="journalday_once",
                fields=["day", "book", "source", "kind", "operation", "debit", "credit"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.kind}"


class ConsumptionDay(models.Model):
    """What one wallet's work of one kind cost on one day of system time in UTC."""

    day = models.DateField(_("day"))
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        on_delete=models.PROTECT,
        related_name="+",
        # The unique index and the one by wallet serve every read; a wallet is never deleted.
        db_index=False,
        db_constraint=False,
    )
    operation = models.CharField(_("operation"), max_length=32, blank=True)
    book = models.CharField(_("book"), max_length=8, choices=Book)
    holds_count = models.PositiveBigIntegerField(_("paid jobs"))
    charged = models.BigIntegerField(_("charged"))
    refunded = models.BigIntegerField(_("refunded"))

    class Meta:
        verbose_name = _("consumption of a day")
        verbose_name_plural = _("consumption by day")
        constraints = [
            models.UniqueConstraint(
                name="consumptionday_once", fields=["day", "wallet", "operation"]
            )
        ]
        indexes = [models.Index(name="consumptionday_wallet", fields=["wallet", "-day"])]

    def __str__(self) -> str:
        return f"{self.day} {self.wallet_id}"


class LiabilityDay(models.Model):
    """Tokens that are owed and expire on one day in UTC; ``expires_on`` empty: never."""

    book = models.CharField(_("book"), max_length=8, choices=Book)
    source = models.CharField(_("source"), max_length=8, choices=CreditLot.Category)
    expires_on = models.DateField(_("expires on"), null=True, blank=True)
    available = models.BigIntegerField(_("available"))
    held = models.BigIntegerField(_("held"))

    class Meta:
        verbose_name = _("liability by expiry")
        verbose_name_plural = _("liability by expiry")
        constraints = [
            models.UniqueConstraint(
                name="liabilityday_once",
                fields=["expires_on", "book", "source"],
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.expires_on} {self.source}"
