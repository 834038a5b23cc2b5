"""Second factors and what they grant."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import factor_secrets


class Authenticator(TOTPDevice):  # type: ignore[misc]  # django-otp has no types
    """An authenticator app; ``key`` holds its secret encrypted, see ``factor_secrets``.

    The same rows as django-otp's own model, which would take the ciphertext for the secret and
    accept no code.
    """

    class Meta:
        proxy = True
        verbose_name = _("authenticator")
        verbose_name_plural = _("authenticators")

    @property
    def bin_key(self) -> bytes:
        """The secret itself; raises what ``factor_secrets.unseal`` raises."""
        return factor_secrets.unseal(text=self.key, user_id=self.user_id)


class RecoveryCode(models.Model):
    """A one-time substitute for the authenticator; only a keyed hash is stored."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
    )
    code_hash = models.CharField(_("hash"), max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")

    def __str__(self) -> str:
        return f"Recovery code {self.pk}"


class StepUpGrant(models.Model):
    """A second factor proven with one session or one access token, good for a few minutes.

    It is bound to the credential: another sign-in of the same person proves for itself.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
    )
    credential_hash = models.CharField(_("credential"), max_length=64, unique=True, editable=False)
    proven_at = models.DateTimeField(_("proven at"))

    class Meta:
        verbose_name = _("proven second factor")
        verbose_name_plural = _("proven second factors")

    def __str__(self) -> str:
        return f"Second factor of {self.user_id}"
