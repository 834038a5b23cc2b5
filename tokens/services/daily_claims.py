"""Tokens that accounts claim for themselves, once in each of their days."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from accounts.types import PlanStanding, Segment
from tokens import plan_selectors, wallet_selectors
from tokens.grant_errors import DailyClaimTakenError, DailyClaimUnavailableError
from tokens.grants import DailyClaim, GrantOrder, same_for_all
from tokens.ledger import grants
from tokens.plans import Cadence, LocalDay, local_day, next_claimable
from tokens.services.grants import run_grant
from tokens.types import Category

RULE = "daily_claim"


def daily_claim(*, user_id: int, now: dt.datetime | None = None) -> DailyClaim:
    """Where an account stands with its daily tokens; changes nothing.

    Raises:
        UserNotFoundError: there is no such user, or it is switched off.
    """
    moment = now or timezone.now()
    standing = accounts_selectors.plan_standing(user_id=user_id)
    tokens = _tokens(standing, moment)
    if not tokens:
        return DailyClaim(tokens=0, time_zone=standing.time_zone)
    today = local_day(moment, ZoneInfo(standing.time_zone))
    day = _claimable(user_id, standing, today)
    return DailyClaim(
        tokens=tokens,
        time_zone=standing.time_zone,
        is_available=day == today,
        available_at=day.starts_at,
        expires_at=day.ends_at,
    )


def claim_daily(
    *, user_id: int, time_zone: str | None = None, now: dt.datetime | None = None
) -> DailyClaim:
    """Credit an account the tokens of its day; they end at its midnight. Owns its transactions.

    A day is one of the account's time zone, and no moment lies in two days that were claimed: who
    moves to another time zone waits for a day there that begins after the claimed one has ended.

    Args:
        user_id: primary key of an active account.
        time_zone: where its days begin from now on; None keeps what is set.
        now: the moment of the claim; the current one by default.

    Returns:
        Where the account stands afterwards; ``claimed`` says what was credited.

    Raises:
        UserNotFoundError: there is no such user, or it is switched off.
        TimeZoneUnknownError: no time zone has this name.
        DailyClaimUnavailableError: the plan has no such tokens, or the account is a sandbox.
        DailyClaimTakenError: the day was claimed before.
        WalletFrozenError, WalletClosedError, BalanceMaxExceededError: the wallet takes no tokens;
            the day was not used up.
        RechargeBusyError: the wallet could not be locked in time; nothing was credited.
    """
    moment = now or timezone.now()
    if time_zone is not None:
        accounts_services.set_time_zone(user_id=user_id, time_zone=time_zone)
    standing = accounts_selectors.plan_standing(user_id=user_id)
    tokens = _tokens(standing, moment)
    if not tokens:
        raise DailyClaimUnavailableError(_("Your plan has no tokens to claim."))
    wallet_selectors.require_room(user_id=user_id, tokens=tokens)
    today = local_day(moment, ZoneInfo(standing.time_zone))
    users = accounts_selectors.segment_sql(segment=Segment(user_id=user_id))
    run = run_grant(
        order=GrantOrder(
            rule=RULE,
            period=today.date.isoformat(),
            due=same_for_all(users, period=today.date, amount=tokens, expires_at=today.ends_at),
            reason=f"{RULE}: {today.date.isoformat()}",
            operator="daily-claim",
            category=Category.PLAN,
            expires_at=today.ends_at,
            lock=f"grant:{RULE}:{user_id}",
            before=lambda: _require_claimable(user_id, standing, today),
        )
    )
    if run.receipt is None:
        raise _taken(today)
    after = _claimable(user_id, standing, today)
    return DailyClaim(
        tokens=tokens,
        time_zone=standing.time_zone,
        is_available=False,
        available_at=after.starts_at,
        expires_at=today.ends_at,
        claimed=run.receipt.tokens_total,
    )


def _tokens(standing: PlanStanding, moment: dt.datetime) -> int:
    """What a claim gives. The rule of a plan changes with the day of grants, for all at once."""
    if standing.is_sandbox:
        return 0
    day = moment.astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
    return plan_selectors.allowance(plan=standing.plan, cadence=Cadence.CLAIM, day=day).tokens


def _claimable(user_id: int, standing: PlanStanding, today: LocalDay) -> LocalDay:
    return next_claimable(
        day=today,
        zone=ZoneInfo(standing.time_zone),
        claims=grants.claims_near(rule=RULE, owner_id=user_id, day=today.date),
    )


def _require_claimable(user_id: int, standing: PlanStanding, today: LocalDay) -> None:
    """Under the lock: of claims at once, the second sees the first."""
    day = _claimable(user_id, standing, today)
    if day != today:
        raise _taken(day)


def _taken(day: LocalDay) -> DailyClaimTakenError:
    return DailyClaimTakenError(
        _("The tokens of this day were claimed before."), available_at=day.starts_at.isoformat()
    )
