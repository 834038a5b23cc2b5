"""Reconciliation: the daily run, and closing and reopening of months."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import structlog
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.types import Scope
from tokens.errors import AdministratorRequiredError
from tokens.ledger import months, rollups, runs, snapshots
from tokens.ledger.runs import Proof
from tokens.models import MonthClose

log = structlog.get_logger(__name__)


def reconcile(
    *, now: dt.datetime | None = None, progress: Callable[[str], None] | None = None
) -> tuple[Proof, dict[str, Any]]:
    """Seal, add up reports and the days that are complete, verify, and keep the outcome.

    Owns its transactions.

    Args:
        now: decides which days have ended; the current moment by default.
        progress: told every step.

    Returns:
        The proof, and what the run did.
    """
    return runs.reconcile(now=now or timezone.now(), progress=progress)


def due_days(*, now: dt.datetime | None = None) -> list[dt.date]:
    """Days that the next run would add up."""
    return snapshots.due_days(now=now or timezone.now())


def add_up_reports(*, is_anew: bool = False) -> int:
    """Add what is sealed to the reports; owns its transactions.

    Args:
        is_anew: throw the reports away first; they are incomplete meanwhile.

    Returns:
        Blocks that were added.
    """
    return rollups.rebuild() if is_anew else rollups.fold_all()


def count_unreported() -> int:
    """Sealed blocks that are not in the reports yet."""
    return rollups.count_waiting()


def close_month(*, month: dt.date, actor_id: int, now: dt.datetime | None = None) -> MonthClose:
    """Close the books of a month, given by its first day; owns its transactions.

    Raises:
        AdministratorRequiredError: the actor is neither administrator nor in finance.
        MonthNotClosableError: it has not ended, is not reconciled, follows an open one, or breaks
            are open.
        MonthBusyError: writers did not end in time; try again.
    """
    _require_bookkeeper(actor_id)
    closed = months.close(month=month, actor_id=actor_id, now=now or timezone.now())
    log.info("tokens.month.closed", month=f"{month:%Y-%m}", actor_id=actor_id)
    return closed


def reopen_month(*, month: dt.date, actor_id: int, reason: str) -> MonthClose:
    """Open the books of a closed month again; owns its transaction.

    Raises:
        AdministratorRequiredError: the actor is neither administrator nor in finance.
        MonthNotClosedError: it is not closed, or a later month still is.
        ValueError: there is no reason.
    """
    if not reason.strip():
        raise ValueError("Reopening a month needs a reason.")
    _require_bookkeeper(actor_id)
    reopened = months.reopen(month=month, actor_id=actor_id, reason=reason)
    log.warning("tokens.month.reopened", month=f"{month:%Y-%m}", actor_id=actor_id)
    return reopened


def _require_bookkeeper(actor_id: int) -> None:
    if not accounts_selectors.active_may(user_id=actor_id, scopes=[Scope.BOOKS_WRITE]):
        raise AdministratorRequiredError(
            _("Only administrators and finance open and close the books.")
        )
