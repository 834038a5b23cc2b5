"""Closing and reopening of months, by business time in UTC.

Closing is two short transactions. The first one waits for the writers at work, for a few seconds at
most, and then no transfer can take effect in the month. The second one adds the month up, which
takes as long as it takes and holds nobody up.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common import idempotency
from tokens import closing
from tokens.closing import Blocker
from tokens.errors import MonthBusyError, MonthNotClosableError, MonthNotClosedError
from tokens.ledger.events import record_event
from tokens.models import MonthClose

LOCK_WAIT = "3s"
LOCK_NOT_AVAILABLE = "55P03"
# Conflicts with every insert: when it is granted, all earlier transfers are committed.
LOCK_JOURNAL_SQL = "LOCK TABLE tokens_transfer IN SHARE ROW EXCLUSIVE MODE"
TOTALS_SQL = """
SELECT leg.account,
       coalesce(sum(leg.credited) FILTER (WHERE t.effective_at >= %(start)s), 0),
       coalesce(sum(leg.debited) FILTER (WHERE t.effective_at >= %(start)s), 0),
       sum(leg.credited) - sum(leg.debited)
  FROM tokens_transfer t
 CROSS JOIN LATERAL (VALUES (t.credit, t.amount, 0::bigint), (t.debit, 0::bigint, t.amount))
       AS leg(account, credited, debited)
 WHERE t.effective_at < %(end)s
 GROUP BY leg.account
"""
BLOCKER_TEXTS = {
    Blocker.NOT_ENDED: _("The month has not ended."),
    Blocker.NOT_RECONCILED: _("Reconcile first: the last day of the month has no snapshot."),
    Blocker.PREVIOUS_OPEN: _("Close the month before first."),
    Blocker.BREAKS_OPEN: _("Resolve the open breaks first."),
}


def close(*, month: dt.date, actor_id: int, now: dt.datetime) -> MonthClose:
    """Refuse transfers into the month from now on, and keep the figures it ends with.

    Owns its transactions. Repeating it returns the closed month, and completes it where the first
    attempt was cut short before the figures were there.

    Raises:
        MonthNotClosableError: it has not ended, its days are not reconciled, the month before
            has transfers and is open, or breaks are open.
        MonthBusyError: writers did not end in time; nothing has changed, try again.
    """
    closed = _open_row(month)
    if closed is None:
        _check_closable(month, now=now)
        closed = _lock_out(month, actor_id=actor_id)
    if closed.totals is None:
        _keep_totals(closed, actor_id=actor_id)
    return closed


@transaction.atomic(durable=True)
def reopen(*, month: dt.date, actor_id: int, reason: str) -> MonthClose:
    """Let transfers take effect in a closed month again; the row of the closing stays.

    Raises:
        MonthNotClosedError: it is not closed, or a later month still is.
    """
    row = MonthClose.objects.select_for_update(no_key=True).filter(
        month=month, reopened_at__isnull=True
    )
    closed = row.order_by("pk").first()
    if closed is None:
        raise MonthNotClosedError(_("This month is not closed."), month=f"{month:%Y-%m}")
    if MonthClose.objects.filter(month__gt=month, reopened_at__isnull=True).exists():
        raise MonthNotClosedError(
            _("Reopen the later months first: their figures build on this one."),
            month=f"{month:%Y-%m}",
        )
    closed.reopened_at = timezone.now()
    closed.reopened_by_id = actor_id
    closed.reopen_reason = reason
    closed.save(update_fields=["reopened_at", "reopened_by", "reopen_reason"])
    record_event(
        actor_id=actor_id,
        action="ledger_month.reopened",
        subject=f"ledger_month:{month:%Y-%m}",
        before={"is_closed": True, "totals_sha256": closed.totals_sha256},
        after={"is_closed": False, "reason": reason},
    )
    return closed


def open_from() -> dt.datetime | None:
    """The first moment at which a transfer may take effect; None while no month is closed.

    Read it under the wallets' locks or not, the trigger decides: a month that is closed in between
    refuses the transfer with SQLSTATE TK002.
    """
    last = MonthClose.objects.filter(reopened_at__isnull=True).order_by("-month").first()
    return None if last is None else closing.bounds(last.month)[1]


def _open_row(month: dt.date) -> MonthClose | None:
    return MonthClose.objects.filter(month=month, reopened_at__isnull=True).first()


def _check_closable(month: dt.date, *, now: dt.datetime) -> None:
    found = closing.blockers(month=month, now=now)
    if found:
        raise MonthNotClosableError(
            BLOCKER_TEXTS[found[0]],
            month=f"{month:%Y-%m}",
            blockers=[blocker.value for blocker in found],
        )


def _lock_out(month: dt.date, *, actor_id: int) -> MonthClose:
    try:
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
                cursor.execute(LOCK_JOURNAL_SQL)
            # Somebody else may have closed it while this one waited.
            closed, is_new = MonthClose.objects.get_or_create(
                month=month, reopened_at=None, defaults={"closed_by_id": actor_id}
            )
            if is_new:
                record_event(
                    actor_id=actor_id,
                    action="ledger_month.closed",
                    subject=f"ledger_month:{month:%Y-%m}",
                    before={"is_closed": False},
                    after={"is_closed": True},
                )
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise MonthBusyError(
            _("Transfers are being written; the month was not closed."), month=f"{month:%Y-%m}"
        ) from error
    return closed


@transaction.atomic(durable=True)
def _keep_totals(closed: MonthClose, *, actor_id: int) -> None:
    start, end = closing.bounds(closed.month)
    with connection.cursor() as cursor:
        cursor.execute(TOTALS_SQL, {"start": start, "end": end})
        totals: dict[str, Any] = {
            account: {"credited": int(credited), "debited": int(debited), "closing": int(closing)}
            for account, credited, debited, closing in cursor.fetchall()
        }
    closed.totals = totals
    closed.totals_sha256 = idempotency.fingerprint(totals)
    closed.save(update_fields=["totals", "totals_sha256"])
    record_event(
        actor_id=actor_id,
        action="ledger_month.added_up",
        subject=f"ledger_month:{closed.month:%Y-%m}",
        before=None,
        after={"totals": totals},
    )
