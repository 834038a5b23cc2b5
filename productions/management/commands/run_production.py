"""Run a production from a file, as far as it goes now."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from accounts.console_permissions import roles_with
from accounts.types import Role, Scope
from facefusion_site.common.drf import to_domain_error
from inference import services as inference_services
from productions import manifest_files, selectors, services
from productions.models import Production
from productions.order_files import ProductionCreateSerializer
from productions.reports import report_csv
from productions.types import ProductionOrder, State
from tokens.management.money import MoneyCommand, Report, UsageError, actor, table

POLL_S = 1.0
_DOCUMENT = {"name", "budget", "retries_max", "people", "rows"}


class Command(MoneyCommand):
    """Creates, estimates, funds, starts, follows, finishes. Each run goes on where it stood.

    The file is JSON as the API takes it, people and rows in one; instead of ids it may name files
    beside it: ``face_file`` of a person, ``target_file`` of a row. Its bytes make the key, so the
    same file is the same production for ever. Whoever may run it on a server is trusted with the
    second factor; approval policies hold up its recharge as any other.
    """

    help = "Run a production (people, quotas, consents, rows) from a JSON file."
    dry_run_help = "read the file and say what is in it; nothing is stored"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", type=Path, help="the production, in JSON")
        parser.add_argument("--owner", required=True, help="whose wallet, faces and targets")
        parser.add_argument("--actor", required=True, help="who asks for its tokens")
        parser.add_argument(
            "--wait", action="store_true", help="stay until it has ended or waits for approval"
        )
        parser.add_argument("--report", type=Path, metavar="OUT.csv", help="write its rows there")

    def report(self, options: Mapping[str, Any]) -> Report:
        """Do what is due; the exit code is 1 once it has ended with rows that failed."""
        owner_id = actor(options["owner"], roles=frozenset(Role))
        actor_id = actor(options["actor"], roles=roles_with(Scope.RECHARGES_WRITE))
        document, key = _read(options["file"])
        if options["dry_run"]:
            return Report(
                {
                    "dry_run": True,
                    "people": len(document["people"]),
                    "rows": len(document["rows"]),
                    "key": key,
                }
            )
        production = self._written_down(document, options["file"].parent, owner_id, actor_id, key)
        production = _advanced(production, actor_id)
        while options["wait"] and production.state in {State.FUNDED, State.RUNNING}:
            time.sleep(POLL_S)
            production = services.advance(production=production)
        if options["report"] is not None:
            _write(options["report"], production)
        return _said(production, key)

    def _written_down(
        self, document: dict[str, Any], folder: Path, owner_id: int, actor_id: int, key: str
    ) -> Production:
        """The production with its rows; uploads its files unless an earlier run has."""
        found = selectors.by_key(owner_id=owner_id, idempotency_key=key)
        if found is None:
            found, _is_replay = services.create_production(
                owner_id=owner_id,
                order=_order(document, folder, owner_id),
                actor_id=actor_id,
                idempotency_key=key,
            )
        if found.state != State.DRAFT or selectors.has_rows(production=found):
            return found
        progress = self.progress(total=len(document["rows"]))
        rows = []
        for number, row in enumerate(document["rows"], start=1):
            progress.move_to(_("targets uploaded"), number)
            rows.append(_with_upload(row, "target", folder, owner_id))
        return services.load_manifest(
            production=found, rows=manifest_files.read_rows(rows), actor_id=actor_id
        )


def _advanced(production: Production, actor_id: int) -> Production:
    if production.state == State.DRAFT:
        production = services.estimate(production=production, actor_id=actor_id)
    if production.state == State.ESTIMATED and not production.funding_error:
        production = services.fund(production=production, actor_id=actor_id)
    return services.advance(production=production)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The file, and the key that is made of its bytes."""
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except OSError as error:
        raise UsageError(
            _("%(path)s cannot be read: %(error)s") % {"path": path, "error": error.strerror}
        ) from error
    except ValueError as error:
        raise UsageError(_("%(path)s is not JSON.") % {"path": path}) from error
    is_known = isinstance(document, dict) and not document.keys() - _DOCUMENT
    lists = [document.get(name) for name in ("people", "rows")] if is_known else []
    if "name" not in document or not all(isinstance(one, list) for one in lists or [None]):
        raise UsageError(
            _("The file needs name, people and rows, and may have budget and retries_max.")
        )
    return document, f"file:{hashlib.sha256(data).hexdigest()}"


def _order(document: dict[str, Any], folder: Path, owner_id: int) -> ProductionOrder:
    """The production of the file, checked as a request would be."""
    people = [_with_upload(person, "face", folder, owner_id) for person in document["people"]]
    given = {name: value for name, value in document.items() if name != "rows"}
    body = ProductionCreateSerializer(data={**given, "people": people})
    try:
        body.is_valid(raise_exception=True)
    except ValidationError as error:
        fault: Mapping[str, Any] = next(iter(getattr(to_domain_error(error), "errors", ())), {})
        raise UsageError(f"{fault.get('pointer', '#')}: {fault.get('detail', error)}") from error
    return body.to_order()


def _with_upload(entry: Any, kind: str, folder: Path, owner_id: int) -> Any:
    """An entry with the id of an upload in place of the name of a file."""
    if not isinstance(entry, dict) or f"{kind}_file" not in entry:
        return entry
    path = folder / str(entry[f"{kind}_file"])
    rest = {name: value for name, value in entry.items() if name != f"{kind}_file"}
    try:
        with path.open("rb") as file:
            asset = inference_services.register_media(owner_id=owner_id, file=file, name=path.name)
    except OSError as error:
        raise UsageError(
            _("%(path)s cannot be read: %(error)s") % {"path": path, "error": error.strerror}
        ) from error
    return {**rest, f"{kind}_asset_id": str(asset.pk)}


def _write(path: Path, production: Production) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(report_csv(selectors.every_row(production=production)))
    except OSError as error:
        raise UsageError(
            _("%(path)s cannot be written: %(error)s") % {"path": path, "error": error.strerror}
        ) from error


def _said(production: Production, key: str) -> Report:
    progress = selectors.progress(production=production)
    books = progress.books
    summary = {
        "dry_run": False,
        "production": str(production.pk),
        "key": key,
        "state": production.state.lower(),
        "estimate": production.estimate,
        "rows": progress.rows_count,
        "states": dict(progress.states),
        "errors": dict(progress.errors),
        "funded": books.funded,
        "held": books.spending.held,
        "settled": books.spending.settled,
        "returned": books.returned,
        "left": books.left,
    }
    problem = ""
    if production.funding_error:
        problem = _("Its tokens did not come: %(code)s.") % {"code": production.funding_error}
    elif production.finished_at and progress.states.get("succeeded", 0) < progress.rows_count:
        problem = _("Some rows have no result; the report says why.")
    return Report(summary, table(summary), problem)
