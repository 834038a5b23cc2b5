"""Prices by the rate card of the settings."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from tokens import pricing
from tokens.types import Price, UsageLine


def price_usage(*, lines: Sequence[UsageLine]) -> Price:
    """Price work by the rate card of the settings.

    Raises:
        ValueError: there is no line, or a quantity is below 1.
    """
    rate_card = pricing.RateCard(
        image_tokens=settings.TOKENS_PRICE_IMAGE,
        video_second_tokens=settings.TOKENS_PRICE_VIDEO_SECOND,
    )
    return pricing.price(lines=lines, rate_card=rate_card)
