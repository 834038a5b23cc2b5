"""Grant the segments of campaigns their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from promotions import selectors, services
from tokens.management.grants import GrantCommand, RuleRun
from tokens.management.money import UsageError


class Command(GrantCommand):
    """Safe to run twice, on two hosts or late: once per person, and never beyond the budget.

    The schedule does the same every ten minutes.
    """

    help = "Grant every segment of a running campaign its tokens, each person once."
    date_help = "only today: a campaign grants while it runs"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--campaign", metavar="NAME", help="only this one, by its short name")

    def runs(self, options: Mapping[str, Any]) -> Sequence[RuleRun]:
        """Each campaign that runs and has budget left; the one that was named in any case."""
        now = timezone.now()
        if options["date"] not in (None, now.date()):
            raise UsageError("--date: a campaign is not granted for another day")
        name = options["campaign"]
        campaigns = (
            [selectors.campaign(name=name)] if name else selectors.running_campaigns(now=now)
        )
        return [
            RuleRun(
                name=f"campaign:{campaign.name}",
                preview=partial(services.preview_campaign, **asked),
                run=partial(services.run_campaign, **asked),
            )
            for campaign in campaigns
            if name or campaign.granted + campaign.tokens <= campaign.budget
            for asked in [{"campaign": campaign, "now": now, "limit": options["limit"]}]
        ]
