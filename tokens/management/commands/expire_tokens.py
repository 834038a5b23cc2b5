"""Move what is left of overdue lots to breakage, now instead of within minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from tokens import services
from tokens.management.money import MoneyCommand, Report, positive
from tokens.management.money import table as table_of


class Command(MoneyCommand):
    """Safe to run at any time, twice, or on two hosts: a lot expires once.

    Lots of wallets that others work on at that moment are left, and reported as such; the schedule
    takes them within minutes.
    """

    help = "Expire the tokens of lots whose end has passed."
    dry_run_help = "expire nothing; count what is overdue"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--limit",
            type=positive,
            metavar="LOTS",
            help="end after about so many lots; all overdue lots of a wallet go together",
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        """Expire, or only count, what is overdue."""
        now = timezone.now()
        overdue = services.overdue_lots(now=now)
        count = overdue
        left_lots = overdue.lots
        if not options["dry_run"]:
            limit = options["limit"]
            total = overdue.lots if limit is None else min(limit, overdue.lots)
            progress = self.progress(total=total)
            count = services.expire_lots(
                now=now,
                lots_max=limit,
                progress=lambda lots: progress.step(_("lots expired"), lots),
            )
            left_lots = services.overdue_lots(now=now).lots
        summary = {
            "dry_run": options["dry_run"],
            "lots": count.lots,
            "tokens": count.tokens,
            "left_lots": left_lots,
            "by_category": {
                category.lower(): {"lots": lots, "tokens": tokens}
                for category, (lots, tokens) in count.by_category.items()
            },
        }
        return Report(summary, self._lines(summary))

    def _lines(self, summary: dict[str, Any]) -> list[str]:
        text = (
            _("%(lots)s lots with %(tokens)s tokens are overdue.")
            if summary["dry_run"]
            else _("%(lots)s lots with %(tokens)s tokens have expired.")
        )
        lines = [text % {name: f"{summary[name]:,}" for name in ("lots", "tokens")}]
        lines += table_of(
            {
                category: _("%(lots)s lots, %(tokens)s tokens")
                % {"lots": f"{part['lots']:,}", "tokens": f"{part['tokens']:,}"}
                for category, part in summary["by_category"].items()
            },
            indent="  ",
        )
        if summary["left_lots"] and not summary["dry_run"]:
            lines.append(
                _("%(lots)s overdue lots are left for another run.")
                % {"lots": f"{summary['left_lots']:,}"}
            )
        return lines
