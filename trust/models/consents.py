"""Consents: who vouched for which faces, for what, and until when."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from trust.types import EVIDENCE_LENGTH_MAX, ConsentKind


class Consent(models.Model):
    """One attestation. It never changes, but for being revoked once; a trigger keeps it so."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    kind = models.CharField(_("rests on"), max_length=16, choices=ConsentKind)
    uses = ArrayField(models.CharField(max_length=16), verbose_name=_("allows"))
    covers_account = models.BooleanField(
        _("for all uploads"), help_text=_("Of the account, whatever is uploaded later included.")
    )
    evidence = models.CharField(
        _("evidence"),
        max_length=EVIDENCE_LENGTH_MAX,
        blank=True,
        help_text=_("Where the document lies; the document itself is not kept here."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    text_version = models.CharField(_("version of the text"), max_length=16)
    text_language = models.CharField(_("language of the text"), max_length=16)
    text_sha256 = models.CharField(_("SHA-256 of the text"), max_length=64)
    attested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("attested by"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField(_("attested at"), db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("revoked by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    enforced_at = models.DateTimeField(
        _("enforced at"),
        null=True,
        blank=True,
        help_text=_("Since when the faces of a revoked consent are gone and its jobs have ended."),
    )

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [
            models.CheckConstraint(name="consent_allows_something", condition=Q(uses__len__gt=0)),
            models.CheckConstraint(
                name="consent_of_others_has_evidence",
                condition=Q(kind="self") | (~Q(evidence="") & Q(covers_account=False)),
            ),
            models.CheckConstraint(
                name="consent_enforced_only_when_revoked",
                condition=Q(enforced_at__isnull=True) | Q(revoked_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="consent_owner_newest", fields=["owner", "-created_at", "-id"]),
            models.Index(
                name="consent_to_enforce",
                fields=["revoked_at"],
                condition=Q(revoked_at__isnull=False, enforced_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"Consent {self.id}"


class ConsentAsset(models.Model):
    """An upload that a consent names. Trust knows uploads by their ids and digests alone.

    The digests are written when the consent is revoked, so that the same file is known again.
    """

    consent = models.ForeignKey(
        Consent, verbose_name=_("consent"), on_delete=models.PROTECT, related_name="assets"
    )
    asset_id = models.UUIDField(_("upload"), db_index=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)

    class Meta:
        verbose_name = _("upload of a consent")
        verbose_name_plural = _("uploads of consents")
        constraints = [
            models.UniqueConstraint(name="consentasset_named_once", fields=["consent", "asset_id"])
        ]
        indexes = [
            models.Index(
                name="consentasset_known_again", fields=["sha256"], condition=~Q(sha256="")
            )
        ]

    def __str__(self) -> str:
        return str(self.asset_id)
