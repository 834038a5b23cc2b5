"""Whose tokens there are, and in which lots."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Func, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Wallet(models.Model):
    """The tokens of one user: free to spend, and set aside for running work.

    ``available`` counts every lot, also one that is not effective yet or has expired and waits for
    the sweep; what may be spent at a moment is a sum over the lots. The row is the lock for all of
    the user's lots and holds.
    """

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", _("Active")
        FROZEN = "FROZEN", _("Frozen")
        CLOSED = "CLOSED", _("Closed")

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    status = models.CharField(
        _("status"), max_length=8, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE
    )
    available = models.BigIntegerField(_("available"), default=0, db_default=0)
    held = models.BigIntegerField(_("held"), default=0, db_default=0)
    balance_max = models.BigIntegerField(
        _("largest balance"),
        null=True,
        blank=True,
        help_text=_("Recharges beyond it are refused; empty: no limit."),
    )
    opened_at = models.DateTimeField(_("opened at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        constraints = [
            models.CheckConstraint(
                name="wallet_never_negative", condition=Q(available__gte=0, held__gte=0)
            ),
            models.CheckConstraint(
                name="wallet_balance_max_positive",
                condition=Q(balance_max__isnull=True) | Q(balance_max__gt=0),
            ),
            models.CheckConstraint(
                name="wallet_closed_is_empty",
                condition=~Q(status="CLOSED") | Q(available=0, held=0),
            ),
        ]

    def __str__(self) -> str:
        return f"Wallet {self.pk}"


class CreditLot(models.Model):
    """Tokens of one grant, with a life of their own.

    Burn order is priority, then earliest expiry, then oldest. Held tokens do not expire: the sweep
    takes only what is available.
    """

    class Category(models.TextChoices):
        PAID = "PAID", _("Paid")
        PROMO = "PROMO", _("Promotional")
        REWARD = "REWARD", _("Reward")
        PLAN = "PLAN", _("Plan")
        REFUND = "REFUND", _("Refund")
        ADJUSTED = "ADJUSTED", _("Correction")

    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        on_delete=models.PROTECT,
        related_name="+",
        # The partial index in burn order serves every read that must be fast; the key itself is
        # not checked row by row: see migration 0003.
        db_index=False,
        db_constraint=False,
    )
    category = models.CharField(_("category"), max_length=8, choices=Category)
    granted = models.BigIntegerField(_("granted"))
    available = models.BigIntegerField(_("available"))
    held = models.BigIntegerField(_("held"), default=0, db_default=0)
    priority = models.SmallIntegerField(
        _("priority"), default=50, db_default=50, help_text=_("0 burns first, 100 last.")
    )
    effective_at = models.DateTimeField(_("effective at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    # What the indexes go by. A condition on the tokens themselves would make every charge write new
    # entries into all of them, although only a lot that runs empty leaves them.
    is_live = models.GeneratedField(
        verbose_name=_("has tokens"),
        expression=Q(available__gt=0) | Q(held__gt=0),  # type: ignore[arg-type]  # Q is fine too
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("lot")
        verbose_name_plural = _("lots")
        constraints = [
            # What is left lies within the grant, the priority is a percentage, and the life has a
            # length; a function for speed, as that of transfers: see sql/sound_rows.sql.
            models.CheckConstraint(
                name="creditlot_is_sound",
                condition=Func(
                    "granted",
                    "available",
                    "held",
                    "priority",
                    "effective_at",
                    "expires_at",
                    function="tokens_lot_is_sound",
                    output_field=models.BooleanField(),
                ),
            ),
        ]
        indexes = [
            models.Index(
                name="creditlot_burn_order",
                fields=["wallet", "priority", "expires_at", "id"],
                condition=Q(is_live=True),
            ),
            models.Index(
                name="creditlot_due",
                fields=["expires_at"],
                condition=Q(is_live=True, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Lot {self.pk}"
