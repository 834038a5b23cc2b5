"""Published prices on the wire."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import PageQuerySerializer
from tokens.models import PriceTick
from tokens.price_selectors import PricesInForce
from tokens.price_types import DEFAULT_PLAN, ORDINARY_BP, REASON_TEXTS, OffPeak, PriceReason
from tokens.types import Operation

REASONS = [reason.value for reason in PriceReason]
_UNITS = {Operation.IMAGE_SWAP: "picture", Operation.VIDEO_SWAP: "started_second"}


class OrdinaryPriceSerializer(serializers.Serializer[Any]):
    """The ordinary price of one operation for one plan."""

    operation = serializers.ChoiceField(choices=[operation.value for operation in Operation])
    plan = serializers.CharField(help_text=_("“default” is for all plans that are not listed."))
    unit = serializers.ChoiceField(choices=list(_UNITS.values()))
    unit_tokens = serializers.IntegerField(help_text=_("Whole tokens, at a multiplier of 1."))


class QuietHoursSerializer(serializers.Serializer[OffPeak]):
    """Hours in which the price may be below the ordinary one."""

    start = serializers.SerializerMethodField(help_text=_("HH:MM in time_zone."))
    end = serializers.SerializerMethodField(
        help_text=_("HH:MM; on the next day where it is not after the start.")
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(), help_text=_("On which days they start; 0 is Monday.")
    )

    def get_start(self, hours: OffPeak) -> str:
        """The first minute."""
        return _clock(hours.start_minute)

    def get_end(self, hours: OffPeak) -> str:
        """The minute behind the last."""
        return _clock(hours.end_minute)


class PricingSerializer(serializers.Serializer[PricesInForce]):
    """The price of this moment and the limits it keeps to."""

    rate_card_version = serializers.IntegerField(
        source="card.version",
        help_text=_("0: the prices of the settings, from before the first rate card."),
    )
    effective_at = serializers.DateTimeField(source="card.effective_at", allow_null=True)
    multiplier = serializers.SerializerMethodField(
        help_text=_("What the price of the moment is of the ordinary one.")
    )
    multiplier_bp = serializers.SerializerMethodField(
        help_text=_("The same in basis points: 10000 is 1.")
    )
    reason = serializers.SerializerMethodField(help_text=", ".join(REASONS))
    reason_text = serializers.SerializerMethodField(help_text=_("The reason in words."))
    floor_bp = serializers.IntegerField(
        source="card.curve.floor_bp", help_text=_("The multiplier is never below this.")
    )
    cap_bp = serializers.IntegerField(
        source="card.curve.cap_bp", help_text=_("The multiplier is never above this.")
    )
    time_zone = serializers.CharField(source="card.curve.time_zone")
    off_peak = QuietHoursSerializer(source="card.curve.off_peak", many=True)
    prices = serializers.SerializerMethodField()
    measured_every_s = serializers.SerializerMethodField(
        help_text=_("A price can change after so many seconds; a quote keeps its own.")
    )

    def get_multiplier(self, prices: PricesInForce) -> float:
        """1 is the ordinary price."""
        return prices.moment(prices.card)[0] / ORDINARY_BP

    def get_multiplier_bp(self, prices: PricesInForce) -> int:
        """10,000 is the ordinary price."""
        return prices.moment(prices.card)[0]

    def get_reason(self, prices: PricesInForce) -> str:
        """A stable word."""
        return prices.moment(prices.card)[1].value

    def get_reason_text(self, prices: PricesInForce) -> str:
        """In the language of the caller."""
        return str(REASON_TEXTS[prices.moment(prices.card)[1]])

    @extend_schema_field(OrdinaryPriceSerializer(many=True))
    def get_prices(self, prices: PricesInForce) -> list[dict[str, Any]]:
        """The ordinary prices, those for all plans first."""
        rows = [
            {
                "operation": operation.value,
                "plan": plan,
                "unit": _UNITS[operation],
                "unit_tokens": tokens,
            }
            for operation in Operation
            for plan, tokens in prices.card.prices[operation.value].items()
        ]
        rows.sort(key=lambda row: (row["operation"], row["plan"] != DEFAULT_PLAN, row["plan"]))
        return [dict(row) for row in OrdinaryPriceSerializer(rows, many=True).data]

    def get_measured_every_s(self, _prices: PricesInForce) -> int:
        """As set by the operator."""
        return int(settings.PRICE_TICK_S)


class PriceChangeSerializer(serializers.Serializer[PriceTick]):
    """A moment from which on another price was asked."""

    at = serializers.DateTimeField(source="taken_at")
    rate_card_version = serializers.IntegerField(source="card_version")
    multiplier = serializers.SerializerMethodField()
    multiplier_bp = serializers.IntegerField()
    cap_bp = serializers.IntegerField()
    reason = serializers.ChoiceField(choices=REASONS)
    reason_text = serializers.SerializerMethodField()

    def get_multiplier(self, tick: PriceTick) -> float:
        """1 is the ordinary price."""
        return tick.multiplier_bp / ORDINARY_BP

    def get_reason_text(self, tick: PriceTick) -> str:
        """In the language of the caller."""
        return str(REASON_TEXTS[PriceReason(tick.reason)])


class PriceHistorySerializer(serializers.Serializer[Any]):
    """A page of changes, newest first."""

    items = PriceChangeSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class PriceHistoryQuerySerializer(PageQuerySerializer):
    """Query parameters of the history."""

    since = serializers.DateTimeField(
        required=False, default=None, help_text=_("Not older than this moment.")
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
