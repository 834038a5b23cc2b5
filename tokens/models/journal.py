"""The journal: the chart of accounts and the transfers between them."""

from __future__ import annotations

from django.db import models
from django.db.models import Func, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.adjustments import Adjustment
from tokens.models.holds import Hold
from tokens.models.recharge import RechargeLine
from tokens.models.wallets import CreditLot, Wallet


class Account(models.TextChoices):
    """The chart of accounts. WALLET has a sub-ledger, one row per user; the others keep no row.

    A row of a system account would be locked by every recharge and every job; its balance is a sum
    over the journal instead.
    """

    WALLET = "WALLET", _("User wallets")
    HELD = "HELD", _("Tokens held for running work")
    CONSUMED = "CONSUMED", _("Tokens spent")
    BREAKAGE = "BREAKAGE", _("Tokens expired")
    ADJUSTMENT = "ADJUSTMENT", _("Corrections")
    REFUND = "REFUND", _("Spent tokens given back")
    ISSUANCE_PAID = "ISSUANCE_PAID", _("Paid tokens issued")
    ISSUANCE_PROMO = "ISSUANCE_PROMO", _("Promotional tokens issued")
    ISSUANCE_REWARD = "ISSUANCE_REWARD", _("Reward tokens issued")
    ISSUANCE_PLAN = "ISSUANCE_PLAN", _("Plan tokens issued")


class Transfer(models.Model):
    """An immutable movement of ``amount`` tokens of one lot; its number orders the journal.

    A database trigger refuses UPDATE and DELETE: a wrong transfer is answered by another one.
    ``recorded_at`` is system time, ``effective_at`` is business time.
    """

    class Kind(models.TextChoices):
        RECHARGE = "RECHARGE", _("Recharge")
        HOLD = "HOLD", _("Hold")
        SETTLE = "SETTLE", _("Settle")
        RELEASE = "RELEASE", _("Release")
        OVERRUN = "OVERRUN", _("Over-run")
        EXPIRE = "EXPIRE", _("Expiry")
        REGRANT = "REGRANT", _("Grace")
        REFUND = "REFUND", _("Refund")
        REVERSE = "REVERSE", _("Reversal")
        CREDIT = "CREDIT", _("Correction upwards")
        DEBIT = "DEBIT", _("Correction downwards")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (wallet, id) serves every read; a second one would only slow the writes. Nor
        # are this table's foreign keys checked row by row: see migration 0003.
        db_index=False,
        db_constraint=False,
        help_text=_("The user's wallet this movement is about."),
    )
    lot = models.ForeignKey(
        CreditLot,
        verbose_name=_("lot"),
        on_delete=models.PROTECT,
        related_name="+",
        # A lot's transfers are found through its wallet.
        db_index=False,
        db_constraint=False,
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
        db_constraint=False,
    )
    recharge_line = models.ForeignKey(
        RechargeLine,
        verbose_name=_("recharge line"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        # Partial unique indexes below: most rows have neither.
        db_index=False,
        db_constraint=False,
    )
    adjustment = models.ForeignKey(
        Adjustment,
        verbose_name=_("adjustment"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="transfers",
        db_index=False,
        db_constraint=False,
    )
    reverses = models.ForeignKey(
        "self",
        verbose_name=_("reverses"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text=_("The recharge that this reversal takes back, wholly or in part; at most once."),
    )
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)
    effective_at = models.DateTimeField(_("effective at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(amount__gt=0)),
            # Which accounts and which references a kind has. A function, because PostgreSQL reads
            # the text of each condition again for every statement: spelled out here, these cost a
            # quarter of a charge. See sql/sound_rows.sql.
            models.CheckConstraint(
                name="transfer_is_sound",
                condition=Func(
                    "kind",
                    "debit",
                    "credit",
                    "hold",
                    "recharge_line",
                    "reverses",
                    "adjustment",
                    function="tokens_transfer_is_sound",
                    output_field=models.BooleanField(),
                ),
            ),
            models.UniqueConstraint(
                name="transfer_once_per_line",
                fields=["recharge_line"],
                condition=Q(recharge_line__isnull=False),
            ),
            models.UniqueConstraint(
                name="transfer_reversed_once",
                fields=["reverses"],
                condition=Q(reverses__isnull=False),
            ),
            models.UniqueConstraint(
                name="transfer_once_per_adjustment_and_lot",
                fields=["adjustment", "lot"],
                condition=Q(adjustment__isnull=False),
            ),
            models.UniqueConstraint(
                name="transfer_once_per_hold_kind_and_lot",
                fields=["hold", "kind", "lot"],
                condition=Q(hold__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="transfer_wallet_journal", fields=["wallet", "-id"]),
            # Kinds that are rare: the others are found at the end of the journal at once.
            models.Index(
                name="transfer_rare_kinds",
                fields=["kind", "-id"],
                condition=Q(
                    kind__in=[
                        "OVERRUN",
                        "EXPIRE",
                        "REGRANT",
                        "REFUND",
                        "REVERSE",
                        "CREDIT",
                        "DEBIT",
                    ]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"Transfer {self.pk}"
