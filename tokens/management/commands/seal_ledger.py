"""Seal the journal and the audit events, and state the head of the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tokens.management.money import MoneyCommand, Report
from tokens.services import proof as proofs


class Command(MoneyCommand):
    """Safe to run at any time, twice, or on two hosts."""

    help = "Append what is complete to the hash chain."
    dry_run_help = "seal nothing; count what waits for a seal"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--statements",
            type=Path,
            metavar="FOLDER",
            help="write the signed statement of the day into this folder",
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        """Seal what is due and say up to where."""
        if options["dry_run"]:
            waiting = {"unsealed_transfers": proofs.count_unsealed()}
            text = _("%(unsealed_transfers)d transfers wait for a seal.")
            return Report(waiting, [text % waiting])
        progress = self.progress()
        count = proofs.seal_ledger(
            progress=lambda part: progress.step(_("transfers sealed"), part.transfers)
        )
        summary: dict[str, Any] = asdict(count)
        text = _("Sealed %(transfers)d transfers, %(events)d audit events: %(blocks)d blocks.")
        lines = [text % summary]
        if options["statements"]:
            path = proofs.write_statement(folder=options["statements"])
            summary["statement"] = None if path is None else str(path)
        return Report(summary, lines)
