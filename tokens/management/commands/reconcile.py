"""Seal, take the daily snapshots, verify, and keep the outcome."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from facefusion_site.common.progress import Progress
from tokens import audit
from tokens.services import proof as proofs
from tokens.services import reconciliation


class Command(BaseCommand):
    """Safe to run at any time, twice, or on two hosts; exits with 1 when the books do not hold."""

    help = "Reconcile the ledger up to the last complete day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--dry-run", action="store_true", help="write nothing; verify and list the due days"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        due = [day.isoformat() for day in reconciliation.due_days()]
        progress = Progress(self.stderr, total=len(audit.NAMES) + len(due) + 2)
        if options["dry_run"]:
            proof = proofs.verify_ledger(progress=progress.step)
            done: dict[str, Any] = {"due_days": due}
        else:
            proof, done = reconciliation.reconcile(progress=progress.step)
        progress.finish()
        violations = [asdict(violation) for violation in proof.violations]
        if options["json"]:
            report = {"checks": proof.checks_count, "violations": violations, **done}
            self.stdout.write(json.dumps(report))
        else:
            for name, value in done.items():
                shown = ", ".join(value) if isinstance(value, list) else value
                self.stdout.write(f"{name}: {'-' if shown in (None, '') else shown}")
            for violation in proof.violations:
                rows = ", ".join(violation.sample)
                self.stdout.write(
                    self.style.ERROR(f"BROKEN  {violation.name}: {violation.count} ({rows})")
                )
        if violations:
            raise CommandError(
                _("The books are not proven: %(count)d checks are broken.")
                % {"count": len(violations)}
            )
