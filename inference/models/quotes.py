"""Quotes: prices that are promised for a while."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from inference.models.media import MediaAsset


class SwapQuote(models.Model):
    """A price that is promised until ``expires_at`` and pays for one job at most."""

    class Operation(models.TextChoices):
        IMAGE_SWAP = "IMAGE_SWAP", _("Picture swap")
        VIDEO_SWAP = "VIDEO_SWAP", _("Video swap")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    operation = models.CharField(_("operation"), max_length=16, choices=Operation)
    source = models.ForeignKey(
        MediaAsset, verbose_name=_("source"), on_delete=models.PROTECT, related_name="+"
    )
    target = models.ForeignKey(
        MediaAsset, verbose_name=_("target"), on_delete=models.PROTECT, related_name="+"
    )
    options = models.JSONField(_("options"))
    tokens = models.PositiveBigIntegerField(_("tokens"))
    price_lines = models.JSONField(_("price lines"))
    plan = models.CharField(_("plan"), max_length=16, blank=True, default="", db_default="")
    rate_card_version = models.PositiveIntegerField(
        _("version of the rate card"), default=0, db_default=0
    )
    multiplier_bp = models.PositiveIntegerField(
        _("multiplier in basis points"), default=10_000, db_default=10_000
    )
    price_reason = models.CharField(
        _("reason of the multiplier"), max_length=16, default="ordinary", db_default="ordinary"
    )
    shadow_card_version = models.PositiveIntegerField(
        _("version of the card on trial"), null=True, blank=True
    )
    shadow_tokens = models.PositiveBigIntegerField(
        _("tokens by the card on trial"),
        null=True,
        blank=True,
        help_text=_("What the card on trial would charge. It is never charged."),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("quote")
        verbose_name_plural = _("quotes")
        constraints = [
            models.CheckConstraint(name="swapquote_costs_something", condition=Q(tokens__gt=0)),
            models.CheckConstraint(
                name="swapquote_shadow_names_its_card",
                condition=Q(shadow_card_version__isnull=True, shadow_tokens__isnull=True)
                | Q(shadow_card_version__isnull=False, shadow_tokens__gt=0),
            ),
        ]
        indexes = [models.Index(name="swapquote_newest", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return f"Quote {self.id}"
