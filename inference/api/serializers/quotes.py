"""Quotes on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import StrictUUIDField
from inference.api.serializers.fields import LowerCaseChoiceField
from inference.api.serializers.options import SwapOptionsSerializer
from inference.models import SwapQuote
from inference.selectors import QuoteDetail
from inference.types import SwapOptions, TargetFaces, VideoOptions


class QuoteCreateSerializer(serializers.Serializer[Any]):
    """A swap to be priced: the face of the source goes onto the target."""

    operation = LowerCaseChoiceField(SwapQuote.Operation.values)
    source_asset_id = StrictUUIDField()
    target_asset_id = StrictUUIDField()
    options = SwapOptionsSerializer(required=False)

    def to_options(self) -> SwapOptions:
        """The validated options as a value of the app."""
        chosen = self.validated_data.get("options", {})
        video = chosen.get("video")
        return SwapOptions(
            target_faces=TargetFaces(chosen.get("target_faces", TargetFaces.ONE)),
            spec=chosen.get("spec"),
            video=None if video is None else VideoOptions(**video),
        )


class PriceLineSerializer(serializers.Serializer[Any]):
    """One line of the price."""

    operation = serializers.CharField()
    quantity = serializers.IntegerField(help_text=_("Pictures, or milliseconds of video."))
    unit_price = serializers.IntegerField(
        help_text=_("Tokens a picture, or a started second of video.")
    )
    tokens = serializers.IntegerField()


class QuoteBalanceSerializer(serializers.Serializer[Any]):
    """The wallet now and after the job; below zero means that tokens are missing."""

    available = serializers.IntegerField()
    after = serializers.IntegerField()


class QuoteSerializer(serializers.Serializer[QuoteDetail]):
    """A price that is promised until ``expires_at`` and pays for one job."""

    id = serializers.UUIDField(source="quote.id")
    operation = LowerCaseChoiceField(SwapQuote.Operation.values, source="quote.operation")
    source_asset_id = serializers.UUIDField(source="quote.source_id")
    target_asset_id = serializers.UUIDField(source="quote.target_id")
    options = SwapOptionsSerializer(source="quote.options")
    tokens = serializers.IntegerField(source="quote.tokens")
    lines = PriceLineSerializer(source="quote.price_lines", many=True)
    balance = serializers.SerializerMethodField()
    job_id = serializers.UUIDField(
        allow_null=True, help_text=_("The job that this quote paid for, if any.")
    )
    created_at = serializers.DateTimeField(source="quote.created_at")
    expires_at = serializers.DateTimeField(source="quote.expires_at")

    @extend_schema_field(QuoteBalanceSerializer)
    def get_balance(self, detail: QuoteDetail) -> dict[str, int]:
        """What the caller can afford."""
        available = detail.balance.available
        return {"available": available, "after": available - detail.quote.tokens}
