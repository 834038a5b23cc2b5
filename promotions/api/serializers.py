"""Wire format of redemptions."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class RedemptionCreateSerializer(serializers.Serializer[Any]):
    """A code."""

    code = serializers.CharField(
        max_length=64, help_text=_("As it was given to you; upper or lower case.")
    )


class RedemptionSerializer(serializers.Serializer[Any]):
    """What the code has brought."""

    campaign = serializers.CharField(help_text=_("The short name of the campaign."))
    title = serializers.CharField()
    tokens = serializers.IntegerField(help_text=_("What was credited."))
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text=_("Until when they can be spent; null: for ever.")
    )
