"""Prove the books: every invariant, the chain, the snapshots, and signed statements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tokens import audit
from tokens.management.money import MoneyCommand, Report, UsageError
from tokens.services import proof as proofs
from tokens.services.proof import Proof


class Command(MoneyCommand):
    """Exit with 1 when anything is broken, and name the rows."""

    help = "Recompute everything from the journal, on one snapshot, and report what does not hold."
    dry_run_help = "do not keep the outcome"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--statement",
            action="append",
            type=Path,
            default=[],
            metavar="FILE",
            help="check that the chain still continues from this signed statement; repeatable",
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        """Check the books and list what is wrong."""
        statements = {str(path): _read(path) for path in options["statement"]}
        progress = self.progress(total=len(audit.NAMES))
        proof = proofs.verify_ledger(progress=progress.step)
        faults = {
            name: proofs.find_statement_faults(document) for name, document in statements.items()
        }
        if not options["dry_run"]:
            proofs.record_verification(proof=proof)
        broken = len(proof.violations) + sum(bool(found) for found in faults.values())
        problem = ""
        if broken:
            problem = _("The books are not proven: %(count)d checks are broken.") % {
                "count": broken
            }
        return Report(_summary(proof, faults), self._lines(proof, faults), problem)

    def _lines(self, proof: Proof, faults: dict[str, list[str]]) -> list[str]:
        broken = {violation.name: violation for violation in proof.violations}
        lines = []
        for name in audit.NAMES:
            violation = broken.get(name)
            if violation is None:
                lines.append(f"ok      {name}")
            else:
                rows = ", ".join(violation.sample)
                lines.append(self.style.ERROR(f"BROKEN  {name}: {violation.count} ({rows})"))
        for name, found in faults.items():
            if found:
                lines.append(self.style.ERROR(f"BROKEN  {name}: {', '.join(found)}"))
            else:
                lines.append(f"ok      {name}")
        if not broken and not any(faults.values()):
            head = proof.summary["head_block"]
            text = _("The books balance. Sealed up to block %(head)s.") % {"head": head or "-"}
            lines.append(self.style.SUCCESS(text))
        return lines


def _summary(proof: Proof, faults: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "checks": proof.checks_count,
        "violations": [asdict(violation) for violation in proof.violations],
        "statements": faults,
        **proof.summary,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            _("%(path)s cannot be read as a statement: %(error)s") % {"path": path, "error": error}
        ) from error
    return document if isinstance(document, dict) else {}
