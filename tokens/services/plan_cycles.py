"""Tokens that plans give for each period of a subscription."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.types import Plan
from tokens import plan_selectors
from tokens.errors import GrantAmountError
from tokens.grants import GrantOrder, GrantRun, GrantRunPreview
from tokens.ledger import plan_cycles
from tokens.plans import Cadence
from tokens.services.grants import checked_day, preview_grant, run_grant
from tokens.types import Category


def grant_plan_cycle(
    *,
    plan: Plan,
    now: dt.datetime | None = None,
    day: dt.date | None = None,
    limit: int | None = None,
) -> GrantRun:
    """Grant each subscription of a plan the tokens of the period it is in, once; see ``run_grant``.

    Periods are counted from the first day of each subscription, and one account's never overlap:
    moving that day gives nothing twice. A run that was missed is made up for by any later one
    within the period.

    Args:
        plan: whose subscriptions.
        now: the moment of the run; the current one by default.
        day: grant the periods that this day lies in, in GRANT_TIME_ZONE; today by default. Periods
            that are over are left out where their tokens would be over with them.
        limit: at most this many accounts, never more than a batch may have.

    Raises:
        GrantDayError: the day lies in the future or too far back.
        GrantAmountError: the plan gives no such tokens on the day, or the limit is below 1.
        GrantTotalError: the grants of the day would exceed the most of a day; nothing was granted.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
    """
    return run_grant(order=_order(plan, now or timezone.now(), day=day, limit=limit))


def preview_plan_cycle(
    *,
    plan: Plan,
    now: dt.datetime | None = None,
    day: dt.date | None = None,
    limit: int | None = None,
) -> GrantRunPreview:
    """Say what ``grant_plan_cycle`` would do, without any effect; raises what it raises."""
    return preview_grant(order=_order(plan, now or timezone.now(), day=day, limit=limit))


def _order(
    plan: Plan, moment: dt.datetime, *, day: dt.date | None, limit: int | None
) -> GrantOrder:
    chosen = checked_day(moment, day)
    allowance = plan_selectors.allowance(plan=plan, cadence=Cadence.CYCLE, day=chosen)
    if allowance.tokens < 1:
        raise GrantAmountError(
            _("On %(day)s the plan gives no tokens for a period.") % {"day": chosen}, param="plan"
        )
    rule = f"plan_cycle:{plan}"
    return GrantOrder(
        rule=rule,
        period=chosen.isoformat(),
        due=plan_cycles.due(
            rule=rule,
            plan=plan,
            allowance=allowance,
            day=chosen,
            now=moment,
            zone=settings.GRANT_TIME_ZONE,
        ),
        reason=f"{rule}: {chosen.isoformat()}",
        operator="grant_plan_cycle",
        category=Category.PLAN,
        months_apart=allowance.cycle_months,
        total_max=allowance.total_max,
        limit=limit,
        # Whatever the day: two runs must not look at one subscription at once.
        lock=f"grant:{rule}",
    )
