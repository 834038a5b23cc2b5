"""Who must agree to a batch before it moves money, and who did."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.recharge import RechargeBatch

APPROVALS_MAX: Final = 10
EXPIRES_AFTER_S_MIN: Final = 60
EXPIRES_AFTER_S_MAX: Final = 30 * 24 * 60 * 60
SHA256_PATTERN: Final = "^[0-9a-f]{64}$"


class ApprovalSubject(models.TextChoices):
    """What a batch does; reversals have bands of their own."""

    RECHARGE = "RECHARGE", _("Recharge")
    REVERSAL = "REVERSAL", _("Reversal")


class ApproverRole(models.TextChoices):
    """Roles whose members may check; the values are those of the users' roles."""

    OPERATOR = "OPERATOR", _("Operator")
    ADMIN = "ADMIN", _("Administrator")
    APPROVER = "APPROVER", _("Recharge approver")


class ApprovalPolicy(models.Model):
    """A band: a batch that reaches any of its bounds needs the approvals it names.

    A request keeps a copy of what was asked, so a change here never loosens a request that waits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    subject = models.CharField(
        _("applies to"), max_length=16, choices=ApprovalSubject, default=ApprovalSubject.RECHARGE
    )
    is_active = models.BooleanField(_("active"), default=True)
    row_tokens_min = models.BigIntegerField(
        _("largest line from"),
        null=True,
        blank=True,
        help_text=_("Tokens of the largest line; empty means that lines are not looked at."),
    )
    batch_tokens_min = models.BigIntegerField(
        _("batch total from"), null=True, blank=True, help_text=_("Tokens of all lines together.")
    )
    rows_min = models.PositiveIntegerField(
        _("lines from"), null=True, blank=True, help_text=_("Number of lines.")
    )
    maker_day_tokens_min = models.BigIntegerField(
        _("24 hours of one person from"),
        null=True,
        blank=True,
        help_text=_("Tokens of the same person's batches of the last 24 hours, this one included."),
    )
    approvals_required = models.PositiveSmallIntegerField(_("approvals needed"), default=1)
    roles = ArrayField(
        models.CharField(max_length=16, choices=ApproverRole),
        verbose_name=_("who may approve"),
        help_text=_("Roles; the person who made the batch never may."),
    )
    expires_after_s = models.PositiveIntegerField(
        _("expires after (seconds)"), default=72 * 60 * 60
    )
    is_open_to_keys = models.BooleanField(
        _("API keys may vote"),
        default=False,
        help_text=_("A program has no second factor; leave this off unless one must check."),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("approval policy")
        verbose_name_plural = _("approval policies")
        constraints = [
            models.CheckConstraint(
                name="approvalpolicy_has_a_bound",
                condition=Q(row_tokens_min__isnull=False)
                | Q(batch_tokens_min__isnull=False)
                | Q(rows_min__isnull=False)
                | Q(maker_day_tokens_min__isnull=False),
                violation_error_message=_("Set at least one bound."),
            ),
            models.CheckConstraint(
                name="approvalpolicy_bounds_are_positive",
                condition=(Q(row_tokens_min__isnull=True) | Q(row_tokens_min__gt=0))
                & (Q(batch_tokens_min__isnull=True) | Q(batch_tokens_min__gt=0))
                & (Q(rows_min__isnull=True) | Q(rows_min__gt=0))
                & (Q(maker_day_tokens_min__isnull=True) | Q(maker_day_tokens_min__gt=0)),
                violation_error_message=_("A bound is 1 or more."),
            ),
            models.CheckConstraint(
                name="approvalpolicy_quorum_in_range",
                condition=Q(approvals_required__gte=1, approvals_required__lte=APPROVALS_MAX),
                violation_error_message=_("Ask for 1 to 10 approvals."),
            ),
            models.CheckConstraint(
                name="approvalpolicy_roles_are_known",
                condition=Q(roles__len__gt=0, roles__contained_by=ApproverRole.values),
                violation_error_message=_("Name roles that may approve."),
            ),
            models.CheckConstraint(
                name="approvalpolicy_expiry_in_range",
                condition=Q(
                    expires_after_s__gte=EXPIRES_AFTER_S_MIN,
                    expires_after_s__lte=EXPIRES_AFTER_S_MAX,
                ),
                violation_error_message=_("Let requests expire after 1 minute to 30 days."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApprovalAssessment(models.Model):
    """What the policies were asked about a batch, and what they said; written once.

    The rolling sum of a maker is a sum over these rows, so it counts what was asked for, whatever
    has been applied of it so far.
    """

    batch = models.OneToOneField(
        RechargeBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="+",
    )
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("maker"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (maker, assessed_at) serves the rolling sum.
        db_index=False,
    )
    subject = models.CharField(_("applies to"), max_length=16, choices=ApprovalSubject)
    rows_count = models.PositiveIntegerField(_("lines"))
    tokens_total = models.BigIntegerField(_("batch total"))
    largest_row = models.BigIntegerField(_("largest line"))
    maker_day_tokens = models.BigIntegerField(_("24 hours of the maker"))
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    is_approval_required = models.BooleanField(_("needs approval"))
    assessed_at = models.DateTimeField(_("assessed at"))

    class Meta:
        verbose_name = _("approval assessment")
        verbose_name_plural = _("approval assessments")
        indexes = [
            models.Index(name="approvalassessment_maker_day", fields=["maker", "assessed_at"])
        ]

    def __str__(self) -> str:
        return f"Assessment {self.pk}"


class ApprovalRequest(models.Model):
    """A batch that waits for others than its maker; decided once.

    ``approvals_required``, ``roles`` and ``is_open_to_keys`` are the strictest of every policy the
    batch reached, copied when the request was opened.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        APPROVED = "APPROVED", _("Approved")
        REJECTED = "REJECTED", _("Rejected")
        EXPIRED = "EXPIRED", _("Expired")
        RECALLED = "RECALLED", _("Recalled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    batch = models.OneToOneField(
        RechargeBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        related_name="approval_request",
    )
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("maker"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    approvals_required = models.PositiveSmallIntegerField(_("approvals needed"))
    roles = ArrayField(
        models.CharField(max_length=16, choices=ApproverRole),
        verbose_name=_("who may approve"),
        blank=True,
    )
    is_open_to_keys = models.BooleanField(_("API keys may vote"))
    policies = models.JSONField(
        _("policies"), help_text=_("The policies that the batch reached, as they were then.")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status, default=Status.OPEN, db_default="OPEN"
    )
    opened_at = models.DateTimeField(_("opened at"))
    expires_at = models.DateTimeField(_("expires at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
        constraints = [
            models.CheckConstraint(
                name="approvalrequest_status_explains_decision",
                condition=Q(status="OPEN", decided_at__isnull=True)
                | (~Q(status="OPEN") & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="approvalrequest_lives_a_while", condition=Q(expires_at__gt=F("opened_at"))
            ),
            models.CheckConstraint(
                name="approvalrequest_quorum_in_range", condition=Q(approvals_required__gte=1)
            ),
            models.CheckConstraint(
                name="approvalrequest_digest_is_sha256",
                condition=Q(content_sha256__regex=SHA256_PATTERN),
            ),
        ]
        indexes = [
            models.Index(
                name="approvalrequest_due", fields=["expires_at"], condition=Q(status="OPEN")
            ),
            models.Index(name="approvalrequest_newest", fields=["-opened_at", "-id"]),
        ]

    def __str__(self) -> str:
        return f"Approval {self.id}"


class ApprovalVote(models.Model):
    """What one person said about one content; written once.

    A question keeps the request open and may be followed by a vote. Approving and rejecting are
    said once per person. ``second_factor_at`` is empty for a program that a policy lets vote.
    """

    class Decision(models.TextChoices):
        APPROVE = "APPROVE", _("Approve")
        REJECT = "REJECT", _("Reject")
        ASK = "ASK", _("Ask")

    request = models.ForeignKey(
        ApprovalRequest, verbose_name=_("request"), on_delete=models.PROTECT, related_name="votes"
    )
    voter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("voter"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    voter_role = models.CharField(_("role of the voter"), max_length=16, choices=ApproverRole)
    decision = models.CharField(_("decision"), max_length=8, choices=Decision)
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    second_factor_at = models.DateTimeField(_("second factor at"), null=True, blank=True)
    voted_at = models.DateTimeField(_("voted at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("approval vote")
        verbose_name_plural = _("approval votes")
        constraints = [
            models.UniqueConstraint(
                name="approvalvote_once_per_person",
                fields=["request", "voter"],
                condition=Q(decision__in=["APPROVE", "REJECT"]),
            ),
            models.CheckConstraint(
                name="approvalvote_no_is_explained",
                condition=Q(decision="APPROVE") | ~Q(comment=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.request_id}"


class ApprovalAnswer(models.Model):
    """What the maker says to one question; written once, and no part of the content."""

    question = models.OneToOneField(
        ApprovalVote,
        verbose_name=_("question"),
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="answer",
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    comment = models.CharField(_("answer"), max_length=500)
    answered_at = models.DateTimeField(_("answered at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("answer to a question")
        verbose_name_plural = _("answers to questions")
        constraints = [
            models.CheckConstraint(name="approvalanswer_says_something", condition=~Q(comment="")),
        ]

    def __str__(self) -> str:
        return f"Answer {self.pk}"
