"""Which files came from here: what is left of a result when the result itself is gone."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class ReleasedFile(models.Model):
    """The digest of one result that was handed out, and the labels that it carries.

    It answers whether a file came from here, to anybody and for ever. So it holds nothing that
    leads to a person: no owner, no job, and of the time only the day.
    """

    sha256 = models.CharField(_("SHA-256"), max_length=64, unique=True)
    produce_id = models.UUIDField(_("id in the labels"), unique=True)
    content_type = models.CharField(_("content type"), max_length=32)
    made_on = models.DateField(_("day"))
    labels = ArrayField(models.CharField(max_length=16), verbose_name=_("labels"))

    class Meta:
        verbose_name = _("released file")
        verbose_name_plural = _("released files")

    def __str__(self) -> str:
        return self.sha256
