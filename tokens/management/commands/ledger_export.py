"""Write the books as CSV."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from facefusion_site.common.progress import Progress
from tokens import exports
from tokens.books import Basis
from tokens.exports import ExportRequest

CHUNK_BYTES = 1 << 20


class Command(BaseCommand):
    """Memory stays flat whatever the size: the database streams, the file takes it."""

    help = "Export journal, balances, daily figures, consumption, audit events or seals as CSV."

    def add_arguments(self, parser: CommandParser) -> None:
        today = timezone.now().date()
        parser.add_argument("name", choices=exports.NAMES)
        parser.add_argument(
            "--from",
            dest="first",
            type=dt.date.fromisoformat,
            default=today.replace(day=1),
            help="first day, YYYY-MM-DD in UTC; the first of this month by default",
        )
        parser.add_argument(
            "--to", dest="last", type=dt.date.fromisoformat, default=today, help="last day"
        )
        parser.add_argument(
            "--basis", choices=[basis.value for basis in Basis], default=Basis.RECORDED.value
        )
        parser.add_argument(
            "--output", type=Path, help="file to write; the standard output by default"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the summary as one JSON object"
        )
        parser.add_argument("--dry-run", action="store_true", help="count the rows, write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        request = ExportRequest(
            options["name"], options["first"], options["last"], Basis(options["basis"])
        )
        summary: dict[str, Any] = {
            "export": request.name,
            "from": request.first.isoformat(),
            "to": request.last.isoformat(),
            "basis": request.basis.value,
        }
        try:
            if options["dry_run"]:
                summary["rows"] = exports.count_rows(request=request)
            elif options["output"] is None:
                self._to_stdout(request)
                return
            else:
                summary["bytes"] = self._to_file(request, options["output"])
                summary["file"] = str(options["output"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(summary))
        else:
            self.stdout.write(_("Done: %(summary)s") % {"summary": _as_text(summary)})

    def _to_file(self, request: ExportRequest, path: Path) -> int:
        """A file that is cut short never takes the place of a whole one."""
        progress = Progress(self.stderr)
        fresh = path.with_name(f"{path.name}.part")
        with fresh.open("wb", buffering=CHUNK_BYTES) as file:
            for piece in exports.stream(request=request):
                file.write(piece)
                progress.step(_("bytes written"), len(piece))
        progress.finish()
        fresh.replace(path)
        return path.stat().st_size

    def _to_stdout(self, request: ExportRequest) -> None:
        binary = getattr(sys.stdout, "buffer", None)
        for piece in exports.stream(request=request):
            if binary is None:
                self.stdout.write(piece.decode(), ending="")
            else:
                binary.write(piece)


def _as_text(summary: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in summary.items())
