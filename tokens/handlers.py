"""Bodies of the tokens tasks."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts_services
from accounts import webhook_selectors
from tokens import selectors
from tokens.ledger import expiry, holds, rollups, runs, seal, statements
from tokens.ledger.expiry import ExpiryCount
from tokens.models import Hold

log = structlog.get_logger(__name__)
_LOTS_PER_ROUND = 1_000
_BALANCES_PER_ROUND = 1_000


def expire_holds(*, now: dt.datetime | None = None, limit: int = 500) -> int:
    """Give back the tokens of holds past their deadline, one transaction each.

    Args:
        now: the moment that decides; the current one by default.
        limit: at most this many holds a run, so that a run stays short.

    Returns:
        How many holds this run expired.
    """
    moment = now or timezone.now()
    due = Hold.objects.filter(status=Hold.Status.PENDING, expires_at__lte=moment)
    hold_ids = list(due.order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])
    return sum(_expire(hold_id=hold_id, now=moment) for hold_id in hold_ids)


def expire_lots(
    *,
    now: dt.datetime | None = None,
    lots_max: int | None = 100_000,
    progress: Callable[[int], None] | None = None,
) -> ExpiryCount:
    """Move what is left of overdue lots to breakage, in short transactions of their own.

    Wallets that somebody works on at that moment are left to a later run.

    Args:
        now: lots whose end is not after this moment; the current one by default.
        lots_max: begin no further transaction after so many lots; None for no end. All overdue
            lots of a wallet go together, so a run may end a little above it.
        progress: told after each transaction how many lots it expired.

    Returns:
        What this run expired.
    """
    moment = now or timezone.now()
    total = ExpiryCount()
    while lots_max is None or total.lots < lots_max:
        left = _LOTS_PER_ROUND if lots_max is None else lots_max - total.lots
        with transaction.atomic(durable=True):
            count = expiry.expire_lots(now=moment, limit=min(left, _LOTS_PER_ROUND))
        if not count.lots:
            break
        total = total + count
        if progress is not None:
            progress(count.lots)
    if total.lots:
        log.info("tokens.lots.expired", lots=total.lots, tokens=total.tokens)
    return total


@transaction.atomic(durable=True)
def _expire(*, hold_id: uuid.UUID, now: dt.datetime) -> bool:
    # Settled, voided or extended between the listing and the lock: nothing is due any more.
    before = holds.resolve(
        hold_id=hold_id,
        settled=0,
        status=Hold.Status.EXPIRED,
        due_at=now,
        grace=dt.timedelta(seconds=settings.TOKENS_REFUND_GRACE_S),
    )
    if before != Hold.Status.PENDING:
        return False
    transaction.on_commit(lambda: log.warning("tokens.hold.expired", hold_id=str(hold_id)))
    return True


def watch_balances() -> None:
    """Compare balances with the alerts that accounts have set, some at a time.

    A balance that falls and recovers between two runs is nothing to tell.
    """
    after = 0
    while user_ids := webhook_selectors.watched_user_ids(after=after, limit=_BALANCES_PER_ROUND):
        accounts_services.note_balances(balances=selectors.spendable_balances(user_ids=user_ids))
        after = user_ids[-1]


def seal_ledger() -> None:
    """Append what is complete to the hash chain, and add it to the reports."""
    count = seal.seal_all()
    rollups.fold_all()
    if count.blocks:
        log.info("tokens.ledger.sealed", blocks=count.blocks, transfers=count.transfers)


def reconcile_ledger(*, now: dt.datetime | None = None) -> None:
    """Reconcile up to the last complete day, then write the signed statement of the day.

    What is broken goes to the log as an error, with the names of the checks: alert on it.
    """
    proof, done = runs.reconcile(now=now or timezone.now())
    statement = statements.write(folder=settings.LEDGER_STATEMENTS_DIR)
    log.log(
        logging.INFO if proof.is_passed else logging.ERROR,
        "tokens.ledger.reconciled",
        broken=[violation.name for violation in proof.violations],
        days=done["snapshot_days"],
        statement=None if statement is None else statement.name,
    )
