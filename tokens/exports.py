"""CSV exports, streamed by the database.

Times are ISO 8601 in UTC, amounts are whole numbers. A text that a spreadsheet would take for a
formula gets an apostrophe in front. Each export is one statement, so it shows one moment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from tokens.books import Basis, day_range, timed
from tokens.errors import UnknownExportError


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which export, of which days (both included, in UTC), by which time, of whose account.

    The balances are those at the end of ``last``. ``owner_id`` None means everybody's.
    """

    name: str
    first: dt.date
    last: dt.date
    basis: Basis = Basis.RECORDED
    owner_id: int | None = None


# Keeps an export to one account where one is named.
OF_OWNER = "(%(owner_id)s::bigint IS NULL OR w.owner_id = %(owner_id)s)"
# The same, but what is owed and what was earned leave out sandboxes that are not named.
OF_OWNER_OR_PEOPLE = (
    "CASE WHEN %(owner_id)s::bigint IS NULL THEN u.sandbox_of_id IS NULL"
    " ELSE w.owner_id = %(owner_id)s END"
)
STATEMENTS = {
    "journal": """
SELECT t.id, t.kind, u.user_ref AS user, 'lot_' || t.lot_id AS lot, t.debit, t.credit, t.amount,
       tokens_csv_text(coalesce(h.reference, 'recharge_batch:' || l.batch_id,
                                'adjustment:' || t.adjustment_id, '')) AS reference,
       coalesce(h.operation, '') AS operation,
       tokens_iso(t.effective_at) AS effective_at, tokens_iso(t.recorded_at) AS recorded_at,
       m.block_id AS seal
  FROM tokens_transfer t
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
  LEFT JOIN tokens_hold h ON h.id = t.hold_id
  LEFT JOIN tokens_rechargeline l ON l.id = t.recharge_line_id
  LEFT JOIN tokens_sealmember m ON m.transfer_id = t.id
 WHERE t.:moment >= %(start)s AND t.:moment < %(end)s AND :of_owner
 ORDER BY t.id
""",
    "balances": """
SELECT u.user_ref AS user,
       sum((t.credit = 'WALLET')::int * t.amount - (t.debit = 'WALLET')::int * t.amount)
       AS available,
       sum((t.credit = 'HELD')::int * t.amount - (t.debit = 'HELD')::int * t.amount) AS held
  FROM tokens_transfer t
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
 WHERE t.:moment < %(end)s AND :of_owner_or_people
 GROUP BY u.user_ref ORDER BY u.user_ref
""",
    "daily": """
SELECT s.day, s.account, coalesce(u.user_ref, '') AS user, s.opening, s.credited AS "in",
       s.debited AS out, s.closing
  FROM tokens_balancesnapshot s
  LEFT JOIN tokens_wallet w ON w.id = s.wallet_id
  LEFT JOIN accounts_user u ON u.id = w.owner_id
 WHERE s.day >= (%(start)s::timestamptz AT TIME ZONE 'UTC')::date
   AND s.day < (%(end)s::timestamptz AT TIME ZONE 'UTC')::date AND :of_owner
 ORDER BY s.day, s.account, u.user_ref
""",
    "consumption": """
SELECT (t.:moment AT TIME ZONE 'UTC')::date AS day, u.user_ref AS user, h.operation,
       coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('SETTLE', 'OVERRUN')), 0) AS charged,
       coalesce(sum(t.amount) FILTER (WHERE t.kind = 'REFUND'), 0) AS refunded,
       sum(CASE WHEN t.kind = 'REFUND' THEN -t.amount ELSE t.amount END) AS net
  FROM tokens_transfer t
  JOIN tokens_wallet w ON w.id = t.wallet_id
  JOIN accounts_user u ON u.id = w.owner_id
  JOIN tokens_hold h ON h.id = t.hold_id
 WHERE t.kind IN ('SETTLE', 'OVERRUN', 'REFUND') AND t.:moment >= %(start)s AND t.:moment < %(end)s
   AND :of_owner_or_people
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""",
    "audit": """
SELECT e.id, tokens_iso(e.recorded_at) AS recorded_at, coalesce(u.user_ref, '') AS actor,
       tokens_csv_text(e.action) AS action, tokens_csv_text(e.subject) AS subject,
       e.before, e.after, e.before_sha256, e.after_sha256,
       tokens_csv_text(e.request_id) AS request_id, m.block_id AS seal
  FROM tokens_auditevent e
  LEFT JOIN accounts_user u ON u.id = e.actor_id
  LEFT JOIN tokens_sealedevent m ON m.event_id = e.id
 WHERE e.recorded_at >= %(start)s AND e.recorded_at < %(end)s
 ORDER BY e.id
""",
    "seals": """
SELECT b.number, tokens_iso(b.sealed_at) AS sealed_at, b.transfers_count AS transfers,
       b.tokens_total AS tokens_moved, b.events_count AS audit_events, b.transfers_sha256,
       b.events_sha256, b.previous_hash, b.hash
  FROM tokens_sealblock b
 WHERE b.sealed_at >= %(start)s AND b.sealed_at < %(end)s
 ORDER BY b.number
""",
}
NAMES = tuple(STATEMENTS)
# Those that can be kept to one account.
OWNED_NAMES = tuple(name for name, sql in STATEMENTS.items() if ":of_owner" in sql)
COPY_SQL = "COPY (:statement) TO STDOUT WITH (FORMAT csv, HEADER true)"
FETCH_ROWS = 2_000
COUNT_SQL = "SELECT count(*) FROM (:statement) entries"


