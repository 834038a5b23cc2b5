"""What the plans give, on any day."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from accounts.types import Plan
from tokens.models import PlanRule
from tokens.plans import Allowance, Cadence, Rollover


def allowance(*, plan: Plan, cadence: Cadence, day: dt.date) -> Allowance:
    """What accounts of a plan get on a day; of 0 tokens where that is nothing.

    While no row has begun, the settings say what free and VIP accounts get.
    """
    rows = PlanRule.objects.filter(plan=plan, cadence=cadence, effective_from__lte=day)
    row = rows.order_by("-effective_from", "-pk").first()
    if row is None:
        return _default(plan, cadence)
    return Allowance(
        tokens=row.tokens,
        total_max=row.total_max,
        valid_days=row.valid_days,
        cycle_months=row.cycle_months,
        rollover=Rollover(row.rollover),
        rollover_max=row.rollover_max,
    )


def cycle_plans(*, day: dt.date) -> list[Plan]:
    """The plans that give tokens for each period of a subscription."""
    return [plan for plan in Plan if allowance(plan=plan, cadence=Cadence.CYCLE, day=day).tokens]


def _default(plan: Plan, cadence: Cadence) -> Allowance:
    tokens = 0
    if (plan, cadence) == (Plan.VIP, Cadence.DAILY):
        tokens = settings.VIP_GRANT_TOKENS
    elif (plan, cadence) == (Plan.FREE, Cadence.CLAIM):
        tokens = settings.FREE_CLAIM_TOKENS
    return Allowance(
        tokens=tokens,
        total_max=settings.VIP_GRANT_TOTAL_MAX,
        valid_days=settings.VIP_GRANT_VALID_DAYS,
    )
