"""Sign-ins: of programs that act for a person, and what is remembered of all of them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class RefreshFamily(models.Model):
    """The refresh tokens that follow from one sign-in; only the latest of them is good."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
    )
    current_jti = models.CharField(_("latest token"), max_length=64, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("sign-in of a program")
        verbose_name_plural = _("sign-ins of programs")
        indexes = [
            models.Index(name="accounts_family_by_user", fields=["user"]),
            models.Index(name="accounts_family_by_expiry", fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return f"Sign-in {self.pk}"


class SignIn(models.Model):
    """That somebody signed in with a password, how, and from where; kept for a while only."""

    class Way(models.TextChoices):
        """What was signed in to."""

        PAGE = "PAGE", _("on a page")
        PROGRAM = "PROGRAM", _("by a program")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
        db_index=False,
    )
    way = models.CharField(_("way"), max_length=8, choices=Way.choices)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    created_at = models.DateTimeField(_("signed in at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")
        indexes = [
            models.Index(name="accounts_sign_in_of_user", fields=["user", "-created_at", "-id"]),
            models.Index(name="accounts_sign_in_by_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"Sign-in {self.pk}"
