"""Recharges in preparation: rows that were sent, judged and looked at before anything moves."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.recharge import RechargeBatch
from tokens.models.wallets import CreditLot


class UserSegment(models.Model):
    """A filter of users under a name; whoever uses it gets the users of that moment."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    role = models.CharField(_("role"), max_length=16, blank=True)
    plan = models.CharField(_("plan"), max_length=16, blank=True)
    user_ref_prefix = models.CharField(_("user reference begins with"), max_length=64, blank=True)
    joined_after = models.DateTimeField(_("joined after"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("user segment")
        verbose_name_plural = _("user segments")
        constraints = [
            # A filter without a condition would credit everybody by accident.
            models.CheckConstraint(
                name="usersegment_has_a_condition",
                condition=~Q(role="", plan="", user_ref_prefix="", joined_after=None),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RechargeDraft(models.Model):
    """A recharge that its maker prepares: what was sent, on which terms, and what came of it.

    The draft stays as the memory of what was sent, so that the same file is recognised; its file
    and rows are thrown away some time later. ``revision`` counts the terms: a check that began
    with earlier ones writes nothing.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Waits for its terms")
        CHECKING = "CHECKING", _("Being checked")
        CHECKED = "CHECKED", _("Checked")
        UNREADABLE = "UNREADABLE", _("Cannot be read")
        SUBMITTED = "SUBMITTED", _("Submitted")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("maker"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (maker, created_at) serves the list.
        db_index=False,
    )
    source = models.CharField(_("source"), max_length=8, choices=RechargeBatch.Source)
    name = models.CharField(
        _("file or segment"), max_length=255, blank=True, help_text=_("What the rows came from.")
    )
    content_sha256 = models.CharField(
        _("SHA-256 of the file"), max_length=64, help_text=_("Recognises the same file.")
    )
    language = models.CharField(_("language"), max_length=16)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.OPEN)
    revision = models.PositiveIntegerField(_("revision of the terms"), default=0)
    mode = models.CharField(_("mode"), max_length=16, choices=RechargeBatch.Mode, blank=True)
    amount = models.BigIntegerField(_("tokens per user"), null=True, blank=True)
    category = models.CharField(_("category"), max_length=8, choices=CreditLot.Category, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=50)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    funding = models.CharField(
        _("funding source"), max_length=16, choices=RechargeBatch.Funding, blank=True
    )
    ticket = models.CharField(_("ticket"), max_length=64, blank=True)
    asked_at = models.DateTimeField(_("check asked for at"), null=True, blank=True)
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True)
    fault = models.CharField(
        _("fault"), max_length=500, blank=True, help_text=_("Why the file cannot be read.")
    )
    columns = ArrayField(
        models.CharField(max_length=200), verbose_name=_("columns as sent"), default=list
    )
    rows_count = models.PositiveIntegerField(_("rows"), default=0)
    warned_count = models.PositiveIntegerField(_("rows with a warning"), default=0)
    failed_count = models.PositiveIntegerField(_("rows that would fail"), default=0)
    tokens_total = models.BigIntegerField(_("tokens that would be granted"), default=0)
    batch_sha256 = models.CharField(
        _("content digest"),
        max_length=64,
        blank=True,
        help_text=_("That of the batch that comes of it; what the maker signs."),
    )
    figures = models.JSONField(_("figures of the preview"), default=dict)
    batch = models.OneToOneField(
        RechargeBatch,
        verbose_name=_("batch"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="draft",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("recharge draft")
        verbose_name_plural = _("recharge drafts")
        constraints = [
            models.CheckConstraint(
                name="rechargedraft_status_explains_batch",
                condition=Q(status="SUBMITTED", batch__isnull=False)
                | (~Q(status="SUBMITTED") & Q(batch__isnull=True)),
            ),
            models.CheckConstraint(
                name="rechargedraft_terms_before_check",
                condition=Q(status="OPEN")
                | (~Q(reason="") & ~Q(funding="") & ~Q(mode="") & ~Q(category="")),
            ),
            models.CheckConstraint(
                name="rechargedraft_counts_add_up",
                condition=Q(rows_count__gte=F("warned_count") + F("failed_count")),
            ),
        ]
        indexes = [
            models.Index(name="rechargedraft_of_maker", fields=["maker", "-created_at"]),
            models.Index(name="rechargedraft_same_file", fields=["content_sha256"]),
            models.Index(
                name="rechargedraft_being_checked",
                fields=["asked_at"],
                condition=Q(status="CHECKING"),
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)


class RechargeDraftFile(models.Model):
    """What was sent, for the worker that reads it, whichever machine it is on."""

    draft = models.OneToOneField(
        RechargeDraft,
        verbose_name=_("draft"),
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="file",
    )
    content = models.BinaryField(_("content"))

    class Meta:
        verbose_name = _("file of a draft")
        verbose_name_plural = _("files of drafts")

    def __str__(self) -> str:
        return f"File {self.pk}"


class RechargeDraftRow(models.Model):
    """One row with its verdict at the moment of the check; ``cells`` are those that were sent."""

    class Verdict(models.TextChoices):
        OK = "ok", _("Good")
        WARN = "warn", _("Look at it")
        ERROR = "error", _("Would fail")

    draft = models.ForeignKey(
        RechargeDraft,
        verbose_name=_("draft"),
        on_delete=models.CASCADE,
        related_name="rows",
        db_index=False,
        # Written by the thousand by the one statement that has just locked the draft.
        db_constraint=False,
    )
    row_no = models.PositiveIntegerField(_("row"))
    user_ref = models.CharField(_("user reference"), max_length=64)
    amount = models.BigIntegerField(_("amount"))
    item_key = models.CharField(_("key"), max_length=64, blank=True)
    category = models.CharField(_("category"), max_length=8)
    priority = models.PositiveSmallIntegerField(_("priority"))
    effective_at = models.DateTimeField(_("effective at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    fault = models.CharField(_("fault"), max_length=32, blank=True)
    original = models.JSONField(_("as sent"), null=True, blank=True)
    cells = ArrayField(models.TextField(), verbose_name=_("cells as sent"), default=list)
    verdict = models.CharField(_("verdict"), max_length=8, choices=Verdict)
    code = models.CharField(_("code"), max_length=32, blank=True)
    available = models.BigIntegerField(_("balance at the check"), null=True, blank=True)
    habit = models.BigIntegerField(_("largest recharge of 90 days"), null=True, blank=True)

    class Meta:
        verbose_name = _("row of a draft")
        verbose_name_plural = _("rows of drafts")
        constraints = [
            models.UniqueConstraint(name="rechargedraftrow_once", fields=["draft", "row_no"]),
        ]
        indexes = [
            models.Index(name="rechargedraftrow_by_verdict", fields=["draft", "verdict", "row_no"]),
        ]

    def __str__(self) -> str:
        return f"{self.row_no}: {self.user_ref}"
