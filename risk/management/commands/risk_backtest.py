"""Play a rule against what has happened."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from facefusion_site.common.errors import DomainError
from risk import selectors, services
from risk.services import BacktestReport


class Command(BaseCommand):
    """Changes nothing about accounts; a draft is noted as tested, so that it may be activated."""

    help = "Say what a rule would have decided, and how many of those accounts are honest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rule", help="short name of the rule")
        parser.add_argument(
            "--rule-version", type=int, help="the active one, else the newest, if not given"
        )
        parser.add_argument(
            "--from", dest="since", type=_moment, help="day or moment; as far back as history goes"
        )
        parser.add_argument("--to", dest="until", type=_moment, help="day or moment; now")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Test the rule, keep the report, print it."""
        until = options["until"] or timezone.now()
        history = dt.timedelta(days=settings.RISK_HISTORY_DAYS)
        try:
            rule = selectors.rule(name=options["rule"], version=options["rule_version"])
            report = services.keep_report(
                rule=rule,
                report=services.backtest(
                    rule=rule, since=options["since"] or until - history, until=until
                ),
            )
        except DomainError as error:
            raise CommandError(f"{error} {error.next_step}") from error
        if options["json"]:
            self.stdout.write(json.dumps(report.to_json(), indent=2))
        else:
            self._print(report)

    def _print(self, report: BacktestReport) -> None:
        wrong = "nobody was judged" if report.wrong_percent is None else f"{report.wrong_percent} %"
        lines = [
            f"{report.rule}, {report.since} to {report.until}",
            f"decisions          {report.decisions_count}",
            f"accounts           {report.accounts_count}",
            f"  found abusive    {report.abuse_count}",
            f"  found honest     {report.honest_count}",
            f"wrong, of judged   {wrong}",
        ]
        lines += [f"{day}         {count}" for day, count in report.by_day.items()]
        lines += [
            f"{hit.user_ref}: {hit.times} times, first {hit.first_at}, up to {hit.highest}"
            f" ({hit.verdict})"
            for hit in report.accounts
        ]
        self.stdout.write("\n".join(lines))


def _moment(text: str) -> dt.datetime:
    moment = parse_datetime(text)
    if moment is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(text)
        moment = dt.datetime.combine(day, dt.time())
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
