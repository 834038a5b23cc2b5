"""Rows of promotions."""

from promotions.models.campaigns import Campaign
from promotions.models.rewards import RewardRule

__all__ = ["Campaign", "RewardRule"]
