"""Prices: pure integer arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from tokens.price_types import ORDINARY_BP, Tariff
from tokens.types import Operation, Price, PriceLine, UsageLine

MILLISECONDS_PER_SECOND = 1_000


def price(*, lines: Sequence[UsageLine], tariff: Tariff) -> Price:
    """Price work; a started second of video counts as a whole one, a started token too.

    Raises:
        ValueError: there is no line, or a quantity is below 1.
    """
    if not lines or any(line.quantity < 1 for line in lines):
        raise ValueError("A price needs at least one line, each with a quantity of 1 or more.")
    priced = tuple(_price_line(line, tariff) for line in lines)
    return Price(tokens=sum(line.tokens for line in priced), lines=priced)


def _price_line(line: UsageLine, tariff: Tariff) -> PriceLine:
    units = line.quantity
    if line.operation is Operation.VIDEO_SWAP:
        units = -(-line.quantity // MILLISECONDS_PER_SECOND)
    unit_price = tariff.unit_tokens(line.operation)
    return PriceLine(
        operation=line.operation,
        quantity=line.quantity,
        units=units,
        unit_price=unit_price,
        multiplier_bp=tariff.multiplier_bp,
        tokens=-(-units * unit_price * tariff.multiplier_bp // ORDINARY_BP),
    )
