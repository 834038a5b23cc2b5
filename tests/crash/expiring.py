"""A crash of the server while the sweeps expire holds and lots."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.test import override_settings
from django.utils import timezone

from tests.crash.batches import balances
from tests.crash.processes import Say
from tests.crash.scenario import Person, assert_books_balance, register
from tokens import handlers, services
from tokens.models import CreditLot, Hold, Transfer, Wallet
from tokens.types import LotTerms, RechargeItem, RechargeMode, RechargeRequest

HOLDS_PER_OWNER = 3
KEPT = 10
OVERDUE = 5
SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Expiring:
    """Everybody has three overdue holds of one token, and one overdue lot beside them."""

    owners_count: int

    def prepare(self, *, say: Say) -> list[int]:
        with transaction.atomic():
            people = [register() for _owner in range(self.owners_count)]
        _grant(people, KEPT, terms=LotTerms())
        owner_ids = [pk for pk, _ref in people]
        past = timezone.now() - SECOND
        with transaction.atomic():
            for owner_id in owner_ids * HOLDS_PER_OWNER:
                services.place_hold(
                    owner_id=owner_id, amount=1, reference=uuid.uuid4().hex, expires_at=past
                )
        _grant(people, OVERDUE, terms=LotTerms(expires_at=past + DAY))
        _lots(owner_ids).update(effective_at=past - DAY, expires_at=past)
        return owner_ids

    def work(self, prepared: list[int], *, say: Say) -> None:
        handlers.expire_holds()
        handlers.expire_lots()

    def recover(self, prepared: list[int], said: Sequence[Any], *, say: Say) -> bool:
        holds = Hold.objects.filter(wallet__owner_id__in=prepared)
        left = Counter(holds.values_list("status", flat=True))
        lots_left = _lots(prepared).filter(available=OVERDUE).count()
        assert set(left) <= {"PENDING", "EXPIRED"}
        assert lots_left in {0, len(prepared)}, "lots that expire together are all or nothing"
        assert_books_balance()

        assert handlers.expire_holds() == left["PENDING"]
        assert handlers.expire_lots().lots == lots_left
        assert (handlers.expire_holds(), handlers.expire_lots().lots) == (0, 0)
        self._assert_end(prepared)
        assert_books_balance()
        return bool(left["EXPIRED"] and (left["PENDING"] or lots_left))

    def _assert_end(self, owner_ids: list[int]) -> None:
        """Every hold has come back once, and every overdue lot was written off once."""
        assert balances(owner_ids) == (KEPT,) * self.owners_count
        assert not Wallet.objects.filter(owner_id__in=owner_ids, held__gt=0).exists()
        holds = Hold.objects.filter(wallet__owner_id__in=owner_ids, status="EXPIRED")
        assert holds.count() == self.owners_count * HOLDS_PER_OWNER
        released = Transfer.objects.filter(wallet__owner_id__in=owner_ids, kind="RELEASE")
        per_hold = released.values("hold_id").annotate(tokens=Sum("amount"))
        assert dict(per_hold.values_list("hold_id", "tokens")) == dict(
            holds.values_list("id", "amount")
        )
        written_off = Transfer.objects.filter(wallet__owner_id__in=owner_ids, kind="EXPIRE")
        amounts = written_off.order_by("wallet__owner_id").values_list("wallet__owner_id", "amount")
        assert list(amounts) == [(owner_id, OVERDUE) for owner_id in owner_ids]


def _grant(people: list[Person], amount: int, *, terms: LotTerms) -> None:
    with override_settings(RECHARGE_SYNC_LINES_MAX=len(people)):
        services.bulk_recharge(
            request=RechargeRequest(
                items=tuple(RechargeItem(ref, amount) for _pk, ref in people),
                mode=RechargeMode.ATOMIC,
                operator="client",
                reason="purchase",
                terms=terms,
            ),
            actor_id=people[0][0],
            idempotency_key=uuid.uuid4().hex,
        )


def _lots(owner_ids: list[int]):
    """The overdue lots."""
    return CreditLot.objects.filter(wallet__owner_id__in=owner_ids, expires_at__isnull=False)
