"""API keys, and what they have spent."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class ApiKey(models.Model):
    """A credential for programs. Only a keyed hash is stored; the key itself is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
    )
    name = models.CharField(_("name"), max_length=100)
    key_hash = models.CharField(_("hash"), max_length=64, unique=True, editable=False)
    last4 = models.CharField(_("last four characters"), max_length=4, editable=False)
    scopes = ArrayField(models.CharField(max_length=32), verbose_name=_("scopes"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    last_used_from = models.GenericIPAddressField(_("last used from"), null=True, blank=True)
    exposed_at = models.DateTimeField(
        _("sent in clear at"),
        null=True,
        blank=True,
        help_text=_("When the key last came over plain HTTP, where others may have read it."),
    )
    allowed_networks = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        verbose_name=_("allowed networks"),
        help_text=_("The key works from these networks only; from anywhere when empty."),
    )
    daily_token_budget = models.PositiveBigIntegerField(
        _("daily token budget"),
        null=True,
        blank=True,
        help_text=_("Tokens that jobs of this key may set aside in one day of UTC."),
    )
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True
    )
    requires_signature = models.BooleanField(_("requires signatures"), default=False)
    # Shared by a key and those that replace it: a rotation must not double the day's budget.
    lineage = models.UUIDField(default=uuid.uuid4, editable=False)
    replaced_by = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        editable=False,
        verbose_name=_("replaced by"),
    )

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        indexes = [models.Index(name="accounts_key_by_user", fields=["user", "-created_at"])]
        constraints = [
            models.CheckConstraint(
                name="accounts_key_has_scope", condition=models.Q(scopes__len__gt=0)
            ),
            models.CheckConstraint(
                name="accounts_key_rate_positive",
                condition=models.Q(requests_per_minute=None) | models.Q(requests_per_minute__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (…{self.last4})"

    @property
    def is_test(self) -> bool:
        """Whether the key acts as a sandbox."""
        return self.user.is_sandbox


class ApiKeySpending(models.Model):
    """Tokens that the keys of one lineage have set aside on one day of UTC."""

    lineage = models.UUIDField(_("lineage"))
    day = models.DateField(_("day"))
    tokens = models.PositiveBigIntegerField(_("tokens"))

    class Meta:
        verbose_name = _("spending of an API key")
        verbose_name_plural = _("spending of API keys")
        constraints = [
            models.UniqueConstraint(name="accounts_key_spending_day", fields=["lineage", "day"]),
        ]

    def __str__(self) -> str:
        return f"{self.tokens} tokens on {self.day}"
