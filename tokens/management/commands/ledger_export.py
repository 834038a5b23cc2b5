"""Write the books as CSV."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from tokens import exports
from tokens.books import Basis, month_days
from tokens.exports import ExportRequest
from tokens.management.money import MoneyCommand, Report, UsageError, iso_day, shown

CHUNK_BYTES = 1 << 20


class Command(MoneyCommand):
    """Memory stays flat whatever the size: the database streams, the file takes it."""

    help = "Export journal, balances, daily figures, consumption, audit events or seals as CSV."
    dry_run_help = "count the rows, write nothing"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        super().add_arguments(parser)
        today = timezone.now().date()
        parser.add_argument("name", choices=exports.NAMES)
        parser.add_argument(
            "--month",
            type=_month,
            help="a whole month, YYYY-MM in UTC, in place of --from and --to",
        )
        parser.add_argument(
            "--from",
            dest="first",
            type=iso_day,
            default=today.replace(day=1),
            help="first day, YYYY-MM-DD in UTC; the first of this month by default",
        )
        parser.add_argument("--to", dest="last", type=iso_day, default=today, help="last day")
        parser.add_argument(
            "--basis", choices=[basis.value for basis in Basis], default=Basis.RECORDED.value
        )
        parser.add_argument("--user", metavar="USER_REF", help="of one account only")
        parser.add_argument(
            "--output", type=Path, help="file to write; the standard output by default"
        )

    def report(self, options: Mapping[str, Any]) -> Report | None:
        """Write the files and say what is in them."""
        request = self._request(options)
        summary: dict[str, Any] = {
            "export": request.name,
            "from": request.first.isoformat(),
            "to": request.last.isoformat(),
            "basis": request.basis.value,
        }
        if options["user"]:
            summary["user"] = options["user"]
        if options["dry_run"]:
            summary["rows"] = exports.count_rows(request=request)
        elif options["output"] is not None:
            try:
                summary["bytes"] = self._to_file(request, options["output"])
            except OSError as error:
                raise UsageError(
                    _("%(path)s cannot be written: %(error)s")
                    % {"path": options["output"], "error": error.strerror}
                ) from error
            summary["file"] = str(options["output"])
        elif options["json"]:
            raise UsageError(_("The standard output cannot hold both: name a file with --output."))
        else:
            self._to_stdout(request)
            return None
        text = ", ".join(f"{name} {shown(value)}" for name, value in summary.items())
        return Report(summary, [_("Done: %(summary)s") % {"summary": text}])

    def _request(self, options: Mapping[str, Any]) -> ExportRequest:
        first, last = options["first"], options["last"]
        if options["month"] is not None:
            first, last = month_days(options["month"])
        owner_id = None
        if options["user"]:
            owner_id = accounts_selectors.user_by_ref(user_ref=options["user"]).pk
        return ExportRequest(options["name"], first, last, Basis(options["basis"]), owner_id)

    def _to_file(self, request: ExportRequest, path: Path) -> int:
        """A file that is cut short never takes the place of a whole one."""
        progress = self.progress()
        fresh = path.with_name(f"{path.name}.part")
        with fresh.open("wb", buffering=CHUNK_BYTES) as file:
            for piece in exports.stream(request=request):
                file.write(piece)
                progress.step(_("bytes written"), len(piece))
        fresh.replace(path)
        return path.stat().st_size

    def _to_stdout(self, request: ExportRequest) -> None:
        binary = getattr(sys.stdout, "buffer", None)
        for piece in exports.stream(request=request):
            if binary is None:
                self.stdout.write(piece.decode(), ending="")
            else:
                binary.write(piece)


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not YYYY-MM") from error
