"""Fields and query parameters that the APIs of all apps share."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class StrictIntegerField(serializers.IntegerField):
    """Whole numbers only: neither "5", 5.0 nor true is an amount of tokens."""

    default_error_messages = {"invalid": _("A whole JSON number is required.")}

    def to_internal_value(self, data: Any) -> int:
        """Refuse what is not a JSON integer."""
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictCharField(serializers.CharField):
    """Text only: a number is not silently taken for a reference."""

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is not a JSON string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictUUIDField(serializers.UUIDField):
    """Text only: DRF would take the number 5 for a UUID."""

    def to_internal_value(self, data: Any) -> uuid.UUID:
        """Refuse what is not a JSON string."""
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class PageQuerySerializer(serializers.Serializer[Any]):
    """Query parameters of every list."""

    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)
    cursor = serializers.CharField(
        required=False, default=None, help_text=_("“next_cursor” of the page before.")
    )
