"""Wire format of daily claims."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class DailyClaimCreateSerializer(serializers.Serializer[Any]):
    """Where the caller's days begin."""

    time_zone = serializers.CharField(
        max_length=64,
        required=False,
        help_text=_(
            "A name of the IANA database, such as Asia/Shanghai: where your days begin from now "
            "on. What you set before counts when you leave it out; UTC at first."
        ),
    )


class DailyClaimSerializer(serializers.Serializer[Any]):
    """Where the caller stands."""

    tokens = serializers.IntegerField(help_text=_("What one claim gives; 0 where there is none."))
    claimed = serializers.IntegerField(help_text=_("What this request has credited."))
    is_available = serializers.BooleanField(help_text=_("Whether you can claim now."))
    available_at = serializers.DateTimeField(
        allow_null=True, help_text=_("Since when, or from when on, you can claim.")
    )
    expires_at = serializers.DateTimeField(
        allow_null=True,
        help_text=_("Until when the tokens can be spent that were claimed, or are to be claimed."),
    )
    time_zone = serializers.CharField(help_text=_("Where your days begin."))
