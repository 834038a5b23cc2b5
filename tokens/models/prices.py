"""Rate cards, which two administrators publish; the price of each minute; the kill switch."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tokens.models.approvals import SHA256_PATTERN
from tokens.price_types import REASON_TEXTS, PriceReason


class RateCard(models.Model):
    """Ordinary prices and the curve of their multiplier: proposed by one, published by another.

    A card is never changed: other prices are another card. In force is the published card with the
    latest ``effective_at`` that has come.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", _("Open")
        PUBLISHED = "PUBLISHED", _("Published")
        REJECTED = "REJECTED", _("Rejected")
        RECALLED = "RECALLED", _("Recalled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.PositiveIntegerField(_("version"), unique=True)
    note = models.CharField(_("note"), max_length=200, help_text=_("What is new, and why."))
    prices = models.JSONField(
        _("prices"), help_text=_("By operation and plan: tokens a picture or started second.")
    )
    floor_bp = models.PositiveIntegerField(_("floor in basis points"))
    cap_bp = models.PositiveIntegerField(_("cap in basis points"))
    calm_wait_s = models.PositiveIntegerField(_("calm wait in seconds"))
    full_wait_s = models.PositiveIntegerField(_("full wait in seconds"))
    smoothing_s = models.PositiveIntegerField(_("smoothing in seconds"))
    step_bp = models.PositiveIntegerField(_("step in basis points"))
    time_zone = models.CharField(_("time zone"), max_length=64)
    off_peak = models.JSONField(_("quiet hours"), default=list, blank=True)
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    replaces_version = models.PositiveIntegerField(_("proposed in place of version"))
    wanted_from = models.DateTimeField(
        _("wanted from"), null=True, blank=True, help_text=_("Empty: as soon as it is published.")
    )
    effective_at = models.DateTimeField(_("in force from"), null=True, blank=True)
    shadow_percent = models.PositiveSmallIntegerField(
        _("share of accounts on trial in percent"),
        default=0,
        help_text=_("Their quotes also say what this card would charge. It is never charged."),
    )
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("maker"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    maker_factor_at = models.DateTimeField(_("second factor of the maker at"))
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.OPEN)
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
    opened_at = models.DateTimeField(_("opened at"), db_default=Now())
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("rate card")
        verbose_name_plural = _("rate cards")
        constraints = [
            models.CheckConstraint(name="ratecard_version_counts", condition=Q(version__gt=0)),
            models.CheckConstraint(
                name="ratecard_curve_is_sound",
                condition=Q(floor_bp__range=(1_000, 10_000), cap_bp__range=(10_000, 100_000))
                & Q(calm_wait_s__lt=F("full_wait_s"), smoothing_s__gt=0, step_bp__gt=0),
            ),
            models.CheckConstraint(
                name="ratecard_shadows_while_open",
                condition=Q(shadow_percent=0) | Q(shadow_percent__lte=100, status="OPEN"),
            ),
            models.CheckConstraint(
                name="ratecard_is_decided_by_another",
                condition=Q(status__in=["OPEN", "RECALLED"], checker__isnull=True)
                | (
                    Q(
                        status__in=["PUBLISHED", "REJECTED"],
                        checker__isnull=False,
                        checker_factor_at__isnull=False,
                    )
                    & ~Q(checker=F("maker"))
                ),
            ),
            models.CheckConstraint(
                name="ratecard_in_force_when_published",
                condition=Q(status="PUBLISHED", effective_at__gte=F("decided_at"))
                | (~Q(status="PUBLISHED") & Q(effective_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="ratecard_digest_is_sha256",
                condition=Q(content_sha256__regex=SHA256_PATTERN),
            ),
            # Tried against the prices in force, one at a time.
            models.UniqueConstraint(
                name="ratecard_one_on_trial",
                fields=["status"],
                condition=Q(shadow_percent__gt=0),
            ),
        ]
        indexes = [
            models.Index(
                name="ratecard_in_force",
                fields=["-effective_at", "-version"],
                condition=Q(status="PUBLISHED"),
            ),
        ]

    def __str__(self) -> str:
        return f"Rate card {self.version}"


class PriceTick(models.Model):
    """The price of one moment, with the load it came from. Written once, never changed."""

    taken_at = models.DateTimeField(_("taken at"))
    card_version = models.PositiveIntegerField(_("version of the rate card"))
    is_shadow = models.BooleanField(_("of a card on trial"), default=False)
    is_change = models.BooleanField(_("changes the price"))
    oldest_wait_s = models.PositiveIntegerField(_("longest wait in seconds"))
    waiting_count = models.PositiveIntegerField(_("waiting"))
    running_count = models.PositiveIntegerField(_("running"))
    utilisation_percent = models.PositiveSmallIntegerField(
        _("utilisation in percent"), null=True, blank=True
    )
    pressure_ppm = models.PositiveIntegerField(_("pressure in millionths"))
    smoothed_ppm = models.PositiveIntegerField(_("smoothed pressure in millionths"))
    target_bp = models.PositiveIntegerField(_("target in basis points"))
    multiplier_bp = models.PositiveIntegerField(_("multiplier in basis points"))
    cap_bp = models.PositiveIntegerField(_("cap in basis points"))
    reason = models.CharField(
        _("reason"), max_length=16, choices=[(r.value, REASON_TEXTS[r]) for r in PriceReason]
    )

    class Meta:
        verbose_name = _("price of a minute")
        verbose_name_plural = _("prices by minute")
        indexes = [
            models.Index(name="pricetick_newest", fields=["-id"], condition=Q(is_shadow=False)),
            models.Index(
                name="pricetick_changes",
                fields=["-taken_at", "-id"],
                condition=Q(is_shadow=False, is_change=True),
            ),
            models.Index(name="pricetick_by_time", fields=["taken_at", "id"]),
            models.Index(name="pricetick_of_card", fields=["card_version", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.multiplier_bp} bp at {self.taken_at:%Y-%m-%d %H:%M}"


class PriceStop(models.Model):
    """One use of the kill switch. The newest row decides; without one, prices follow the load."""

    is_stopped = models.BooleanField(_("ordinary prices only"))
    reason = models.CharField(_("reason"), max_length=200)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    set_at = models.DateTimeField(_("set at"), db_default=Now())

    class Meta:
        verbose_name = _("price switch")
        verbose_name_plural = _("price switches")

    def __str__(self) -> str:
        return "stopped" if self.is_stopped else "running"
