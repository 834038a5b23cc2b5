"""Rewards for output: each account once per rule and window."""

from __future__ import annotations

import datetime as dt
import json
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.types import Segment
from inference import selectors as inference_selectors
from inference.types import OutputMetric
from promotions.errors import PromotionStateError
from promotions.expiry import expires_at
from promotions.models import RewardRule
from promotions.types import State, Window, WindowKind, ended_windows, window_of
from tokens import services as tokens_services
from tokens.grants import DueAccounts, GrantOrder, GrantRun, GrantRunPreview, named
from tokens.plans import midnight
from tokens.types import Category

_USERS: Final = "{users}"
_OUTPUT: Final = "{output}"
# The highest tier that the output reaches decides; less than one full unit of it gives nothing.
_DUE_SQL: Final = f"""
SELECT u.id, u.user_ref, %(period)s::date AS period,
       least(%(cap)s::bigint, reward.tokens) AS amount, %(ends_at)s::timestamptz AS expires_at
  FROM ({_USERS}) u
  JOIN ({_OUTPUT}) o ON o.owner_id = u.id
 CROSS JOIN LATERAL (
       SELECT trunc(o.output)::bigint / t.per * t.tokens AS tokens
         FROM jsonb_to_recordset(%(tiers)s::jsonb) AS t("from" bigint, per bigint, tokens bigint)
        WHERE t."from" <= o.output
        ORDER BY t."from" DESC LIMIT 1
 ) reward
 WHERE reward.tokens > 0
"""  # noqa: S608  # made of constants of this module


def due_windows(
    *, rule: RewardRule, now: dt.datetime | None = None, day: dt.date | None = None
) -> list[Window]:
    """The windows of a rule to be rewarded now, oldest first.

    Without ``day`` those that are over, as far back as GRANT_CATCH_UP_DAYS, so that missed runs
    are made up for; with it the one window that the day lies in, if it is over.

    Raises:
        GrantDayError: the day lies in the future or too far back.
    """
    moment = now or timezone.now()
    today = moment.astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
    kind = WindowKind(rule.window)
    if day is None:
        windows = ended_windows(kind, today=today, back_days=settings.GRANT_CATCH_UP_DAYS)
    else:
        window = window_of(kind, tokens_services.checked_day(moment, day))
        windows = [window] if window.next_first <= today else []
    return [
        window
        for window in windows
        if window.first >= rule.starts_on and (rule.ends_on is None or window.first <= rule.ends_on)
    ]


def reward_creators(
    *,
    rule: RewardRule,
    window: Window,
    now: dt.datetime | None = None,
    limit: int | None = None,
) -> GrantRun:
    """Grant accounts what a rule gives for their output of a window that is over, each once.

    Owns its transactions, so it must be the outermost one. The batch is that of who drafted the
    rule, and approval policies may hold it up. Safe to call twice, late, or on several hosts.

    Raises:
        PromotionStateError: the rule is not active, or the window not over.
        GrantTotalError: the window would give more than the rule takes for plausible.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
    """
    moment = now or timezone.now()
    if rule.state != State.ACTIVE:
        raise PromotionStateError(_("The rule is not active."))
    return tokens_services.run_grant(order=_order(rule, window, moment, limit=limit))


def preview_reward(
    *,
    rule: RewardRule,
    window: Window,
    now: dt.datetime | None = None,
    limit: int | None = None,
) -> GrantRunPreview:
    """Say what ``reward_creators`` would do, also of a draft, without any effect."""
    order = _order(rule, window, now or timezone.now(), limit=limit)
    return tokens_services.preview_grant(order=order)


def _order(
    rule: RewardRule, window: Window, moment: dt.datetime, *, limit: int | None
) -> GrantOrder:
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    before = midnight(window.next_first, zone)
    if moment < before:
        raise PromotionStateError(_("The window is not over yet."))
    ends_at = expires_at(moment, rule.valid_days)
    name = f"reward:{rule.name}"
    return GrantOrder(
        rule=name,
        period=window.first.isoformat(),
        due=_due(rule, window, since=midnight(window.first, zone), before=before, ends_at=ends_at),
        reason=f"{name}: {window.first.isoformat()}",
        operator="reward_creators",
        category=Category.REWARD,
        expires_at=ends_at,
        total_max=rule.total_max,
        limit=limit,
        actor_id=rule.created_by_id,
        needs_approval=True,
    )


def _due(
    rule: RewardRule,
    window: Window,
    *,
    since: dt.datetime,
    before: dt.datetime,
    ends_at: dt.datetime | None,
) -> DueAccounts:
    users_sql, users = named(*accounts_selectors.segment_sql(segment=Segment()))
    output_sql, output = named(
        *inference_selectors.output_sql(
            metric=OutputMetric(rule.metric), since=since, before=before
        ),
        prefix="o",
    )
    return DueAccounts(
        _DUE_SQL.replace(_USERS, users_sql).replace(_OUTPUT, output_sql),
        {
            **users,
            **output,
            "period": window.first,
            "cap": rule.cap,
            "ends_at": ends_at,
            "tiers": json.dumps(rule.tiers),
        },
    )
