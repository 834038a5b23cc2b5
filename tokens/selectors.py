"""Read queries on the ledger."""

from __future__ import annotations

import datetime as dt
import itertools
import operator
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final

from django.db import connection
from django.db.models import BigIntegerField, Case, F, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from tokens.models import Account, CreditLot, Hold, Transfer
from tokens.recharge_selectors import (
    parse_cursor,
    recharge_batches,
    recharge_lines,
    recharge_receipt,
)
from tokens.types import (
    Balance,
    HoldReceipt,
    LotView,
    StatementLine,
    StatementPage,
    TransferView,
)

__all__ = [
    "balance",
    "hold_receipt",
    "hold_receipts",
    "lots",
    "recharge_batches",
    "recharge_lines",
    "recharge_receipt",
    "spendable_balances",
    "statement",
]

# What a transfer does to a figure follows from its accounts, whatever its kind.
AVAILABLE_CHANGE = Case(
    When(credit=Account.WALLET, then=F("amount")),
    When(debit=Account.WALLET, then=-F("amount")),
    default=0,
    output_field=BigIntegerField(),
)
HELD_CHANGE = Case(
    When(credit=Account.HELD, then=F("amount")),
    When(debit=Account.HELD, then=-F("amount")),
    default=0,
    output_field=BigIntegerField(),
)


_BALANCE_SQL: Final = """
SELECT coalesce(sum(lot.available) FILTER (
           WHERE lot.effective_at <= %(moment)s
             AND (lot.expires_at IS NULL OR lot.expires_at > %(moment)s)), 0)::bigint,
       coalesce(sum(lot.held), 0)::bigint,
       coalesce(sum(lot.available) FILTER (
           WHERE lot.effective_at > %(moment)s
             AND (lot.expires_at IS NULL OR lot.expires_at > %(moment)s)), 0)::bigint
  FROM tokens_creditlot lot
  JOIN tokens_wallet wallet ON wallet.id = lot.wallet_id
 WHERE wallet.owner_id = %(user)s AND lot.is_live
"""
# A hold has transfers: the first ones placed it.
_RECEIPTS_SQL: Final = """
SELECT hold.id, hold.status, hold.reference, hold.amount, hold.settled, hold.overrun, hold.refunded,
       transfer.id, transfer.kind, transfer.amount,
       CASE 'WALLET' WHEN transfer.credit THEN transfer.amount
                     WHEN transfer.debit THEN -transfer.amount ELSE 0 END,
       transfer.recorded_at, transfer.lot_id
  FROM tokens_hold hold
  JOIN tokens_transfer transfer ON transfer.hold_id = hold.id
 WHERE hold.id = ANY(%s)
 ORDER BY hold.id, transfer.id
"""


def balance(*, user_id: int, now: dt.datetime | None = None) -> Balance:
    """The user's wallet; all zeros while it was never used.

    Args:
        user_id: primary key of the owner.
        now: the moment that decides which lots are effective; the current one by default.
    """
    moment = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_BALANCE_SQL, {"user": user_id, "moment": moment})
        available, held, pending = cursor.fetchone()
    return Balance(available=available, held=held, pending=pending)


def spendable_balances(
    *, user_ids: Collection[int], now: dt.datetime | None = None
) -> dict[int, int]:
    """What each of the users can spend now; 0 without a wallet. One query."""
    moment = now or timezone.now()
    is_unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=moment)
    lots = CreditLot.objects.filter(
        is_unexpired,
        is_live=True,
        wallet__owner_id__in=user_ids,
        available__gt=0,
        effective_at__lte=moment,
    )
    sums = lots.values_list("wallet__owner_id").annotate(tokens=Sum("available"))
    return dict.fromkeys(user_ids, 0) | {owner_id: int(tokens) for owner_id, tokens in sums}


