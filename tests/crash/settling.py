"""A crash of the server while a client buys tokens, holds them and settles."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.crash.processes import Say
from tests.crash.scenario import Person, assert_books_balance, register
from tokens import selectors, services
from tokens.errors import HoldResolvedError
from tokens.models import Hold, Transfer
from tokens.types import RechargeItem, RechargeMode, RechargeRequest

HOLDS_PER_ROUND = 10
HELD = 2
SPENT = 1
BOUGHT = HOLDS_PER_ROUND * HELD
Step = tuple[str, str]
# What the client was told, and whether that had been done before.
Answer = tuple[object, bool]


@dataclass(frozen=True, slots=True)
class Settling:
    """In every round the client buys tokens, then holds some and spends half of each, ten times.

    It notes each answer as soon as it gets it, so after a crash it knows all but one for certain.
    """

    rounds: int

    def prepare(self, *, say: Say) -> Person:
        return register()

    def work(self, prepared: Person, *, say: Say) -> None:
        for step in self._steps(prepared):
            answer, _is_repeat = do(step, prepared)
            say(answer)

    def recover(self, prepared: Person, said: Sequence[object], *, say: Say) -> bool:
        """Send everything again, under the same keys and references, as if nothing was known."""
        assert_books_balance()
        steps = list(self._steps(prepared))
        for number, step in enumerate(steps):
            answer, was_done = do(step, prepared)
            if number < len(said):
                assert was_done, f"{step} was acknowledged and is lost"
                assert answer == said[number]
            elif number > len(said):
                assert not was_done, f"{step} was never asked for"
            assert do(step, prepared) == (answer, True), f"{step} is done again"
        self._assert_end(prepared)
        assert_books_balance()
        return 0 < len(said) < len(steps)

    def _steps(self, person: Person) -> Iterator[Step]:
        owner_id, _ref = person
        for number in range(self.rounds):
            yield "recharge", f"{owner_id}:{number}"
            for part in range(HOLDS_PER_ROUND):
                yield "hold", f"{owner_id}:{number}:{part}"
                yield "settle", f"{owner_id}:{number}:{part}"

    def _assert_end(self, person: Person) -> None:
        """Every hold has spent its tokens exactly once."""
        owner_id, _ref = person
        holds_count = self.rounds * HOLDS_PER_ROUND
        balance = selectors.balance(user_id=owner_id)
        assert (balance.available, balance.held) == (holds_count * (HELD - SPENT), 0)
        journal = Transfer.objects.filter(wallet__owner_id=owner_id, kind="SETTLE")
        spent = list(journal.values_list("hold__reference", "amount").order_by("pk"))
        names = [name for verb, name in self._steps(person) if verb == "settle"]
        assert spent == [(name, SPENT) for name in names]


def do(step: Step, person: Person) -> Answer:
    """Ask for one step. Asking again gives the same answer and moves nothing."""
    verb, name = step
    owner_id, user_ref = person
    if verb == "recharge":
        receipt = services.bulk_recharge(
            request=RechargeRequest(
                items=(RechargeItem(user_ref, BOUGHT),),
                mode=RechargeMode.ATOMIC,
                operator="client",
                reason="purchase",
            ),
            actor_id=owner_id,
            idempotency_key=name,
        )
        return receipt.batch_id, receipt.is_replay
    if verb == "hold":
        return _hold(owner_id, name)
    return _settle(Hold.objects.get(reference=name).pk)


def _hold(owner_id: int, name: str) -> Answer:
    try:
        with transaction.atomic():
            hold_id = services.place_hold(
                owner_id=owner_id,
                amount=HELD,
                reference=name,
                expires_at=timezone.now() + dt.timedelta(hours=1),
            )
    except IntegrityError:
        return Hold.objects.get(reference=name).pk, True
    return hold_id, False


def _settle(hold_id: uuid.UUID) -> Answer:
    try:
        with transaction.atomic():
            charged = services.settle_hold(hold_id=hold_id, amount=SPENT)
    except HoldResolvedError:
        return selectors.hold_receipt(hold_id=hold_id).settled, True
    return charged, False
