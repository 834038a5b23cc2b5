"""What accounts did with tokens they were given, for rules that measure it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from facefusion_site.common.activity import Activity
from tokens.models import CreditLot, Transfer

_GIVEN: Final = (
    CreditLot.Category.PROMO,
    CreditLot.Category.REWARD,
    CreditLot.Category.PLAN,
)
_CHUNK: Final = 1000


def burned_grants(
    *, hold_ids: Iterable[uuid.UUID], within: dt.timedelta, granted_min: int
) -> Iterator[Activity]:
    """What these holds took from tokens that were given away a short while before.

    Tokens that were paid for are never among them: who buys may spend at once.

    Args:
        hold_ids: in the order of time.
        within: how long before the hold the tokens were given.
        granted_min: grants of fewer tokens are left out.

    Returns:
        One activity per hold and lot: the group is the lot, the whole what it was granted.
    """
    remaining = iter(hold_ids)
    while ids := list(islice(remaining, _CHUNK)):
        rows = Transfer.objects.filter(
            hold__in=ids,
            kind=Transfer.Kind.HOLD,
            lot__category__in=_GIVEN,
            lot__granted__gte=granted_min,
        ).select_related("lot", "wallet")
        for row in rows.order_by("recorded_at", "pk"):
            if row.recorded_at - row.lot.created_at <= within:
                yield Activity(
                    user_id=row.wallet.owner_id,
                    at=row.recorded_at,
                    group=str(row.lot_id),
                    amount=row.amount,
                    whole=row.lot.granted,
                    reference=f"hold:{row.hold_id}",
                )
