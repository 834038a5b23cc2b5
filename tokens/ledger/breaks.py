"""The queue of breaks: opened by runs, looked into and resolved by people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tokens.audit import Violation
from tokens.book_errors import BreakNotFoundError, BreakResolvedError
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.models import ReconBreak, ReconRun

Status = ReconBreak.Status


def note_findings(*, run: ReconRun, violations: Iterable[Violation]) -> None:
    """Open a break for every check that a run found broken, or count the open one anew.

    Joins the caller's transaction, the one that keeps the run.
    """
    require_transaction()
    for violation in violations:
        found = {
            "offenders_count": violation.count,
            "sample": list(violation.sample),
            "last_run": run,
        }
        unresolved = ReconBreak.objects.exclude(status=Status.RESOLVED)
        if unresolved.filter(check_name=violation.name).update(**found):
            continue
        row = ReconBreak.objects.create(check_name=violation.name, first_run=run, **found)
        record_event(
            actor_id=None,
            action="recon_break.opened",
            subject=f"recon_break:{row.pk}",
            before=None,
            after={"check": violation.name, "offenders": violation.count, "run": str(run.pk)},
        )


@transaction.atomic(durable=True)
def look_into(*, break_id: int, actor_id: int, note: str) -> ReconBreak:
    """Make the actor the owner of a break, and keep what is known so far.

    Raises:
        BreakNotFoundError: there is no such break.
        BreakResolvedError: it is resolved.
    """
    row = _lock(break_id)
    before = _state(row)
    row.status, row.owner_id, row.note = Status.IN_PROGRESS, actor_id, note
    row.save(update_fields=["status", "owner", "note"])
    _record(row, before=before, actor_id=actor_id, action="recon_break.taken")
    return row


@transaction.atomic(durable=True)
def resolve(*, break_id: int, actor_id: int, reason: str) -> ReconBreak:
    """Close a break with what it was; a run that finds it again opens another.

    Raises:
        BreakNotFoundError: there is no such break.
        BreakResolvedError: it is resolved already.
    """
    row = _lock(break_id)
    before = _state(row)
    row.status, row.resolution = Status.RESOLVED, reason
    row.resolved_at, row.resolved_by_id = timezone.now(), actor_id
    row.save(update_fields=["status", "resolution", "resolved_at", "resolved_by"])
    _record(row, before=before, actor_id=actor_id, action="recon_break.resolved")
    return row


def _lock(break_id: int) -> ReconBreak:
    row = ReconBreak.objects.select_for_update(no_key=True).filter(pk=break_id).first()
    if row is None:
        raise BreakNotFoundError(_("There is no such break."))
    if row.status == Status.RESOLVED:
        raise BreakResolvedError(_("This break is resolved."))
    return row


def _state(row: ReconBreak) -> dict[str, Any]:
    return {
        "status": row.status.lower(),
        "owner_id": row.owner_id,
        "note": row.note,
        "resolution": row.resolution,
    }


def _record(row: ReconBreak, *, before: dict[str, Any], actor_id: int, action: str) -> None:
    record_event(
        actor_id=actor_id,
        action=action,
        subject=f"recon_break:{row.pk}",
        before=before,
        after=_state(row),
    )
