"""Prove the books: every invariant, the chain, the snapshots, and signed statements."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from facefusion_site.common.progress import Progress
from tokens import audit
from tokens.services import proof as proofs
from tokens.services.proof import Proof


class Command(BaseCommand):
    """Exit with 1 when anything is broken, and name the rows."""

    help = "Recompute everything from the journal, on one snapshot, and report what does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--dry-run", action="store_true", help="do not keep the outcome")
        parser.add_argument(
            "--statement",
            action="append",
            type=Path,
            default=[],
            metavar="FILE",
            help="check that the chain still continues from this signed statement; repeatable",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        statements = {str(path): _read(path) for path in options["statement"]}
        progress = Progress(self.stderr, total=len(audit.NAMES))
        proof = proofs.verify_ledger(progress=progress.step)
        progress.finish()
        faults = {
            name: proofs.find_statement_faults(document) for name, document in statements.items()
        }
        if not options["dry_run"]:
            proofs.record_verification(proof=proof)
        if options["json"]:
            self.stdout.write(json.dumps(_report(proof, faults)))
        else:
            self._print(proof, faults)
        broken = len(proof.violations) + sum(bool(found) for found in faults.values())
        if broken:
            raise CommandError(
                _("The books are not proven: %(count)d checks are broken.") % {"count": broken}
            )

    def _print(self, proof: Proof, faults: dict[str, list[str]]) -> None:
        broken = {violation.name: violation for violation in proof.violations}
        for name in audit.NAMES:
            violation = broken.get(name)
            if violation is None:
                self.stdout.write(f"ok      {name}")
            else:
                rows = ", ".join(violation.sample)
                self.stdout.write(self.style.ERROR(f"BROKEN  {name}: {violation.count} ({rows})"))
        for name, found in faults.items():
            if found:
                self.stdout.write(self.style.ERROR(f"BROKEN  {name}: {', '.join(found)}"))
            else:
                self.stdout.write(f"ok      {name}")
        if not broken and not any(faults.values()):
            head = proof.summary["head_block"]
            self.stdout.write(
                self.style.SUCCESS(
                    _("The books balance. Sealed up to block %(head)s.") % {"head": head or "-"}
                )
            )


def _report(proof: Proof, faults: dict[str, list[str]]) -> dict[str, Any]:
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
        raise CommandError(
            _("%(path)s cannot be read as a statement: %(error)s") % {"path": path, "error": error}
        ) from error
    return document if isinstance(document, dict) else {}
