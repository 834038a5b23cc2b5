"""Prices: pure integer arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokens.types import Operation, Price, PriceLine, UsageLine

MILLISECONDS_PER_SECOND = 1_000


@dataclass(frozen=True, slots=True)
class RateCard:
    """Whole tokens per image, and per started second of video."""

    image_tokens: int
    video_second_tokens: int


def price(*, lines: Sequence[UsageLine], rate_card: RateCard) -> Price:
    """Price work; a started second of video counts as a whole one.

    Raises:
        ValueError: there is no line, or a quantity is below 1.
    """
    if not lines or any(line.quantity < 1 for line in lines):
        raise ValueError("A price needs at least one line, each with a quantity of 1 or more.")
    priced = tuple(_price_line(line, rate_card) for line in lines)
    return Price(tokens=sum(line.tokens for line in priced), lines=priced)


def _price_line(line: UsageLine, rate_card: RateCard) -> PriceLine:
    if line.operation is Operation.VIDEO_SWAP:
        units = -(-line.quantity // MILLISECONDS_PER_SECOND)
        unit_price = rate_card.video_second_tokens
    else:
        units = line.quantity
        unit_price = rate_card.image_tokens
    return PriceLine(
        operation=line.operation,
        quantity=line.quantity,
        units=units,
        unit_price=unit_price,
        tokens=units * unit_price,
    )
