"""Holds: each step is one database function, so one round trip and one transition.

The functions stand in ``migrations/sql``. They lock the wallet first and read lots and hold after.
A call outside a transaction is one of its own.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from psycopg.types.numeric import Int8

from tokens.ledger.locks import require_transaction
from tokens.ledger.prepared import fetch_row
from tokens.models import Hold, HoldEvent, Wallet
from tokens.types import HoldOrder

WALLET_NOT_ACTIVE = "TK001"

# The function is called row by row in this order, and each call sees what those before it took.
RESERVE_MANY_SQL = """
SELECT wanted.hold_id,
       tokens_place_hold(wanted.hold_id, given.owner_id, wanted.amount, wanted.reference,
                         given.expires_at, wanted.operation)
  FROM (SELECT %s::bigint AS owner_id, %s::timestamptz AS expires_at) given,
       (SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[])
          WITH ORDINALITY AS listed (hold_id, amount, reference, operation, position)
         ORDER BY position) wanted
"""
# Ids that grow with time, so that their indexes grow at one end.
PLACE_SQL = """
SELECT id, tokens_place_hold(id, %s, %s, %s, %s, %s) FROM uuidv7() AS id
"""
RESOLVE_SQL = "SELECT tokens_resolve_hold(%s, %s, %s, %s, %s)"
REFUND_LOCK_SQL = """
SELECT status FROM tokens_wallet
 WHERE id = (SELECT wallet_id FROM tokens_hold WHERE id = %s) FOR NO KEY UPDATE
"""


class WalletNotActiveError(Exception):
    """The wallet is frozen, or ``is_closed``."""

    def __init__(self, *, is_closed: bool) -> None:
        super().__init__()
        self.is_closed = is_closed


def reserve(
    *, owner_id: int, amount: int, reference: str, expires_at: dt.datetime, operation: str = ""
) -> uuid.UUID | int:
    """Move ``amount`` from the owner's spendable lots, in burn order, into a new hold.

    Returns:
        The hold's id; or the tokens that could be spent when they are too few, and then nothing
        is written.

    Raises:
        WalletNotActiveError: the wallet is frozen or closed.
        IntegrityError: the reference already has a hold.
    """
    try:
        hold_id: uuid.UUID
        hold_id, spendable = fetch_row(
            PLACE_SQL, [Int8(owner_id), Int8(amount), reference, expires_at, operation]
        )
    except DatabaseError as error:
        raise _not_active(error) from error
    return hold_id if spendable is None else int(spendable)


def reserve_many(
    *, owner_id: int, orders: Sequence[HoldOrder], expires_at: dt.datetime
) -> dict[uuid.UUID, int]:
    """``reserve`` for many holds of one owner, in their order, in one statement.

    Returns:
        By id of each hold that was not placed, the tokens that could be spent at its turn.

    Raises:
        WalletNotActiveError: the wallet is frozen or closed.
        IntegrityError: a reference already has a hold.
    """
    require_transaction()
    columns: list[list[Any]] = [
        [order.hold_id for order in orders],
        [order.amount for order in orders],
        [order.reference for order in orders],
        [order.operation.value for order in orders],
    ]
    try:
        with connection.cursor() as cursor:
            cursor.execute(RESERVE_MANY_SQL, [owner_id, expires_at, *columns])
            return {hold_id: spendable for hold_id, spendable in cursor if spendable is not None}
    except DatabaseError as error:
        raise _not_active(error) from error


def resolve(
    *,
    hold_id: uuid.UUID,
    settled: int,
    status: Hold.Status,
    due_at: dt.datetime | None = None,
    grace: dt.timedelta | None,
) -> str | None:
    """Close a pending hold: ``settled`` tokens are spent, the rest goes back.

    Args:
        hold_id: the hold.
        settled: 0 to the held amount.
        status: what the hold becomes.
        due_at: only if its deadline is not after this moment.
        grace: how long tokens live on whose lot expired while they were held; None: not at all.

    Returns:
        The status before: ``PENDING`` when this call closed it, ``NOT_DUE`` when the deadline was
        moved; None when there is no such hold.

    Raises:
        IntegrityError: ``settled`` is negative or above the held amount.
    """
    before: str | None
    (before,) = fetch_row(RESOLVE_SQL, [hold_id, Int8(settled), status.value, due_at, grace])
    return before


def charge_overrun(*, hold_id: uuid.UUID, amount: int) -> int:
    """Charge what work cost beyond its hold, as far as the spendable tokens go.

    Call it right after ``resolve`` in the same transaction.

    Returns:
        The tokens charged.
    """
    require_transaction()
    return int(_call("tokens_charge_overrun", hold_id, amount))


def refund(*, hold_id: uuid.UUID, amount: int, grace: dt.timedelta, note: str) -> str | None:
    """Give back tokens that a settled hold has spent, once.

    Returns:
        None when it was done, else ``NOT_FOUND``, ``NOT_SETTLED``, ``REFUNDED``, ``TOO_MUCH`` or
        ``WALLET_CLOSED``.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(REFUND_LOCK_SQL, [hold_id])
        if cursor.fetchone() == (Wallet.Status.CLOSED,):
            return "WALLET_CLOSED"
    refusal = _call("tokens_refund_hold", hold_id, amount, grace, note)
    return None if refusal is None else str(refusal)


def extend(*, hold_id: uuid.UUID, expires_at: dt.datetime) -> bool:
    """Move a pending hold's deadline. False when it is no longer pending."""
    is_extended = Hold.objects.filter(pk=hold_id, status=Hold.Status.PENDING).update(
        expires_at=expires_at
    )
    if is_extended:
        note(hold_id=hold_id, kind=HoldEvent.Kind.EXTENDED, text=expires_at.isoformat())
    return bool(is_extended)


def note(*, hold_id: uuid.UUID, kind: HoldEvent.Kind, tokens: int = 0, text: str = "") -> None:
    """Record that something happened to a hold; moves nothing."""
    HoldEvent.objects.create(hold_id=hold_id, kind=kind, tokens=tokens, note=text)


def _not_active(error: DatabaseError) -> Exception:
    """What ``error`` says about the wallet; the error itself where it is about something else."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and cause.sqlstate == WALLET_NOT_ACTIVE:
        # The message ends with the status that the function saw under the lock.
        is_closed = (cause.diag.message_primary or "").endswith(Wallet.Status.CLOSED)
        return WalletNotActiveError(is_closed=is_closed)
    return error


def _call(function: str, *arguments: Any) -> Any:
    with connection.cursor() as cursor:
        placeholders = ", ".join(["%s"] * len(arguments))
        # The name is one of ours; values travel as parameters.
        cursor.execute(f"SELECT {function}({placeholders})", arguments)
        (value,) = cursor.fetchone()
    return value
