"""Add sealed blocks to the reports of the console, or make the reports anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tokens.management.money import MoneyCommand, Report
from tokens.services import reconciliation


class Command(MoneyCommand):
    """Safe to run at any time, twice, or on two hosts."""

    help = "Add what is sealed to the reports by day, account and expiry."
    dry_run_help = "add nothing; count the blocks that wait"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--rebuild", action="store_true", help="throw the reports away and make them anew"
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        if options["dry_run"]:
            waiting = {"waiting_blocks": reconciliation.count_unreported()}
            return Report(waiting, [_("%(waiting_blocks)d blocks wait.") % waiting])
        summary = {
            "blocks": reconciliation.add_up_reports(is_anew=options["rebuild"]),
            "is_rebuilt": options["rebuild"],
        }
        return Report(summary, [_("Added %(blocks)d blocks to the reports.") % summary])
