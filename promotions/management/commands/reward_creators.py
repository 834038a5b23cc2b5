"""Reward accounts for their output of windows that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from promotions import selectors, services
from tokens.management.grants import GrantCommand, RuleRun


class Command(GrantCommand):
    """Safe to run twice, on two hosts or late: once per account, rule and window.

    The schedule does the same every two hours. Windows that were missed are made up for, as far
    back as GRANT_CATCH_UP_DAYS.
    """

    help = "Grant what the rules of rewards give for windows that are over."
    date_help = "the windows that this day lies in; all that are over and not too old by default"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--rule", metavar="NAME", help="only this one, by its short name")

    def runs(self, options: Mapping[str, Any]) -> Sequence[RuleRun]:
        """Each rule, for each of its windows that is over."""
        now = timezone.now()
        day = options["date"]
        name = options["rule"]
        rules = (
            [selectors.reward_rule(name=name)]
            if name
            else selectors.active_rules(since=day or now.date())
        )
        return [
            RuleRun(
                name=f"reward:{rule.name} {window.first}",
                preview=partial(services.preview_reward, **asked),
                run=partial(services.reward_creators, **asked),
            )
            for rule in rules
            for window in services.due_windows(rule=rule, now=now, day=day)
            for asked in [{"rule": rule, "window": window, "now": now, "limit": options["limit"]}]
        ]
