"""Bulk recharges: the batch, its staged rows and the outcome of each of them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.wallets import CreditLot, Wallet


class RechargeBatch(models.Model):
    """One principal's grant to many wallets, or the reversal of one; created complete.

    Small ones are applied at once; others wait for an approval or for a worker, which holds a
    lease. Counters grow with every committed chunk.
    """

    class Mode(models.TextChoices):
        ATOMIC = "ATOMIC", _("All lines or none")
        SOFT_FAIL = "SOFT_FAIL", _("Good lines go through")

    class Status(models.TextChoices):
        PENDING_APPROVAL = "PENDING_APPROVAL", _("Waiting for approval")
        QUEUED = "QUEUED", _("Queued")
        APPLYING = "APPLYING", _("Being applied")
        PAUSED = "PAUSED", _("Paused")
        APPLIED = "APPLIED", _("Applied")
        PARTIALLY_APPLIED = "PARTIALLY_APPLIED", _("Partially applied")
        FAILED = "FAILED", _("Failed")
        STOPPED = "STOPPED", _("Stopped")
        REJECTED = "REJECTED", _("Rejected")
        APPROVAL_EXPIRED = "APPROVAL_EXPIRED", _("Approval expired")

    class Source(models.TextChoices):
        JSON = "JSON", _("JSON")
        NDJSON = "NDJSON", _("NDJSON")
        CSV = "CSV", _("CSV file")
        XLSX = "XLSX", _("Excel file")
        FILTER = "FILTER", _("User filter")
        RETRY = "RETRY", _("Failed lines of another batch")
        REVERSAL = "REVERSAL", _("Reversal of another batch")
        SCHEDULE = "SCHEDULE", _("Rule that runs by itself")
        LIST = "LIST", _("Pasted list")

    class Funding(models.TextChoices):
        PAYMENT = "PAYMENT", _("Payment of the customer")
        CONTRACT = "CONTRACT", _("Contract or invoice")
        CAMPAIGN = "CAMPAIGN", _("Campaign")
        COMPENSATION = "COMPENSATION", _("Compensation")
        INTERNAL = "INTERNAL", _("Internal use")

    class ReversalPolicy(models.TextChoices):
        REFUSE = "REFUSE", _("Only what is untouched")
        UNUSED_PART = "UNUSED_PART", _("The unused part")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("principal"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    operator = models.CharField(_("operator label"), max_length=128, blank=True)
    reason = models.CharField(_("reason"), max_length=255)
    funding = models.CharField(
        _("funding source"), max_length=16, choices=Funding, blank=True, default="", db_default=""
    )
    ticket = models.CharField(
        _("ticket"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("Where the recharge was asked for."),
    )
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    source = models.CharField(_("source"), max_length=8, choices=Source, default=Source.JSON)
    status = models.CharField(_("status"), max_length=24, choices=Status)
    created_status = models.CharField(
        _("status when created"),
        max_length=24,
        choices=Status,
        help_text=_("What the creating request was told; a repeat of it is told the same."),
    )
    key_scope = models.CharField(
        _("scope of the key"),
        max_length=64,
        help_text=_("The operation the key was used for; keys of different ones never meet."),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("request fingerprint"), max_length=64)
    content_sha256 = models.CharField(_("content digest"), max_length=64)
    category = models.CharField(_("category"), max_length=8, choices=CreditLot.Category)
    priority = models.PositiveSmallIntegerField(_("priority"), default=50)
    effective_at = models.DateTimeField(_("effective at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("retry of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="retries",
        db_index=False,
    )
    reverses = models.ForeignKey(
        "self",
        verbose_name=_("reversal of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reversals",
    )
    reversal_policy = models.CharField(
        _("reversal policy"), max_length=16, choices=ReversalPolicy, blank=True, default=""
    )
    lines_count = models.PositiveIntegerField(_("lines"))
    tokens_requested = models.DecimalField(
        _("tokens requested"),
        max_digits=30,
        decimal_places=0,
        default=0,
        help_text=_("The sum of all positive amounts, also of lines that are refused later."),
    )
    done_count = models.PositiveIntegerField(_("lines done"), default=0)
    applied_count = models.PositiveIntegerField(_("applied lines"), default=0)
    tokens_total = models.BigIntegerField(_("tokens applied"), default=0)
    lease_id = models.UUIDField(_("lease"), null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(
        _("attempts"), default=0, help_text=_("Runs since the last progress.")
    )
    run_started_at = models.DateTimeField(_("run started at"), null=True, blank=True)
    run_done_before = models.PositiveIntegerField(_("lines done before the run"), default=0)
    progressed_at = models.DateTimeField(_("last progress at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("recharge batch")
        verbose_name_plural = _("recharge batches")
        constraints = [
            models.UniqueConstraint(
                name="rechargebatch_key_per_actor_and_scope",
                fields=["actor", "key_scope", "idempotency_key"],
            ),
            # A second retry of the same failures would credit them twice.
            models.UniqueConstraint(
                name="rechargebatch_retried_once",
                fields=["parent"],
                condition=Q(parent__isnull=False),
            ),
            models.CheckConstraint(
                name="rechargebatch_source_explains_origin",
                condition=Q(
                    source="RETRY",
                    parent__isnull=False,
                )
                | Q(source="REVERSAL", reverses__isnull=False, parent__isnull=True)
                | Q(
                    source__in=["JSON", "NDJSON", "CSV", "XLSX", "FILTER", "SCHEDULE", "LIST"],
                    parent__isnull=True,
                    reverses__isnull=True,
                ),
            ),
            models.CheckConstraint(
                name="rechargebatch_counts_add_up",
                condition=Q(
                    applied_count__lte=F("done_count"),
                    done_count__lte=F("lines_count"),
                    tokens_total__gte=F("applied_count"),
                    lines_count__gt=0,
                )
                & (Q(applied_count__gt=0) | Q(tokens_total=0)),
            ),
            models.CheckConstraint(
                name="rechargebatch_counts_explain_status",
                condition=Q(status__in=["QUEUED", "APPLYING", "PAUSED"])
                | Q(status="PENDING_APPROVAL", done_count=0)
                | Q(status="APPLIED", applied_count=F("lines_count"))
                | Q(
                    status="PARTIALLY_APPLIED",
                    mode="SOFT_FAIL",
                    done_count=F("lines_count"),
                    applied_count__gt=0,
                    applied_count__lt=F("lines_count"),
                )
                | Q(
                    status__in=["FAILED", "REJECTED", "APPROVAL_EXPIRED"],
                    done_count=F("lines_count"),
                    applied_count=0,
                )
                | Q(
                    status="STOPPED",
                    done_count=F("lines_count"),
                    applied_count__lt=F("lines_count"),
                ),
            ),
            models.CheckConstraint(
                name="rechargebatch_atomic_is_all_or_nothing",
                condition=~Q(mode="ATOMIC") | Q(applied_count__in=[0, F("lines_count")]),
            ),
            models.CheckConstraint(
                name="rechargebatch_lease_while_applying",
                condition=Q(
                    status="APPLYING", lease_id__isnull=False, lease_expires_at__isnull=False
                )
                | (~Q(status="APPLYING") & Q(lease_id__isnull=True, lease_expires_at__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(name="rechargebatch_newest", fields=["-created_at", "-id"]),
            models.Index(
                name="rechargebatch_unfinished",
                fields=["created_at"],
                condition=Q(status__in=["QUEUED", "APPLYING"]),
            ),
            # What a rule has granted for a period so far.
            models.Index(
                name="rechargebatch_by_rule",
                fields=["key_scope"],
                condition=Q(source="SCHEDULE"),
            ),
        ]

    def __str__(self) -> str:
        return f"Recharge {self.id}"


class RechargeChunk(models.Model):
    """Up to a thousand staged rows; a trigger refuses any change but that of the state.

    ``payload`` is an array of rows, each an array in the order of ``tokens.recharge_rows``.
    """

    class State(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        DONE = "DONE", _("Done")

    batch = models.ForeignKey(
        RechargeBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        related_name="chunks",
        db_index=False,
    )
    seq = models.PositiveIntegerField(_("number"))
    first_row = models.PositiveIntegerField(_("first row"))
    rows_count = models.PositiveSmallIntegerField(_("rows"))
    payload = models.JSONField(_("rows"))
    repeated_users = ArrayField(
        models.PositiveIntegerField(),
        verbose_name=_("rows whose user came before"),
        default=list,
        db_default=[],
    )
    repeated_keys = ArrayField(
        models.PositiveIntegerField(),
        verbose_name=_("rows whose key came before"),
        default=list,
        db_default=[],
    )
    state = models.CharField(
        _("state"), max_length=8, choices=State, default=State.PENDING, db_default=State.PENDING
    )

    class Meta:
        verbose_name = _("recharge chunk")
        verbose_name_plural = _("recharge chunks")
        constraints = [
            models.UniqueConstraint(name="rechargechunk_once", fields=["batch", "seq"]),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.seq}"


class RechargeLine(models.Model):
    """One row and its outcome, written once."""

    class Outcome(models.TextChoices):
        """In the order of precedence: a row with several faults gets the first of them."""

        APPLIED = "applied", _("Applied")
        ROLLED_BACK = "rolled_back", _("Not applied: another line of the atomic batch was refused")
        NOT_ATTEMPTED = "not_attempted", _("Not applied: the batch ended before this line")
        ROW_UNREADABLE = "row_unreadable", _("The row cannot be read")
        CELL_TOO_LONG = "cell_too_long", _("A cell of the row is too long")
        FORMULA_REFUSED = "formula_refused", _("A cell of the row holds a formula")
        USER_MISSING = "user_missing", _("The row names no user")
        AMOUNT_SCALE_INVALID = "amount_scale_invalid", _("The amount is not a whole number")
        KEY_INVALID = "key_invalid", _("The key is longer than 64 characters or not plain text")
        CATEGORY_UNKNOWN = "category_unknown", _("There is no such category")
        PRIORITY_INVALID = "priority_invalid", _("The priority is not a whole number from 0 to 100")
        TIME_INVALID = "time_invalid", _("A time is not in ISO 8601")
        ACCOUNT_NOT_FOUND = "account_not_found", _("No active user has this reference")
        ACCOUNT_FROZEN = "account_frozen", _("The wallet is frozen")
        ACCOUNT_CLOSED = "account_closed", _("The wallet is closed")
        AMOUNT_NOT_POSITIVE = "amount_not_positive", _("The amount is below 1 token")
        AMOUNT_OUT_OF_RANGE = "amount_out_of_range", _("The amount is above the limit of a line")
        EXCEEDS_MAX_BALANCE = "exceeds_max_balance", _("The wallet may not hold that many tokens")
        EXPIRY_IN_PAST = "expiry_in_past", _("The tokens would already have expired")
        EFFECTIVE_AFTER_EXPIRY = (
            "effective_after_expiry",
            _("The tokens would expire before they become effective"),
        )
        DUPLICATE_ROW = "duplicate_row_in_batch", _("The user appears in an earlier line")
        ITEM_KEY_CONFLICT = "item_key_conflict", _("The key appears in an earlier line")
        ROW_NOT_APPLIED = "row_not_applied", _("The row to reverse was never applied")
        ALREADY_REVERSED = "already_reversed", _("The row was reversed before")
        REVERSAL_CREDITS_USED = (
            "reversal_credits_used",
            _("The tokens were spent, are held for a job or have expired"),
        )

    # The unique index on (batch, row_no) serves it; why unchecked: see 0003_recharge_resource.
    batch = models.ForeignKey(
        RechargeBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        related_name="lines",
        db_index=False,
        db_constraint=False,
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
        db_index=False,
        db_constraint=False,
    )
    lot = models.ForeignKey(
        CreditLot,
        verbose_name=_("lot"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
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
    )
    original = models.JSONField(
        _("as sent"),
        null=True,
        blank=True,
        help_text=_("The cells of a row that could not be read, by column."),
    )

    class Meta:
        verbose_name = _("recharge line")
        verbose_name_plural = _("recharge lines")
        constraints = [
            models.UniqueConstraint(name="rechargeline_row_once", fields=["batch", "row_no"]),
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
