"""Seal the journal and the audit events, and state the head of the chain."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from facefusion_site.common.progress import Progress
from tokens.services import proof as proofs


class Command(BaseCommand):
    """Safe to run at any time, twice, or on two hosts."""

    help = "Append what is complete to the hash chain."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--dry-run", action="store_true", help="seal nothing; count what waits for a seal"
        )
        parser.add_argument(
            "--statements",
            type=Path,
            metavar="FOLDER",
            help="write the signed statement of the day into this folder",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["dry_run"]:
            report: dict[str, Any] = {"unsealed_transfers": proofs.count_unsealed()}
            text = _("%(unsealed_transfers)d transfers wait for a seal.") % report
        else:
            progress = Progress(self.stderr)
            count = proofs.seal_ledger(
                progress=lambda part: progress.step(_("transfers sealed"), part.transfers)
            )
            progress.finish()
            report = asdict(count)
            text = (
                _("Sealed %(transfers)d transfers, %(events)d audit events: %(blocks)d blocks.")
                % report
            )
            if options["statements"]:
                path = proofs.write_statement(folder=options["statements"])
                report["statement"] = None if path is None else str(path)
        self.stdout.write(json.dumps(report) if options["json"] else text)
