"""Productions, their people, and the rows of their manifests.

A job is the truth about a row that has one: nothing of its state is copied here. What a production
has cost is read from the holds of its jobs, so its books cannot differ from the ledger's.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from productions.types import PERSON_REF_PATTERN, ConsentKind, RowState, State
from tokens.types import Operation

UNFUNDED: Final = [State.DRAFT, State.ESTIMATED]
ENDED: Final = [State.FINISHED, State.CANCELED]


class Production(models.Model):
    """One project: who pays, how far it is, and the batches that filled and emptied its wallet."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Its wallet pays for all jobs."),
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    name = models.CharField(_("name"), max_length=128)
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.DRAFT)
    budget = models.PositiveBigIntegerField(
        _("budget"),
        null=True,
        blank=True,
        help_text=_("What the wallet is recharged with; empty: what the estimate says."),
    )
    is_automatic = models.BooleanField(
        _("automatic"),
        default=True,
        help_text=_("The platform starts, tries again and finishes it by itself."),
    )
    retries_max = models.PositiveSmallIntegerField(_("retries"), default=1)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255)
    request_fingerprint = models.CharField(_("request fingerprint"), max_length=64)
    estimate = models.PositiveBigIntegerField(_("estimate"), null=True, blank=True)
    estimated_at = models.DateTimeField(_("estimated at"), null=True, blank=True)
    funding_number = models.PositiveSmallIntegerField(
        _("recharges asked for"), default=0, help_text=_("Each has an idempotency key of its own.")
    )
    funding_tokens = models.PositiveBigIntegerField(_("tokens asked for"), null=True, blank=True)
    funded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    funding_batch = models.ForeignKey(
        "tokens.RechargeBatch",
        verbose_name=_("recharge"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    funding_error = models.CharField(
        _("why it was not recharged"), max_length=64, blank=True, help_text=_("Of the last time.")
    )
    waves_count = models.PositiveIntegerField(
        _("batches of jobs"), default=0, help_text=_("Each has an idempotency key of its own.")
    )
    return_batch = models.ForeignKey(
        "tokens.RechargeBatch",
        verbose_name=_("return of the rest"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    settled_at = models.DateTimeField(
        _("settled at"), null=True, blank=True, help_text=_("When the rest was asked back.")
    )

    class Meta:
        verbose_name = _("production")
        verbose_name_plural = _("productions")
        constraints = [
            models.UniqueConstraint(
                name="production_key_per_owner", fields=["owner", "idempotency_key"]
            ),
            # Tokens of two productions in one wallet could not be told apart.
            models.UniqueConstraint(
                name="production_one_in_a_wallet",
                fields=["owner"],
                condition=Q(settled_at__isnull=True) & ~Q(state__in=UNFUNDED),
            ),
            models.CheckConstraint(
                name="production_funding_is_complete",
                condition=Q(funding_number=0, funding_batch__isnull=True)
                | Q(funded_by__isnull=False, funding_tokens__isnull=False, funding_tokens__gt=0),
            ),
            models.CheckConstraint(
                name="production_is_funded_before_it_runs",
                condition=~Q(state__in=[State.FUNDED, State.RUNNING, State.FINISHED])
                | Q(funding_batch__isnull=False),
            ),
            models.CheckConstraint(
                name="production_ends_once",
                condition=Q(state__in=ENDED, finished_at__isnull=False)
                | (~Q(state__in=ENDED) & Q(finished_at__isnull=True, settled_at__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(name="production_owner_newest", fields=["owner", "-created_at", "-id"]),
            models.Index(
                name="production_unsettled",
                fields=["created_at"],
                condition=Q(settled_at__isnull=True) & ~Q(state__in=UNFUNDED),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Person(models.Model):
    """Somebody whose face is used, within limits and as long as they agree."""

    production = models.ForeignKey(
        Production,
        verbose_name=_("production"),
        on_delete=models.PROTECT,
        related_name="people",
        # The unique pair with the reference serves every read.
        db_index=False,
    )
    ref = models.CharField(
        _("reference"), max_length=64, validators=[RegexValidator(rf"^{PERSON_REF_PATTERN}\Z")]
    )
    name = models.CharField(_("name"), max_length=128, blank=True)
    face = models.ForeignKey(
        "inference.MediaAsset", verbose_name=_("face"), on_delete=models.PROTECT, related_name="+"
    )
    token_quota = models.PositiveBigIntegerField(_("most tokens"), null=True, blank=True)
    job_quota = models.PositiveIntegerField(_("most jobs"), null=True, blank=True)
    consent_kind = models.CharField(_("consent"), max_length=16, choices=ConsentKind)
    consent_text_version = models.CharField(_("version of the text"), max_length=64)
    consent_expires_at = models.DateTimeField(_("consent ends at"), null=True, blank=True)
    consent_revoked_at = models.DateTimeField(_("consent revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            models.UniqueConstraint(name="person_ref_per_production", fields=["production", "ref"])
        ]

    def __str__(self) -> str:
        return self.ref


class ManifestRow(models.Model):
    """One wanted job."""

    production = models.ForeignKey(
        Production,
        verbose_name=_("production"),
        on_delete=models.PROTECT,
        related_name="rows",
        # The unique pair with the number serves every read.
        db_index=False,
    )
    row_no = models.PositiveIntegerField(_("row"))
    person = models.ForeignKey(
        Person,
        verbose_name=_("person"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    target = models.ForeignKey(
        "inference.MediaAsset",
        verbose_name=_("target"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    operation = models.CharField(
        _("operation"), max_length=16, blank=True, choices=[(one.name, one) for one in Operation]
    )
    options = models.JSONField(_("options"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=RowState, default=RowState.READY)
    estimate = models.PositiveBigIntegerField(_("estimate"), null=True, blank=True)
    job = models.OneToOneField(
        "inference.SwapJob",
        verbose_name=_("job"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error_detail = models.CharField(_("error detail"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("row of a manifest")
        verbose_name_plural = _("rows of manifests")
        constraints = [
            models.UniqueConstraint(
                name="manifestrow_no_per_production", fields=["production", "row_no"]
            ),
            models.CheckConstraint(
                name="manifestrow_job_once_started",
                condition=Q(state=RowState.STARTED, job__isnull=False)
                | (~Q(state=RowState.STARTED) & Q(job__isnull=True)),
            ),
            models.CheckConstraint(
                name="manifestrow_is_complete_or_unreadable",
                condition=Q(state=RowState.UNREADABLE)
                | (Q(person__isnull=False, target__isnull=False) & ~Q(operation="")),
            ),
            models.CheckConstraint(
                name="manifestrow_error_says_why",
                condition=~Q(state__in=[RowState.UNREADABLE, RowState.REFUSED]) | ~Q(error_code=""),
            ),
        ]

    def __str__(self) -> str:
        return f"Row {self.row_no}"


class RowAttempt(models.Model):
    """A job that a row has or had: what is tried again keeps the jobs of before."""

    row = models.ForeignKey(
        ManifestRow,
        verbose_name=_("row of a manifest"),
        on_delete=models.PROTECT,
        related_name="attempts",
        # The unique pair with the number serves every read.
        db_index=False,
    )
    number = models.PositiveSmallIntegerField(_("attempt"))
    job = models.OneToOneField(
        "inference.SwapJob",
        verbose_name=_("job"),
        on_delete=models.PROTECT,
        related_name="+",
    )

    class Meta:
        verbose_name = _("attempt of a row")
        verbose_name_plural = _("attempts of rows")
        constraints = [
            models.UniqueConstraint(name="rowattempt_number_per_row", fields=["row", "number"])
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number}"
