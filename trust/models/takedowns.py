"""Reports of pictures and videos by anybody, and the hashes that are blocked because of them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from trust.types import NOTE_LENGTH_MAX, STATEMENT_LENGTH_MAX, TakedownReason, TakedownState


class Takedown(models.Model):
    """A report. A copy that was sent with it is hashed and thrown away, never kept or looked at."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reference = models.CharField(
        _("reference"),
        max_length=16,
        unique=True,
        help_text=_("What the reporter asks by; it cannot be guessed."),
    )
    reason = models.CharField(_("reason"), max_length=16, choices=TakedownReason)
    contact = models.CharField(_("contact"), max_length=254)
    statement = models.CharField(_("statement"), max_length=STATEMENT_LENGTH_MAX)
    link = models.CharField(_("address"), max_length=2000, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    is_copy_sent = models.BooleanField(
        _("with a copy"), default=False, help_text=_("It was hashed and not kept.")
    )
    state = models.CharField(
        _("state"), max_length=8, choices=TakedownState, default=TakedownState.OPEN
    )
    created_at = models.DateTimeField(_("received at"), db_default=Now(), editable=False)
    due_at = models.DateTimeField(_("due at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("decided by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    note = models.CharField(
        _("answer"), max_length=NOTE_LENGTH_MAX, blank=True, help_text=_("Shown to the reporter.")
    )

    class Meta:
        verbose_name = _("takedown")
        verbose_name_plural = _("takedowns")
        constraints = [
            models.CheckConstraint(
                name="takedown_says_what_is_meant", condition=~Q(link="") | ~Q(sha256="")
            ),
            models.CheckConstraint(
                name="takedown_decided_by_somebody",
                condition=Q(state="open", decided_at__isnull=True, decided_by__isnull=True)
                | (
                    ~Q(state="open")
                    & ~Q(note="")
                    & Q(decided_at__isnull=False, decided_by__isnull=False)
                ),
            ),
        ]
        indexes = [
            models.Index(name="takedown_open_due", fields=["due_at"], condition=Q(state="open")),
            models.Index(name="takedown_newest", fields=["-created_at", "-id"]),
        ]

    def __str__(self) -> str:
        return self.reference


class BlockedHash(models.Model):
    """Bytes that nobody may bring in or get out any more."""

    sha256 = models.CharField("SHA-256", max_length=64, primary_key=True)
    takedown = models.ForeignKey(
        Takedown, verbose_name=_("takedown"), on_delete=models.PROTECT, related_name="blocked"
    )
    created_at = models.DateTimeField(_("blocked at"), db_default=Now(), editable=False)
    enforced_at = models.DateTimeField(
        _("enforced at"),
        null=True,
        blank=True,
        help_text=_("Since when what was here with this hash is gone."),
    )
    removed_count = models.PositiveIntegerField(_("removed"), default=0)

    class Meta:
        verbose_name = _("blocked hash")
        verbose_name_plural = _("blocked hashes")
        indexes = [
            models.Index(name="blockedhash_newest", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return self.sha256
