"""Close the books of a month, or reopen them."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from accounts.console_permissions import roles_with
from accounts.types import Scope
from tokens.management.money import MoneyCommand, Report, UsageError, actor
from tokens.services import reconciliation


class Command(MoneyCommand):
    """A closed month takes no more transfers; only an administrator closes and reopens."""

    help = "Close or reopen the books of a month."
    dry_run_help = "say what would be done"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("action", choices=["close", "reopen"])
        parser.add_argument("month", type=_month, help="YYYY-MM, in UTC")
        parser.add_argument(
            "--actor", required=True, help="user name or user_ref of the administrator on record"
        )
        parser.add_argument("--reason", default="", help="why it is reopened; kept")

    def report(self, options: Mapping[str, Any]) -> Report:
        action, month = options["action"], options["month"]
        actor_id = actor(options["actor"], roles=roles_with(Scope.BOOKS_WRITE))
        if action == "reopen" and not options["reason"].strip():
            raise UsageError(_("Say why with --reason."))
        summary: dict[str, Any] = {"month": f"{month:%Y-%m}", "action": action}
        if options["dry_run"]:
            summary["dry_run"] = True
        else:
            summary.update(_do(action, month, actor_id, options["reason"]))
        return Report(summary)


def _do(action: str, month: dt.date, actor_id: int, reason: str) -> dict[str, Any]:
    if action == "close":
        closed = reconciliation.close_month(month=month, actor_id=actor_id)
    else:
        closed = reconciliation.reopen_month(month=month, actor_id=actor_id, reason=reason)
    return {"id": str(closed.pk), "totals_sha256": closed.totals_sha256, "totals": closed.totals}


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not YYYY-MM") from error
