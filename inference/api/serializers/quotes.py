"""Quotes on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import StrictUUIDField
from inference.api.serializers.fields import LowerCaseChoiceField
from inference.api.serializers.options import SwapOptionsSerializer, to_options
from inference.models import SwapQuote
from inference.selectors import QuoteDetail, QuoteState
from inference.types import SwapOptions
from tokens.price_types import ORDINARY_BP, REASON_TEXTS, PriceReason


class QuoteCreateSerializer(serializers.Serializer[Any]):
    """A swap to be priced: the face of the source goes onto the target."""

    operation = LowerCaseChoiceField(SwapQuote.Operation.values)
    source_asset_id = StrictUUIDField()
    target_asset_id = StrictUUIDField()
    options = SwapOptionsSerializer(required=False)

    def to_options(self) -> SwapOptions:
        """The validated options as a value of the app."""
        chosen = self.validated_data.get("options", {})
        return to_options(chosen)


class PriceLineSerializer(serializers.Serializer[Any]):
    """One line of the price."""

    operation = serializers.CharField()
    quantity = serializers.IntegerField(help_text=_("Pictures, or milliseconds of video."))
    units = serializers.SerializerMethodField(help_text=_("What is paid for."))
    unit_price = serializers.IntegerField(
        help_text=_("Tokens a picture, or a started second of video.")
    )
    multiplier = serializers.SerializerMethodField(
        help_text=_("What the price of the moment is of the ordinary one.")
    )
    total = serializers.IntegerField(
        source="tokens", help_text=_("Units, times unit price, times multiplier, in whole tokens.")
    )

    def get_units(self, line: dict[str, Any]) -> int:
        """Pictures, or started seconds; lines of old quotes do not have it stored."""
        return int(line.get("units", int(line["tokens"]) // int(line["unit_price"])))

    def get_multiplier(self, line: dict[str, Any]) -> float:
        """1 is the ordinary price; lines of old quotes do not have another one."""
        return int(line.get("multiplier_bp", ORDINARY_BP)) / ORDINARY_BP


class QuotedPriceSerializer(serializers.Serializer[SwapQuote]):
    """What the price of a quote was made of; it stays, whatever happens to prices."""

    rate_card_version = serializers.IntegerField(
        help_text=_("0: the prices of the settings, from before the first rate card.")
    )
    multiplier = serializers.SerializerMethodField(
        help_text=_("What the price of the moment was of the ordinary one.")
    )
    multiplier_bp = serializers.IntegerField(help_text=_("The same in basis points: 10000 is 1."))
    reason = serializers.ChoiceField(
        choices=[reason.value for reason in PriceReason], source="price_reason"
    )
    reason_text = serializers.SerializerMethodField(help_text=_("The reason in words."))

    def get_multiplier(self, quote: SwapQuote) -> float:
        """1 is the ordinary price."""
        return quote.multiplier_bp / ORDINARY_BP

    def get_reason_text(self, quote: SwapQuote) -> str:
        """In the language of the caller."""
        return str(REASON_TEXTS[PriceReason(quote.price_reason)])


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
    price = QuotedPriceSerializer(source="quote")
    balance = serializers.SerializerMethodField()
    affordable = serializers.SerializerMethodField()
    eta_s = serializers.IntegerField(
        allow_null=True,
        help_text=_("Seconds that a job submitted now would take, as far as can be told."),
    )
    state = serializers.ChoiceField(choices=[state.value for state in QuoteState])
    job_id = serializers.UUIDField(
        allow_null=True, help_text=_("The job that this quote paid for, if any.")
    )
    created_at = serializers.DateTimeField(source="quote.created_at")
    price_locked_until = serializers.DateTimeField(
        source="quote.expires_at",
        help_text=_("A job submitted before this moment costs this price, whatever happens."),
    )
    expires_at = serializers.DateTimeField(
        source="quote.expires_at", help_text=_("The same moment: then the quote is worth nothing.")
    )

    def get_affordable(self, detail: QuoteDetail) -> bool:
        """Whether the wallet covers it at this moment."""
        return detail.balance.available >= detail.quote.tokens

    @extend_schema_field(QuoteBalanceSerializer)
    def get_balance(self, detail: QuoteDetail) -> dict[str, int]:
        """What the caller can afford."""
        available = detail.balance.available
        return {"available": available, "after": available - detail.quote.tokens}
