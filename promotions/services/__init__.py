"""What interfaces may ask of promotions: the writes."""

from promotions.services.campaigns import Redemption, preview_campaign, redeem, run_campaign
from promotions.services.drafts import activate, draft_campaign, draft_reward_rule, end
from promotions.services.rewards import (
    due_windows,
    preview_reward,
    reward_creators,
)

__all__ = [
    "Redemption",
    "activate",
    "draft_campaign",
    "draft_reward_rule",
    "due_windows",
    "end",
    "preview_campaign",
    "preview_reward",
    "redeem",
    "reward_creators",
    "run_campaign",
]
