"""Recharge many accounts from a file, as an upload does."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from accounts.console_permissions import roles_with
from accounts.types import Scope
from facefusion_site.common import idempotency
from tokens import recharge_report, recharge_selectors, services
from tokens.errors import UnreadableFileError
from tokens.management.money import MoneyCommand, Report, UsageError, actor, positive
from tokens.management.money import table as table_of
from tokens.recharge_files import RowRules, read_rows
from tokens.recharge_rows import StagedRow
from tokens.recharge_uploads import RowsFile, digest, source_of
from tokens.types import (
    Category,
    LotTerms,
    RechargeLineView,
    RechargeMode,
    RechargeOrder,
    RechargePreview,
    RechargeReceipt,
    RechargeSource,
)

STDIN: Final = "-"
FORMATS: Final = ("csv", "xlsx", "ndjson", "json")
BLOCK_BYTES: Final = 1 << 20
SPOOL_BYTES: Final = 8 << 20
PRIORITY_MAX: Final = 100
REASON_LENGTH_MAX: Final = 255
OPERATOR_LENGTH_MAX: Final = 128
KEY_LENGTH_MAX: Final = 255
FAILURES_SHOWN: Final = 10
# The outcome of good rows in a refused atomic batch.
ROLLED_BACK: Final = "rolled_back"
# What a batch may be without anything having gone wrong.
FINE: Final = frozenset({"applied", "queued", "applying", "pending_approval"})


class Command(MoneyCommand):
    """The same rows, rules, outcomes and approvals as over HTTP.

    Repeating it with the same file and options moves nothing and reports the first run, because
    its key is made of them. Whoever may run it on a server is trusted with the second factor.
    """

    help = "Credit tokens to the users of a CSV, Excel, NDJSON or JSON file."
    dry_run_help = "judge every row and change nothing"

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, what applies to all of its rows, and who does it."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="file of rows; - for the standard input")
        parser.add_argument(
            "--format", choices=FORMATS, help="by the ending of the file's name by default"
        )
        parser.add_argument("--mode", choices=[mode.value for mode in RechargeMode], required=True)
        parser.add_argument("--reason", required=True, help="why; kept in the audit trail")
        parser.add_argument("--operator", default="", help="a label of yours")
        parser.add_argument(
            "--actor", required=True, help="user name or user_ref of the operator on record"
        )
        parser.add_argument("--amount", type=positive, help="tokens for rows without an amount")
        parser.add_argument(
            "--category",
            choices=[category.value for category in Category],
            default=Category.PAID.value,
        )
        parser.add_argument(
            "--priority", type=_priority, default=50, help="0 burns first, 100 last"
        )
        parser.add_argument(
            "--expires-at", type=_moment, help="ISO 8601, in UTC unless it says otherwise"
        )
        parser.add_argument("--key", help="idempotency key; made of file and options by default")
        parser.add_argument(
            "--wait",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="apply a large batch here, or leave it to the workers",
        )
        parser.add_argument(
            "--failures",
            type=Path,
            metavar="OUT.csv",
            help="write the failed rows, to be corrected",
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        """Judge or apply the file; see the class for what a repeat does."""
        _check(options)
        actor_id = actor(options["actor"], roles=roles_with(Scope.RECHARGES_WRITE))
        with _opened(options["file"], options["format"]) as rows_file:
            order = _order(options, rows_file)
            progress = self.progress()
            rows = partial(self._rows, rows_file, order, options["amount"], progress)
            if options["dry_run"]:
                preview = services.preview(order=order, rows=rows)
                return _preview_report(preview, order)
            key = options["key"] or f"file:{order.fingerprint}"
            receipt = services.create_batch(
                order=order, rows=rows, actor_id=actor_id, idempotency_key=key
            )
        is_replay = receipt.is_replay
        if options["wait"]:
            receipt = self.follow(receipt.batch_id, text=_("rows applied"))
        if options["failures"] is not None:
            _write_failures(receipt, options["failures"])
        return _receipt_report(receipt, key=key, is_replay=is_replay, file=options["failures"])

    def _rows(
        self, rows_file: RowsFile, order: RechargeOrder, amount: int | None, progress: Any
    ) -> Iterator[StagedRow]:
        """The rows from the first on, counted on the way."""
        rules = RowRules(
            template=services.staged_template(order=order, amount=0),
            amount=amount,
            cell_length_max=settings.RECHARGE_CELL_LENGTH_MAX,
            bytes_max=settings.RECHARGE_FILE_BYTES_MAX,
        )
        rows = read_rows(rows_file.file, source=rows_file.source, rules=rules)
        text = _("rows read")
        for row_no, row in enumerate(rows, start=1):
            progress.move_to(text, row_no)
            yield row


@contextmanager
def _opened(name: str, format_name: str | None) -> Iterator[RowsFile]:
    """The file with its digest; the standard input is spooled, because rows are read twice."""
    source = _source(name, format_name)
    if name == STDIN:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            sha256 = digest(_blocks(sys.stdin.buffer), copy_to=spool)
            yield RowsFile(file=spool, sha256=sha256, source=source)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  # closed below, whatever happens
    except OSError as error:
        raise UsageError(
            _("%(path)s cannot be read: %(error)s") % {"path": name, "error": error.strerror}
        ) from error
    with file:
        yield RowsFile(file=file, sha256=digest(_blocks(file)), source=source)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _source(name: str, format_name: str | None) -> RechargeSource:
    if format_name is not None:
        return RechargeSource(format_name)
    if name == STDIN:
        raise UsageError(_("Name the format of the standard input with --format."))
    try:
        return source_of(name)
    except UnreadableFileError as error:
        raise UsageError(f"{error.detail} --format") from error


def _check(options: Mapping[str, Any]) -> None:
    """What the database would refuse with less clear words.

    Raises:
        UsageError: a text is empty or too long, or failures are wanted of what has no end yet.
    """
    for name, length_min, length_max in (
        ("reason", 1, REASON_LENGTH_MAX),
        ("operator", 0, OPERATOR_LENGTH_MAX),
        ("key", 0, KEY_LENGTH_MAX),
    ):
        text = options[name] or ""
        if not length_min <= len(text.strip()) <= len(text) <= length_max or "\x00" in text:
            raise UsageError(
                _("--%(name)s takes %(min)d to %(max)d characters.")
                % {"name": name, "min": length_min, "max": length_max}
            )
    if options["dry_run"] and options["failures"] is not None:
        raise UsageError(_("--failures lists what happened, so it does not go with --dry-run."))
    if not options["wait"] and options["failures"] is not None:
        raise UsageError(_("--failures lists what happened, so it does not go with --no-wait."))


def _order(options: Mapping[str, Any], rows_file: RowsFile) -> RechargeOrder:
    terms = LotTerms(
        category=Category(options["category"]),
        priority=options["priority"],
        expires_at=options["expires_at"],
    )
    sent = [options[name] for name in ("mode", "reason", "operator", "amount")]
    return RechargeOrder(
        mode=RechargeMode(options["mode"]),
        reason=options["reason"],
        operator=options["operator"],
        terms=terms,
        source=rows_file.source,
        fingerprint=idempotency.fingerprint(
            [rows_file.source, rows_file.sha256, *sent, str(terms)]
        ),
    )


def _write_failures(receipt: RechargeReceipt, path: Path) -> None:
    lines = recharge_selectors.failed_lines(batch_id=receipt.batch_id)
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(recharge_report.failures_csv(lines))
    except OSError as error:
        raise UsageError(
            _("The batch %(batch)s is recorded, but %(path)s cannot be written: %(error)s")
            % {"batch": receipt.batch_id, "path": path, "error": error.strerror}
        ) from error


def _receipt_report(
    receipt: RechargeReceipt, *, key: str, is_replay: bool, file: Path | None
) -> Report:
    summary = {
        "dry_run": False,
        "batch": str(receipt.batch_id),
        "status": receipt.status,
        "mode": receipt.mode,
        "source": receipt.source,
        "key": key,
        "is_replay": is_replay,
        "lines": receipt.lines_count,
        "applied": receipt.applied_count,
        "failed": receipt.failed_count,
        "tokens": receipt.tokens_total,
        "tokens_requested": receipt.tokens_requested,
        "content_sha256": receipt.content_sha256,
        "outcomes": recharge_selectors.outcomes(batch_id=receipt.batch_id),
        "failures": [
            _failure(line) for line in recharge_selectors.faulty_lines(batch_id=receipt.batch_id)
        ],
        "failures_file": None if file is None else str(file),
    }
    lines = _lines(summary)
    if is_replay:
        lines.append(
            _(
                "This file was recharged before with these options;"
                " name another --key to do it again."
            )
        )
    if receipt.status == "pending_approval":
        lines.append(_("It waits for approval: others than its maker vote on it in the console."))
    elif receipt.status in {"queued", "applying"}:
        lines.append(_("The workers apply it; the console shows how far they are."))
    problem = ""
    if receipt.status not in FINE:
        problem = _("The batch is %(status)s: %(failed)s of %(lines)s rows moved nothing.") % {
            "status": receipt.status,
            "failed": f"{receipt.lines_count - receipt.applied_count:,}",
            "lines": f"{receipt.lines_count:,}",
        }
    return Report(summary, lines, problem)


def _preview_report(preview: RechargePreview, order: RechargeOrder) -> Report:
    summary = {
        "dry_run": True,
        "batch": None,
        "status": preview.status,
        "mode": preview.mode,
        "source": order.source.value,
        "key": None,
        "is_replay": False,
        "lines": preview.lines_count,
        "applied": preview.applied_count,
        "failed": preview.failed_count,
        "tokens": preview.tokens_total,
        "content_sha256": preview.content_sha256,
        "outcomes": preview.outcomes,
        "failures": [_failure(line) for line in preview.failures if line.code != ROLLED_BACK],
        "failures_file": None,
    }
    problem = ""
    if preview.failed_count:
        problem = _("%(failed)s of %(lines)s rows would move nothing.") % {
            "failed": f"{preview.failed_count:,}",
            "lines": f"{preview.lines_count:,}",
        }
    return Report(summary, [*_lines(summary), _("Nothing was changed.")], problem)


def _failure(line: RechargeLineView) -> dict[str, Any]:
    return {
        "row_no": line.row_no,
        "user": line.user_ref,
        "amount": line.amount,
        "code": line.code,
        "message": line.message,
    }


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """The summary for people: figures, then outcomes, then the first failures."""
    head = ("batch", "status", "mode", "key", "lines", "applied", "failed", "tokens")
    lines = table_of({name: summary[name] for name in head if summary[name] is not None})
    if summary["outcomes"]:
        lines += ["outcomes", *table_of(summary["outcomes"], indent="  ")]
    failures = summary["failures"]
    if failures:
        lines.append(
            _("First failed rows:") if len(failures) > FAILURES_SHOWN else _("Failed rows:")
        )
        lines += [
            f"  {failure['row_no']:>7}  {failure['user']}  {failure['code']}: {failure['message']}"
            for failure in failures[:FAILURES_SHOWN]
        ]
    if summary["failures_file"]:
        lines.append(_("All failed rows are in %(path)s.") % {"path": summary["failures_file"]})
    return lines


def _priority(text: str) -> int:
    try:
        priority = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
    if not 0 <= priority <= PRIORITY_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not 0 to {PRIORITY_MAX}")
    return priority


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
