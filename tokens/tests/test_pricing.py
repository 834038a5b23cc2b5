from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens import price_selectors, services
from tokens.checks import check_prices
from tokens.price_types import ORDINARY_BP, PriceCard, Tariff
from tokens.pricing import price
from tokens.tests.factories import make_user
from tokens.types import Operation, UsageLine


def tariff(video_second: int = 10, *, multiplier_bp: int = ORDINARY_BP, plan: str = "free"):
    prices = {
        "image_swap": {"default": 1, "vip": 3},
        "video_swap": {"default": video_second},
    }
    return Tariff(PriceCard(version=1, prices=prices), plan, multiplier_bp)


def one(operation: Operation, quantity: int, **paid: Any) -> int:
    return price(lines=[UsageLine(operation, quantity)], tariff=tariff(**paid)).tokens


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
    tokens = one(Operation.VIDEO_SWAP, milliseconds, video_second=rate)
    assert tokens % rate == 0
    assert (tokens // rate - 1) * 1_000 < milliseconds <= tokens // rate * 1_000


@given(st.integers(1, 10**7), st.integers(1_000, 100_000))
def test_the_multiplier_rounds_up_to_whole_tokens_and_never_further(milliseconds, multiplier_bp):
    ordinary = one(Operation.VIDEO_SWAP, milliseconds)
    tokens = one(Operation.VIDEO_SWAP, milliseconds, multiplier_bp=multiplier_bp)
    assert (tokens - 1) * ORDINARY_BP < ordinary * multiplier_bp <= tokens * ORDINARY_BP


def test_a_plan_has_its_own_price_or_the_one_of_all():
    assert one(Operation.IMAGE_SWAP, 2, plan="vip") == 6
    assert one(Operation.VIDEO_SWAP, 1_000, plan="vip") == 10


def test_the_total_is_the_sum_of_the_lines():
    result = price(
        lines=[UsageLine(Operation.IMAGE_SWAP, 3), UsageLine(Operation.VIDEO_SWAP, 1_500)],
        tariff=tariff(multiplier_bp=12_500),
    )
    assert [line.tokens for line in result.lines] == [4, 25]
    assert [line.units for line in result.lines] == [3, 2]
    assert {line.multiplier_bp for line in result.lines} == {12_500}
    assert result.tokens == 29


@pytest.mark.parametrize("lines", [[], [UsageLine(Operation.IMAGE_SWAP, 0)]])
def test_nothing_has_no_price(lines):
    with pytest.raises(ValueError, match="at least one line"):
        price(lines=lines, tariff=tariff())


@pytest.mark.django_db
def test_prices_come_from_the_settings_until_a_card_is_published(settings):
    settings.TOKENS_PRICE_IMAGE = 7
    paid = price_selectors.tariff_of(owner_id=make_user().pk)
    lines = [UsageLine(Operation.IMAGE_SWAP, 2)]
    assert services.price_usage(lines=lines, tariff=paid).tokens == 14
    assert (paid.card.version, paid.multiplier_bp) == (0, ORDINARY_BP)


def test_a_price_of_zero_is_a_configuration_error(settings):
    assert check_prices() == []
    settings.TOKENS_PRICE_IMAGE = 0
    assert [error.id for error in check_prices()] == ["tokens.E001"]