def lots(*, user_id: int) -> list[LotView]:
    """The user's lots that still hold tokens, in burn order."""
    rows = _lots(user_id).order_by("priority", F("expires_at").asc(nulls_last=True), "pk")
    return [
        LotView(
            id=f"lot_{row.pk}",
            category=row.category.lower(),
            granted=row.granted,
            available=row.available,
            held=row.held,
            priority=row.priority,
            effective_at=row.effective_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]


def _lots(user_id: int) -> QuerySet[CreditLot]:
    return CreditLot.objects.filter(is_live=True, wallet__owner_id=user_id)


def statement(*, user_id: int, limit: int, cursor: str | None = None) -> StatementPage:
    """The user's journal, newest first, each line with the balance right after it.

    One statement reads the lines, the wallet and what happened since the page, so a charge that
    commits in between cannot make the running balance disagree with the lines.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    before = parse_cursor(cursor)
    mine = Transfer.objects.filter(wallet__owner_id=user_id)
    page = mine if before is None else mine.filter(pk__lt=before)
    newer = mine.none() if before is None else mine.filter(pk__gte=before)
    rows = list(
        page.order_by("-pk")
        .select_related("hold", "recharge_line", "wallet")
        .annotate(
            available_change=AVAILABLE_CHANGE,
            held_change=HELD_CHANGE,
            newer_available=_total(newer, AVAILABLE_CHANGE),
            newer_held=_total(newer, HELD_CHANGE),
        )[: limit + 1]
    )
    lines: list[StatementLine] = []
    if rows:
        available = rows[0].wallet.available - rows[0].newer_available
        held = rows[0].wallet.held - rows[0].newer_held
    for row in rows[:limit]:
        lines.append(
            StatementLine(transfer=transfer_view(row), available_after=available, held_after=held)
        )
        available -= row.available_change
        held -= row.held_change
    is_last = len(rows) <= limit
    return StatementPage(
        lines=tuple(lines), next_cursor=None if is_last else str(rows[limit - 1].pk)
    )


def hold_receipt(*, hold_id: uuid.UUID) -> HoldReceipt:
    """What became of one hold.

    Raises:
        KeyError: there is no such hold.
    """
    return hold_receipts(hold_ids=[hold_id])[hold_id]


def hold_receipts(*, hold_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, HoldReceipt]:
    """What became of many holds, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_RECEIPTS_SQL, [list(hold_ids)])
        rows = cursor.fetchall()
    by_hold = itertools.groupby(rows, key=operator.itemgetter(0))
    return {hold_id: _receipt(hold_id, list(of_one)) for hold_id, of_one in by_hold}


def _receipt(hold_id: uuid.UUID, rows: Sequence[tuple[Any, ...]]) -> HoldReceipt:
    """Of the rows of one hold; each repeats the hold before its transfer."""
    status, reference, amount, settled, overrun, refunded = rows[0][1:7]
    is_pending = status == Hold.Status.PENDING
    return HoldReceipt(
        hold_id=hold_id,
        status=status.lower(),
        held=amount,
        settled=settled + overrun - refunded,
        refunded=0 if is_pending else amount - settled + refunded,
        transfers=tuple(
            TransferView(
                id=f"tr_{pk}",
                kind=kind.lower(),
                tokens=tokens,
                available_change=change,
                recorded_at=recorded_at,
                reference=reference,
                lot=f"lot_{lot_id}",
            )
            for *_hold, pk, kind, tokens, change, recorded_at, lot_id in rows
        ),
    )


def _total(transfers: QuerySet[Transfer], change: Case) -> Coalesce:
    """The sum of ``change`` over all ``transfers`` as one sub-query that names no outer row."""
    totals = transfers.order_by().values("wallet").annotate(total=Sum(change)).values("total")
    return Coalesce(Subquery(totals), 0, output_field=BigIntegerField())


def transfer_view(row: Transfer) -> TransferView:
    """A transfer of the journal as interfaces show it; annotated with ``AVAILABLE_CHANGE``."""
    if row.hold is not None:
        reference = row.hold.reference
    elif row.recharge_line is not None:
        reference = f"recharge_batch:{row.recharge_line.batch_id}"
    elif row.adjustment_id is not None:
        reference = f"adjustment:{row.adjustment_id}"
    else:
        reference = f"lot_{row.lot_id}"
    change: int = row.available_change  # type: ignore[attr-defined]  # annotated by the query
    return TransferView(
        id=f"tr_{row.pk}",
        kind=row.kind.lower(),
        tokens=row.amount,
        available_change=change,
        recorded_at=row.recorded_at,
        reference=reference,
        lot=f"lot_{row.lot_id}",
    )
