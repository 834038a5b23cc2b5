"""Close the books of a month, or reopen them."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from facefusion_site.common.errors import DomainError
from tokens.services import reconciliation


class Command(BaseCommand):
    """A closed month takes no more transfers; only an administrator closes and reopens."""

    help = "Close or reopen the books of a month."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["close", "reopen"])
        parser.add_argument("month", type=_month, help="YYYY-MM, in UTC")
        parser.add_argument("--actor", required=True, help="user_ref of the administrator")
        parser.add_argument("--reason", default="", help="why it is reopened; kept")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done")

    def handle(self, *_args: Any, **options: Any) -> None:
        action, month = options["action"], options["month"]
        actor_ids = accounts_selectors.user_ids_by_ref(refs=[options["actor"]])
        if not actor_ids:
            raise CommandError(_("No active user has this user_ref."))
        if action == "reopen" and not options["reason"].strip():
            raise CommandError(_("Say why with --reason."))
        report: dict[str, Any] = {"month": f"{month:%Y-%m}", "action": action}
        if options["dry_run"]:
            report["dry_run"] = True
        else:
            try:
                report.update(_do(action, month, actor_ids[options["actor"]], options["reason"]))
            except DomainError as error:
                raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in report.items()))


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