def check(*, request: ExportRequest) -> None:
    """Refuse what could not be exported.

    Raises:
        UnknownExportError: as ``stream``.
    """
    _prepare(request)


def stream(*, request: ExportRequest, using: BaseDatabaseWrapper | None = None) -> Iterator[bytes]:
    """The export as CSV in UTF-8, in pieces as the database sends them; the first line is a header.

    Each piece is one row, which may hold line breaks.

    Args:
        request: what to export.
        using: another connection than the thread's own.

    Raises:
        UnknownExportError: there is none of this name or none of one account, or the range ends
            before it starts.
    """
    statement, parameters = _prepare(request)
    return _copy(using or connection, COPY_SQL.replace(":statement", statement), parameters)


def rows(
    *, request: ExportRequest, using: BaseDatabaseWrapper
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns, and the rows one after the other, as values of Python.

    Args:
        request: what to export.
        using: a connection with an open transaction, which holds the cursor.

    Raises:
        UnknownExportError: as ``stream``.
    """
    statement, parameters = _prepare(request)
    cursor = using.chunked_cursor()
    cursor.execute(statement, parameters)
    first = cursor.fetchmany(FETCH_ROWS)
    return [column.name for column in cursor.description or ()], _fetched(cursor, first)


def count_rows(*, request: ExportRequest, using: BaseDatabaseWrapper | None = None) -> int:
    """Rows that the export would have, without its header.

    Args:
        request: what to export.
        using: another connection than the thread's own.

    Raises:
        UnknownExportError: there is none of this name or none of one account, or the range ends
            before it starts.
    """
    statement, parameters = _prepare(request)
    with (using or connection).cursor() as cursor:
        cursor.execute(COUNT_SQL.replace(":statement", statement), parameters)
        return int(cursor.fetchone()[0])


def _prepare(request: ExportRequest) -> tuple[str, dict[str, Any]]:
    statement = STATEMENTS.get(request.name)
    if statement is None:
        raise UnknownExportError(
            _("There is no such export."), param="name", exports=list(STATEMENTS)
        )
    # The end of a day is the start of the next one, and the last day of all has none.
    if request.last == dt.date.max:
        raise UnknownExportError(_("The range ends too late."), param="last")
    if request.last < request.first:
        raise UnknownExportError(_("The range ends before it starts."), param="last")
    if request.owner_id is not None and request.name not in OWNED_NAMES:
        raise UnknownExportError(
            _("This export is not about accounts."), param="user", exports=list(OWNED_NAMES)
        )
    parameters = {**day_range(request.first, request.last), "owner_id": request.owner_id}
    statement = statement.replace(":of_owner_or_people", OF_OWNER_OR_PEOPLE)
    return timed(statement.replace(":of_owner", OF_OWNER), request.basis), parameters


def _copy(
    using: BaseDatabaseWrapper, statement: str, parameters: dict[str, Any]
) -> Iterator[bytes]:
    with using.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        for piece in copy:
            yield bytes(piece)


def _fetched(cursor: Any, page: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    with cursor:
        while page:
            yield from page
            page = cursor.fetchmany(FETCH_ROWS)
