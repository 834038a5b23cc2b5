"""Throw away the staged rows of batches that ended long ago; their lines stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from tokens.management.money import MoneyCommand, Report
from tokens.services import housekeeping


class Command(MoneyCommand):
    """Safe to run at any time, twice, or on two hosts; the schedule runs it once a day."""

    help = "Purge the staged rows of recharge batches that ended long ago."
    dry_run_help = "purge nothing; count what is due"

    def report(self, options: Mapping[str, Any]) -> Report:
        """Delete, or only count, what nobody needs any more."""
        due = housekeeping.staged_rows_due()
        count = due
        if not options["dry_run"]:
            progress = self.progress(total=due.rows)
            count = housekeeping.purge_staged_rows(
                progress=lambda rows: progress.step(_("rows purged"), rows)
            )
        summary = {
            "dry_run": options["dry_run"],
            "keep_days": settings.RECHARGE_CHUNK_KEEP_DAYS,
            **asdict(count),
        }
        return Report(summary)
