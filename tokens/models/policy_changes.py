"""Changes of approval policies, which two administrators make together."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tokens.models.approvals import SHA256_PATTERN


class PolicyChange(models.Model):
    """What one administrator proposes and another decides; applied when it is approved.

    ``before`` and ``after`` are the editable fields of the policy; ``before`` is empty for a new
    one, whose id is chosen with the proposal. The first policy of all is applied as it is made
    (``is_bootstrap``): while there is none, nothing waits for anybody, so nothing is loosened.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        APPLIED = "APPLIED", _("Applied")
        REJECTED = "REJECTED", _("Rejected")
        EXPIRED = "EXPIRED", _("Expired")
        RECALLED = "RECALLED", _("Recalled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # No foreign key: a new policy is not there before its change is applied.
    policy_id = models.UUIDField(_("policy"), editable=False)
    is_bootstrap = models.BooleanField(_("first policy"), default=False)
    before = models.JSONField(_("before"), null=True, blank=True)
    after = models.JSONField(_("after"))
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("maker"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    maker_factor_at = models.DateTimeField(_("second factor of the maker at"))
    status = models.CharField(
        _("status"), max_length=16, choices=Status, default=Status.OPEN, db_default="OPEN"
    )
    checker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("decided by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    checker_factor_at = models.DateTimeField(
        _("second factor of the decision at"), null=True, blank=True
    )
    comment = models.CharField(_("comment"), max_length=500, blank=True, default="")
    opened_at = models.DateTimeField(_("opened at"))
    expires_at = models.DateTimeField(_("expires at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("policy change")
        verbose_name_plural = _("policy changes")
        constraints = [
            models.UniqueConstraint(
                name="policychange_open_once", fields=["policy_id"], condition=Q(status="OPEN")
            ),
            models.CheckConstraint(
                name="policychange_status_explains_decision",
                condition=Q(status="OPEN", decided_at__isnull=True)
                | (~Q(status="OPEN") & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="policychange_is_decided_by_another",
                condition=Q(status__in=["OPEN", "EXPIRED", "RECALLED"], checker__isnull=True)
                | Q(status="APPLIED", is_bootstrap=True, checker__isnull=True)
                | (
                    Q(
                        status__in=["APPLIED", "REJECTED"],
                        checker__isnull=False,
                        checker_factor_at__isnull=False,
                    )
                    & ~Q(checker=F("maker"))
                ),
            ),
            models.CheckConstraint(
                name="policychange_no_is_explained",
                condition=~Q(status="REJECTED") | ~Q(comment=""),
            ),
            models.CheckConstraint(
                name="policychange_lives_a_while", condition=Q(expires_at__gt=F("opened_at"))
            ),
            models.CheckConstraint(
                name="policychange_digest_is_sha256",
                condition=Q(content_sha256__regex=SHA256_PATTERN),
            ),
        ]
        indexes = [models.Index(name="policychange_newest", fields=["-opened_at", "-id"])]

    def __str__(self) -> str:
        return f"Policy change {self.id}"
