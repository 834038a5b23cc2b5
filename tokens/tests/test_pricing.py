from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens import services
from tokens.checks import check_prices
from tokens.pricing import RateCard, price
from tokens.types import Operation, UsageLine

CARD = RateCard(image_tokens=1, video_second_tokens=10)


def one(operation: Operation, quantity: int, card: RateCard = CARD) -> int:
    return price(lines=[UsageLine(operation, quantity)], rate_card=card).tokens


def test_an_image_costs_one_token_and_five_cost_five():
    assert one(Operation.IMAGE_SWAP, 1) == 1
    assert one(Operation.IMAGE_SWAP, 5) == 5


@pytest.mark.parametrize(
    ("milliseconds", "tokens"), [(1, 10), (1_000, 10), (1_001, 20), (60_000, 600)]
)
def test_video_costs_ten_tokens_per_started_second(milliseconds, tokens):
    assert one(Operation.VIDEO_SWAP, milliseconds) == tokens


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_a_started_second_is_never_more_than_one_second_away(milliseconds, rate):
    tokens = one(Operation.VIDEO_SWAP, milliseconds, RateCard(1, rate))
    assert tokens % rate == 0
    assert (tokens // rate - 1) * 1_000 < milliseconds <= tokens // rate * 1_000


def test_the_total_is_the_sum_of_the_lines():
    result = price(
        lines=[UsageLine(Operation.IMAGE_SWAP, 3), UsageLine(Operation.VIDEO_SWAP, 1_500)],
        rate_card=CARD,
    )
    assert [line.tokens for line in result.lines] == [3, 20]
    assert [line.units for line in result.lines] == [3, 2]
    assert result.tokens == 23


@pytest.mark.parametrize("lines", [[], [UsageLine(Operation.IMAGE_SWAP, 0)]])
def test_nothing_has_no_price(lines):
    with pytest.raises(ValueError, match="at least one line"):
        price(lines=lines, rate_card=CARD)


def test_prices_come_from_the_settings(settings):
    settings.TOKENS_PRICE_IMAGE = 7
    assert services.price_usage(lines=[UsageLine(Operation.IMAGE_SWAP, 2)]).tokens == 14


def test_a_price_of_zero_is_a_configuration_error(settings):
    assert check_prices() == []
    settings.TOKENS_PRICE_IMAGE = 0
    assert [error.id for error in check_prices()] == ["tokens.E001"]
