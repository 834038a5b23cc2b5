"""Campaigns: grant a segment its tokens, or a person the tokens of a code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.types import Segment
from promotions import selectors
from promotions.errors import (
    CampaignBudgetError,
    CampaignNotForYouError,
    CampaignOverError,
    CampaignRedeemedError,
    PromotionStateError,
)
from promotions.expiry import expires_at
from promotions.models import Campaign
from promotions.types import State
from tokens import services as tokens_services
from tokens import wallet_selectors
from tokens.grants import GrantOrder, GrantRun, GrantRunPreview, same_for_all
from tokens.types import Category

_ATTEMPTS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a code has brought."""

    campaign: str
    title: str
    tokens: int
    expires_at: dt.datetime | None


def run_campaign(
    *, campaign: Campaign, now: dt.datetime | None = None, limit: int | None = None
) -> GrantRun:
    """Grant everybody of a campaign's segment its tokens, each person once, within the budget.

    Owns its transactions, so it must be the outermost one. The batch is that of who drafted the
    campaign, and approval policies may hold it up. The oldest accounts come first; where the
    budget ends before the segment, the rest gets nothing. Safe to call twice or on several hosts.

    Raises:
        PromotionStateError: it is not active, has not begun, or goes by a code.
        CampaignOverError: it has ended.
        CampaignBudgetError: nothing is left of its budget.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
    """
    moment = now or timezone.now()
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        order = _segment_order(campaign, moment, limit=limit)
        try:
            return tokens_services.run_grant(order=order)
        except CampaignBudgetError:
            # Another run was faster; what it has left is less than this one was told.
            if attempt == _ATTEMPTS_MAX:
                raise
            campaign.refresh_from_db()
    raise AssertionError("the last attempt returns or raises")


def preview_campaign(
    *, campaign: Campaign, now: dt.datetime | None = None, limit: int | None = None
) -> GrantRunPreview:
    """Say what ``run_campaign`` would do at this moment, also of a draft, without any effect."""
    order = _segment_order(campaign, now or timezone.now(), limit=limit, is_preview=True)
    return tokens_services.preview_grant(order=order)


def redeem(*, code: str, user_id: int, now: dt.datetime | None = None) -> Redemption:
    """Credit a person the tokens of a code, once. Owns its transactions.

    Needs no approval: that another person activated the campaign is its approval.

    Raises:
        CampaignCodeUnknownError: no campaign that has begun has this code.
        CampaignOverError: it has ended.
        CampaignNotForYouError: the account is not in its segment.
        CampaignRedeemedError: the person has had its tokens.
        CampaignBudgetError: its budget is spent.
        WalletFrozenError, WalletClosedError, BalanceMaxExceededError: the wallet takes no tokens;
            the code was not used up.
        RechargeBusyError: the wallet could not be locked in time; nothing was credited.
    """
    moment = now or timezone.now()
    campaign = selectors.campaign_by_code(code=code, now=moment)
    _require_running(campaign, moment)
    segment = _segment(campaign, user_id=user_id)
    if not accounts_selectors.is_in_segment(segment=segment):
        raise CampaignNotForYouError(_("This campaign is for other accounts."))
    wallet_selectors.require_room(user_id=user_id, tokens=campaign.tokens)
    ends_at = expires_at(moment, campaign.valid_days)
    run = tokens_services.run_grant(
        order=_order(campaign, segment, ends_at, before=lambda: _lock_running(campaign, moment))
    )
    if run.receipt is None:
        raise CampaignRedeemedError(_("You have had the tokens of this campaign."))
    return Redemption(campaign.name, campaign.title, run.receipt.tokens_total, ends_at)


def _segment_order(
    campaign: Campaign, moment: dt.datetime, *, limit: int | None, is_preview: bool = False
) -> GrantOrder:
    if campaign.code is not None:
        raise PromotionStateError(_("People come for the tokens of this campaign by its code."))
    if not is_preview:
        _require_running(campaign, moment)
    affordable = (campaign.budget - campaign.granted) // campaign.tokens
    if affordable < 1:
        raise CampaignBudgetError(_("Nothing is left of the budget."))
    return _order(
        campaign,
        _segment(campaign),
        expires_at(moment, campaign.valid_days),
        before=lambda: _lock_running(campaign, moment),
        limit=affordable if limit is None else min(limit, affordable),
        needs_approval=True,
    )


def _order(
    campaign: Campaign,
    segment: Segment,
    ends_at: dt.datetime | None,
    *,
    before: Callable[[], None],
    limit: int | None = None,
    needs_approval: bool = False,
) -> GrantOrder:
    rule = f"campaign:{campaign.name}"
    # One per person: the whole campaign is one period.
    period = campaign.starts_at.astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
    return GrantOrder(
        rule=rule,
        period="once",
        due=same_for_all(
            accounts_selectors.segment_sql(segment=segment),
            period=period,
            amount=campaign.tokens,
            expires_at=ends_at,
        ),
        reason=f"{rule}: {campaign.title}"[:255],
        operator="run_campaign" if needs_approval else "redemption",
        category=Category.PROMO,
        expires_at=ends_at,
        limit=limit,
        actor_id=campaign.created_by_id if needs_approval else None,
        needs_approval=needs_approval,
        before=before,
        spend=lambda tokens: _spend(campaign, tokens),
    )


def _segment(campaign: Campaign, *, user_id: int | None = None) -> Segment:
    return Segment(
        plan=campaign.plan or None,
        user_ref_prefix=campaign.user_ref_prefix or None,
        joined_after=campaign.joined_after,
        joined_before=campaign.joined_before,
        user_id=user_id,
    )


def _require_running(campaign: Campaign, moment: dt.datetime) -> None:
    if campaign.state == State.ENDED or campaign.ends_at <= moment:
        raise CampaignOverError(_("The campaign is over."))
    if campaign.state != State.ACTIVE or campaign.starts_at > moment:
        raise PromotionStateError(_("The campaign is not active, or has not begun."))


def _lock_running(campaign: Campaign, moment: dt.datetime) -> None:
    """Under the campaign's row: who ends it waits, and what was ended meanwhile grants nothing."""
    row = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    _require_running(row, moment)


def _spend(campaign: Campaign, tokens: int) -> None:
    """Take tokens from the budget, in the transaction that promises them."""
    affordable = Campaign.objects.filter(pk=campaign.pk, granted__lte=F("budget") - tokens)
    if not affordable.update(granted=F("granted") + tokens):
        raise CampaignBudgetError(_("The budget does not cover that many tokens."))
