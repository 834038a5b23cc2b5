"""Grant subscriptions the tokens of the period they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.types import Plan
from tokens import plan_selectors, services
from tokens.management.grants import GrantCommand, RuleRun


class Command(GrantCommand):
    """Safe to run twice, on two hosts, late, or across midnight: once per account and period.

    The schedule does the same every hour.
    """

    help = "Grant every subscription the tokens of its period, unless it has had them."
    date_help = "grant the periods that this day lies in; today by default"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", choices=Plan.values, help="only this plan; all that have a rule by default"
        )

    def runs(self, options: Mapping[str, Any]) -> Sequence[RuleRun]:
        """One run for each plan that is granted by period."""
        now = timezone.now()
        day = services.checked_day(now, options["date"])
        plans = plan_selectors.cycle_plans(day=day)
        if options["plan"]:
            plans = [Plan(options["plan"])]
        return [
            RuleRun(
                name=f"plan_cycle:{plan}",
                preview=partial(services.preview_plan_cycle, **asked),
                run=partial(services.grant_plan_cycle, **asked),
            )
            for plan in plans
            for asked in [{"plan": plan, "now": now, "day": day, "limit": options["limit"]}]
        ]
