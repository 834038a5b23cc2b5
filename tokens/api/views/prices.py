"""Published prices over HTTP. They are public: nobody has to sign in to see them."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facefusion_site.common.errors import (
    InvalidCursorError,
    InvalidRequestError,
    RateLimitedError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from tokens import price_selectors
from tokens.api.serializers import prices as serializers

_PRICING: Final = OpenApiExample(
    "A busy evening",
    value={
        "rate_card_version": 3,
        "effective_at": "2026-11-02T00:00:00Z",
        "multiplier": 1.35,
        "multiplier_bp": 13_500,
        "reason": "busy",
        "reason_text": "Many jobs are waiting, so the price is higher for now.",
        "floor_bp": 8_000,
        "cap_bp": 20_000,
        "time_zone": "Asia/Shanghai",
        "off_peak": [{"start": "01:00", "end": "07:00", "weekdays": [0, 1, 2, 3, 4, 5, 6]}],
        "prices": [
            {
                "operation": "image_swap",
                "plan": "default",
                "unit": "picture",
                "unit_tokens": 1,
            },
            {
                "operation": "video_swap",
                "plan": "default",
                "unit": "started_second",
                "unit_tokens": 10,
            },
        ],
        "measured_every_s": 60,
    },
    response_only=True,
)
_HISTORY: Final = OpenApiExample(
    "Two changes",
    value={
        "items": [
            {
                "at": "2026-11-24T19:02:00Z",
                "rate_card_version": 3,
                "multiplier": 1.35,
                "multiplier_bp": 13_500,
                "cap_bp": 20_000,
                "reason": "busy",
                "reason_text": "Many jobs are waiting, so the price is higher for now.",
            },
            {
                "at": "2026-11-24T18:55:00Z",
                "rate_card_version": 3,
                "multiplier": 1.0,
                "multiplier_bp": 10_000,
                "cap_bp": 20_000,
                "reason": "ordinary",
                "reason_text": "The ordinary price.",
            },
        ],
        "next_cursor": None,
    },
    response_only=True,
)


class PricingView(APIView):
    """The price of this moment."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="pricing_get",
        summary="Read the price of this moment",
        tags=["prices"],
        responses={200: serializers.PricingSerializer} | problems(RateLimitedError),
        examples=[_PRICING],
    )
    @limit(group="pricing", rate="PRICING_RATE", key="ip")
    def get(self, request: Request) -> Response:
        """Ordinary prices, the multiplier with its reason, floor, cap and quiet hours.

        What one swap costs is told by a quote, which keeps its price whatever happens here.
        """
        return Response(serializers.PricingSerializer(price_selectors.in_force()).data)


class PricingHistoryView(APIView):
    """What the price was."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="pricing_history_list",
        summary="List changes of the price",
        tags=["prices"],
        parameters=[serializers.PriceHistoryQuerySerializer],
        responses={200: serializers.PriceHistorySerializer}
        | problems(InvalidRequestError, InvalidCursorError, RateLimitedError),
        examples=[_HISTORY],
    )
    @limit(group="pricing", rate="PRICING_RATE", key="ip")
    def get(self, request: Request) -> Response:
        """Newest first: each price held from its moment until the one above it."""
        query = serializers.PriceHistoryQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        items, next_cursor = price_selectors.price_changes(**query.validated_data)
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.PriceHistorySerializer(page).data)
