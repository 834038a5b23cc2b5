"""Media that is kept past its time."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from inference import retention_selectors


class Command(BaseCommand):
    """What the purge should have removed by now; for monitoring."""

    help = "Count media that is kept past its time; exits with 1 when there is any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, **options: Any) -> None:
        report = retention_selectors.overdue_media()
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(report), "total": report.total}))
        else:
            for name, count in asdict(report).items():
                self.stdout.write(f"{name:<14}{count:>8}")
        if report.total:
            sys.exit(1)
