"""Read queries of promotions."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from promotions.errors import CampaignCodeUnknownError, PromotionNotFoundError
from promotions.models import Campaign, RewardRule
from promotions.types import State


def campaign(*, name: str) -> Campaign:
    """The campaign of this short name.

    Raises:
        PromotionNotFoundError: there is none.
    """
    row = Campaign.objects.filter(name=name).first()
    if row is None:
        raise PromotionNotFoundError(_("No campaign has this short name."), param="name")
    return row


def campaign_by_code(*, code: str, now: dt.datetime) -> Campaign:
    """The campaign with this code, whether it is over or not.

    Raises:
        CampaignCodeUnknownError: there is none, or it has not begun.
    """
    begun = Campaign.objects.filter(starts_at__lte=now).exclude(state=State.DRAFT)
    row = begun.filter(code=code.strip().upper()).first()
    if row is None:
        raise CampaignCodeUnknownError(_("No campaign that has begun has this code."), param="code")
    return row


def running_campaigns(*, now: dt.datetime) -> list[Campaign]:
    """Active campaigns for a whole segment that have begun and not ended, the oldest first."""
    rows = Campaign.objects.filter(
        state=State.ACTIVE, code=None, starts_at__lte=now, ends_at__gt=now
    )
    return list(rows.order_by("pk"))


def reward_rule(*, name: str) -> RewardRule:
    """The rule of this short name.

    Raises:
        PromotionNotFoundError: there is none.
    """
    row = RewardRule.objects.filter(name=name).first()
    if row is None:
        raise PromotionNotFoundError(_("No reward rule has this short name."), param="name")
    return row


def active_rules(*, since: dt.date) -> list[RewardRule]:
    """Active rules that have not ended before a day, the oldest first."""
    rows = RewardRule.objects.filter(state=State.ACTIVE)
    return list(rows.filter(Q(ends_on=None) | Q(ends_on__gte=since)).order_by("pk"))
