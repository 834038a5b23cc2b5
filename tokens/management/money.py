"""What all commands that read or move money have in common: options, output and exit codes.

Exit codes: 0 fine, 1 something failed or was only done in part, 2 the command was used wrongly.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Final, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.types import Role
from facefusion_site.common.errors import DomainError
from facefusion_site.common.progress import Progress
from tokens import recharge_selectors, services
from tokens.types import RechargeReceipt

FAILED: Final = 1
MISUSED: Final = 2


class UsageError(CommandError):
    """An argument is wrong; the command ends with 2, as for an unknown option."""

    def __init__(self, text: str) -> None:
        super().__init__(text, returncode=MISUSED)


@dataclass(frozen=True, slots=True)
class Report:
    """What a command found or did.

    ``summary`` is the JSON object; ``lines`` say it to people, one name and value per line where
    there are none. ``problem`` is why the exit code is 1; empty when all is well.
    """

    summary: Mapping[str, Any]
    lines: Sequence[str] = field(default=())
    problem: str = ""


class MoneyCommand(BaseCommand):
    """Prints one report, as JSON or for people; errors and bars go to the error stream."""

    dry_run_help: ClassVar[str]
    _progress: Progress | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options that every such command has."""
        parser.add_argument("--dry-run", action="store_true", help=self.dry_run_help)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    @abstractmethod
    def report(self, options: Mapping[str, Any]) -> Report | None:
        """Do the work.

        Returns:
            What to print; None when the output has been written already.

        Raises:
            UsageError: an argument is wrong.
            DomainError: the work was refused.
        """

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do the work, print the report, and end with its code."""
        try:
            report = self.report(options)
        except DomainError as error:
            self._refuse(error, is_json=options["json"])
        finally:
            if self._progress is not None:
                self._progress.finish()
        if report is None:
            return
        if options["json"]:
            self.stdout.write(json.dumps(report.summary, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(report.lines or table(report.summary)))
        if report.problem:
            raise CommandError(report.problem, returncode=FAILED)

    def progress(self, *, total: int | None = None) -> Progress:
        """A bar on the error stream; it is gone before the report is printed."""
        self._progress = Progress(self.stderr, total=total)
        return self._progress

    def follow(self, batch_id: uuid.UUID, *, text: str) -> RechargeReceipt:
        """Stay with a batch until it rests, with a bar; see ``services.follow_batch``."""
        total = recharge_selectors.batch_by_id(batch_id=batch_id).lines_count
        progress = self.progress(total=total)
        try:
            return services.follow_batch(
                batch_id=batch_id, progress=partial(progress.move_to, text)
            )
        finally:
            progress.finish()

    def _refuse(self, error: DomainError, *, is_json: bool) -> NoReturn:
        if is_json:
            answer = {
                "code": error.code,
                "detail": str(error.detail),
                "next_step": str(error.next_step),
                **error.context,
            }
            self.stdout.write(json.dumps({"error": answer}, ensure_ascii=False, default=str))
        # A request that is wrong in itself stays wrong: 400 means that here too.
        code = MISUSED if error.http_status == HTTPStatus.BAD_REQUEST else FAILED
        raise CommandError(
            f"{error.code}: {error.detail} {error.next_step}", returncode=code
        ) from error


def table(pairs: Mapping[str, Any], *, indent: str = "") -> list[str]:
    """Names and values in two columns; a nested mapping is a table of its own."""
    width = max((len(name) for name in pairs), default=0)
    lines: list[str] = []
    for name, value in pairs.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", *table(value, indent=f"{indent}  ")]
        else:
            lines.append(f"{indent}{name:<{width}}  {shown(value)}")
    return lines


def shown(value: object) -> str:
    """A value for people."""
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def iso_day(text: str) -> dt.date:
    """The type of an option that is a day."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not YYYY-MM-DD") from error


def positive(text: str) -> int:
    """The type of an option that is a number of 1 or more."""
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is below 1")
    return number


def actor(name: str, *, roles: frozenset[Role]) -> int:
    """Primary key of the person that a command acts for.

    Args:
        name: user name or user_ref of an active account.
        roles: those that may ask for it.

    Raises:
        UsageError: there is no such account, or it has another role.
    """
    try:
        actor_id, role = accounts_selectors.principal(name=name)
    except DomainError as error:
        raise UsageError(f"--actor: {error.detail}") from error
    if role not in roles:
        raise UsageError(_("--actor: %(name)s has a role that may not do this.") % {"name": name})
    return actor_id
