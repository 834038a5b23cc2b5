"""Receipts of erasure."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from trust.types import ErasureScope


class ErasureReceipt(models.Model):
    """What was erased and when, signed. It never changes, and a trigger keeps it so."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.PROTECT,
        related_name="+",
        # The index (owner, created_at, id) serves every read.
        db_index=False,
    )
    scope = models.CharField(_("scope"), max_length=8, choices=ErasureScope)
    items_count = models.PositiveIntegerField(_("files"))
    document = models.JSONField(_("document"), help_text=_("What is signed."))
    key_id = models.CharField(_("key"), max_length=16)
    signature = models.CharField(_("signature"), max_length=128)
    created_at = models.DateTimeField(_("erased at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("receipt of erasure")
        verbose_name_plural = _("receipts of erasure")
        indexes = [
            models.Index(name="erasure_owner_newest", fields=["owner", "-created_at", "-id"])
        ]

    def __str__(self) -> str:
        return f"Receipt {self.id}"
