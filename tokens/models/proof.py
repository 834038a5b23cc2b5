"""What proves the books: audit events, the chain of seals, snapshots, runs and closed months.

Rows that point at a sealed or summed row carry no constraint of the database: checking it would
lock, and so rewrite, every row of the journal once more. The verification finds a missing row.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.journal import Account, Transfer
from tokens.models.wallets import Wallet

# The accounts whose balance is kept per wallet; every other account has one balance.
SUB_LEDGERS = [Account.WALLET.value, Account.HELD.value]


class AuditEvent(models.Model):
    """Who changed what, with the state before and after; append-only.

    The digests are SHA-256 over the canonical JSON, so that an export without the states can still
    be compared. ``recorded_xid``, the transaction's number, is a column of the database alone.
    """

    id = models.BigAutoField(primary_key=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("principal"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: the platform itself."),
    )
    action = models.CharField(_("action"), max_length=64)
    subject = models.CharField(_("subject"), max_length=128)
    before = models.JSONField(_("before"), null=True, blank=True)
    after = models.JSONField(_("after"), null=True, blank=True)
    before_sha256 = models.CharField(_("digest before"), max_length=64, blank=True, default="")
    after_sha256 = models.CharField(_("digest after"), max_length=64, blank=True, default="")
    request_id = models.CharField(_("request id"), max_length=64, blank=True, default="")
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [models.Index(name="auditevent_subject", fields=["subject", "-id"])]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"


class SealBlock(models.Model):
    """One link of the hash chain over the journal and the audit events; append-only.

    ``hash`` is SHA-256 over the header, which names the hash of the block before and the digests
    of the members; see ``tokens.ledger.seal``.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    version = models.PositiveSmallIntegerField(_("format"))
    horizon = models.BigIntegerField(
        _("horizon"),
        help_text=_("Every transaction with a smaller number had ended when the block was sealed."),
    )
    transfers_count = models.PositiveIntegerField(_("transfers"))
    tokens_total = models.DecimalField(_("tokens moved"), max_digits=30, decimal_places=0)
    events_count = models.PositiveIntegerField(_("audit events"))
    transfers_sha256 = models.CharField(_("digest of transfers"), max_length=64)
    events_sha256 = models.CharField(_("digest of audit events"), max_length=64)
    previous_hash = models.CharField(_("previous hash"), max_length=64)
    hash = models.CharField(_("hash"), max_length=64, unique=True)
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        constraints = [
            models.CheckConstraint(name="sealblock_number_is_positive", condition=Q(number__gt=0)),
            models.CheckConstraint(
                name="sealblock_seals_something",
                condition=Q(transfers_count__gt=0) | Q(events_count__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"Seal {self.number}"


class SealMember(models.Model):
    """Which block seals a transfer; append-only."""

    transfer = models.OneToOneField(
        Transfer,
        verbose_name=_("transfer"),
        primary_key=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    block = models.ForeignKey(
        SealBlock, verbose_name=_("seal"), on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("sealed transfer")
        verbose_name_plural = _("sealed transfers")

    def __str__(self) -> str:
        return f"{self.block_id}: {self.pk}"


class SealedEvent(models.Model):
    """Which block seals an audit event; append-only."""

    event = models.OneToOneField(
        AuditEvent,
        verbose_name=_("audit event"),
        primary_key=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    block = models.ForeignKey(
        SealBlock, verbose_name=_("seal"), on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("sealed audit event")
        verbose_name_plural = _("sealed audit events")

    def __str__(self) -> str:
        return f"{self.block_id}: {self.pk}"


class SnapshotDay(models.Model):
    """A day of the journal, by system time in UTC, that was complete and added up; append-only."""

    day = models.DateField(_("day"), primary_key=True)
    transfers_count = models.PositiveBigIntegerField(_("transfers"))
    tokens_total = models.DecimalField(_("tokens moved"), max_digits=30, decimal_places=0)
    taken_at = models.DateTimeField(_("taken at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("snapshot day")
        verbose_name_plural = _("snapshot days")

    def __str__(self) -> str:
        return self.day.isoformat()


class BalanceSnapshot(models.Model):
    """Opening, in, out and closing of one account on one day; append-only.

    Only days on which the account moved have a row: until the next row the last closing holds.
    ``wallet`` is set for the accounts that are kept per wallet.
    """

    day = models.ForeignKey(
        SnapshotDay,
        verbose_name=_("day"),
        db_column="day",
        on_delete=models.PROTECT,
        related_name="balances",
    )
    account = models.CharField(_("account"), max_length=16, choices=Account)
    wallet = models.ForeignKey(
        Wallet,
        verbose_name=_("wallet"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        # The unique index serves every read of one wallet.
        db_index=False,
        db_constraint=False,
    )
    opening = models.BigIntegerField(_("opening"))
    credited = models.BigIntegerField(_("in"))
    debited = models.BigIntegerField(_("out"))
    closing = models.BigIntegerField(_("closing"))

    class Meta:
        verbose_name = _("balance snapshot")
        verbose_name_plural = _("balance snapshots")
        constraints = [
            models.UniqueConstraint(
                name="balancesnapshot_once_a_day",
                fields=["wallet", "account", "day"],
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="balancesnapshot_closing_adds_up",
                condition=Q(
                    credited__gte=0,
                    debited__gte=0,
                    closing=F("opening") + F("credited") - F("debited"),
                ),
            ),
            models.CheckConstraint(
                name="balancesnapshot_sub_ledger_names_wallet",
                condition=Q(account__in=SUB_LEDGERS, wallet__isnull=False)
                | (~Q(account__in=SUB_LEDGERS) & Q(wallet__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day_id} {self.account}"


class ReconRun(models.Model):
    """One proof of the books and what it found; append-only."""

    class Kind(models.TextChoices):
        VERIFY = "VERIFY", _("Verification")
        RECONCILE = "RECONCILE", _("Reconciliation")

    class Status(models.TextChoices):
        PASSED = "PASSED", _("Passed")
        FAILED = "FAILED", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    status = models.CharField(_("status"), max_length=8, choices=Status)
    checks_count = models.PositiveIntegerField(_("checks"))
    violations = models.JSONField(
        _("violations"), help_text=_("Broken checks with how often and examples.")
    )
    summary = models.JSONField(_("summary"), help_text=_("What the run saw and did."))
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"))

    class Meta:
        verbose_name = _("reconciliation run")
        verbose_name_plural = _("reconciliation runs")
        indexes = [models.Index(name="reconrun_newest", fields=["-started_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M}"


class MonthClose(models.Model):
    """A month, by business time in UTC, whose books are closed, or were until they were reopened.

    While it is closed a trigger refuses transfers that take effect in it. ``totals`` are the
    figures it was closed with; they must be found again as long as it stays closed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    month = models.DateField(_("month"), help_text=_("Its first day."))
    totals = models.JSONField(
        _("totals"),
        null=True,
        blank=True,
        help_text=_("Empty until the month has been added up, right after it was closed."),
    )
    totals_sha256 = models.CharField(
        _("digest of the totals"), max_length=64, blank=True, default=""
    )
    closed_at = models.DateTimeField(_("closed at"), db_default=Now(), editable=False)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("closed by"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    reopened_at = models.DateTimeField(_("reopened at"), null=True, blank=True)
    reopened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("reopened by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    reopen_reason = models.CharField(_("why reopened"), max_length=255, blank=True, default="")

    class Meta:
        verbose_name = _("closed month")
        verbose_name_plural = _("closed months")
        constraints = [
            models.UniqueConstraint(
                name="monthclose_closed_once",
                fields=["month"],
                condition=Q(reopened_at__isnull=True),
            ),
            models.CheckConstraint(name="monthclose_month_is_first_day", condition=Q(month__day=1)),
            models.CheckConstraint(
                name="monthclose_reopening_is_explained",
                condition=Q(reopened_at__isnull=True, reopened_by__isnull=True, reopen_reason="")
                | (Q(reopened_at__isnull=False, reopened_by__isnull=False) & ~Q(reopen_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
