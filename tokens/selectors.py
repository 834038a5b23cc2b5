"""Read queries on the ledger."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection

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


def balance(*, user_id: int, now: dt.datetime | None = None) -> Balance:
    """The user's wallet; all zeros while it was never used.

    Args:
        user_id: primary key of the owner.
        now: the moment that decides which lots are effective; the current one by default.
    """
    moment = now or timezone.now()
    is_live = Q(expires_at__isnull=True) | Q(expires_at__gt=moment)
    sums = _lots(user_id).aggregate(
        spendable=Sum("available", filter=is_live & Q(effective_at__lte=moment), default=0),
        pending=Sum("available", filter=is_live & Q(effective_at__gt=moment), default=0),
        set_aside=Sum("held", default=0),
    )
    return Balance(available=sums["spendable"], held=sums["set_aside"], pending=sums["pending"])


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
        lines.append(StatementLine(transfer=_view(row), available_after=available, held_after=held))
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
    """What became of many holds, in two queries."""
    transfers: dict[uuid.UUID, list[TransferView]] = defaultdict(list)
    rows = (
        Transfer.objects.filter(hold_id__in=hold_ids)
        .select_related("hold")
        .annotate(available_change=AVAILABLE_CHANGE)
        .order_by("pk")
    )
    for row in rows:
        assert row.hold_id is not None, "filtered by hold"
        transfers[row.hold_id].append(_view(row))
    return {
        hold.pk: HoldReceipt(
            hold_id=hold.pk,
            status=hold.status.lower(),
            held=hold.amount,
            settled=hold.settled + hold.overrun - hold.refunded,
            refunded=0
            if hold.status == Hold.Status.PENDING
            else hold.amount - hold.settled + hold.refunded,
            transfers=tuple(transfers[hold.pk]),
        )
        for hold in Hold.objects.filter(pk__in=hold_ids)
    }


def _total(transfers: QuerySet[Transfer], change: Case) -> Coalesce:
    """The sum of ``change`` over all ``transfers`` as one sub-query that names no outer row."""
    totals = transfers.order_by().values("wallet").annotate(total=Sum(change)).values("total")
    return Coalesce(Subquery(totals), 0, output_field=BigIntegerField())


def _view(row: Transfer) -> TransferView:
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
