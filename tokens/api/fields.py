"""Strict fields of the tokens API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

# Amounts below 1 are a per-line outcome, so the wire only bounds what the column can hold.
BIGINT_MAX = 2**63 - 1


class StrictIntegerField(serializers.IntegerField):
    """Whole numbers only: neither "5", 5.0 nor true is an amount of tokens."""

    default_error_messages = {"invalid": _("A whole JSON number is required.")}

    def to_internal_value(self, data: Any) -> int:
        """Refuse everything but a JSON integer."""
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictCharField(serializers.CharField):
    """Text only: a number is not silently taken for a reference."""

    def to_internal_value(self, data: Any) -> str:
        """Refuse everything but a JSON string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
