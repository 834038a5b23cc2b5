"""Seal, take the daily snapshots, verify, and keep the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _

from tokens import audit
from tokens.management.money import MoneyCommand, Report
from tokens.services import proof as proofs
from tokens.services import reconciliation


class Command(MoneyCommand):
    """Safe to run at any time, twice, or on two hosts; exits with 1 when the books do not hold."""

    help = "Reconcile the ledger up to the last complete day."
    dry_run_help = "write nothing; verify and list the due days"

    def report(self, options: Mapping[str, Any]) -> Report:
        """Reconcile and list the breaks."""
        due = [day.isoformat() for day in reconciliation.due_days()]
        progress = self.progress(total=len(audit.NAMES) + len(due) + 2)
        if options["dry_run"]:
            proof = proofs.verify_ledger(progress=progress.step)
            done: dict[str, Any] = {"due_days": due}
        else:
            proof, done = reconciliation.reconcile(progress=progress.step)
        lines = []
        for name, value in done.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            lines.append(f"{name}: {'-' if shown in (None, '') else shown}")
        lines += [
            self.style.ERROR(
                f"BROKEN  {violation.name}: {violation.count} ({', '.join(violation.sample)})"
            )
            for violation in proof.violations
        ]
        violations = [asdict(violation) for violation in proof.violations]
        problem = ""
        if violations:
            problem = _("The books are not proven: %(count)d checks are broken.") % {
                "count": len(violations)
            }
        else:
            text = _("%(count)d checks hold.") % {"count": proof.checks_count}
            lines.append(self.style.SUCCESS(text))
        summary = {"checks": proof.checks_count, "violations": violations, **done}
        return Report(summary, lines, problem)
