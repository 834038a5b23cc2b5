"""Recompute every balance from the journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.utils.translation import gettext as _

from tokens import audit


class Command(BaseCommand):
    """Exit with 1 when any invariant of the ledger is broken."""

    help = "Recompute every balance from the journal and report differences."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        # One snapshot for all statements: traffic goes on meanwhile and must not look like a fault.
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            violations = audit.find_violations()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "invariants": len(audit.INVARIANTS),
                        "violations": [asdict(violation) for violation in violations],
                    }
                )
            )
        else:
            self._print(violations)
        if violations:
            raise CommandError(
                _("The ledger does not balance: %(count)d invariants are broken.")
                % {"count": len(violations)}
            )

    def _print(self, violations: list[audit.Violation]) -> None:
        broken = {violation.name: violation for violation in violations}
        for invariant in audit.INVARIANTS:
            violation = broken.get(invariant.name)
            if violation is None:
                self.stdout.write(f"ok      {invariant.name}")
            else:
                sample = ", ".join(violation.sample)
                line = f"BROKEN  {invariant.name}: {violation.count} ({sample})"
                self.stdout.write(self.style.ERROR(line))
        if not violations:
            self.stdout.write(self.style.SUCCESS(_("The books balance.")))
