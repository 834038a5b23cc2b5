"""Sign-ins of programs that act for a person."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
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
