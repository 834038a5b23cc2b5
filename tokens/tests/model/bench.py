"""What every step of a random history shares: ask both, compare, count."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from django.db import IntegrityError, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from accounts import services as accounts_services
from accounts.types import Role
from facefusion_site.common.errors import DomainError
from tokens import audit, batch_handlers, handlers, services
from tokens.tests.model.batches import Batch, Person, Recharges, Row
from tokens.tests.model.clock import StandingClock
from tokens.tests.model.compare import Mirror, same
from tokens.tests.model.drafts import request
from tokens.tests.model.wallets import GRACE_H, Hold, Refused
from tokens.types import OverrunPolicy, RechargeReceipt

PEOPLE = 5
START_TOKENS = 30
# Whose first hold is spent at once, from two lots.
SPENDERS = {PEOPLE - 2, PEOPLE - 1}
# What a run does beside its steps, at its beginning and end and in sweeps.
OPERATIONS_AROUND = 20
PICKS = st.integers(0, 15)
SOMEBODY = st.integers(0, PEOPLE - 1)
HOURS = st.sampled_from([1, 2, 3, 5, 0])
T = TypeVar("T")
_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned, or why it was refused."""

    value: Any = None
    refusal: str = ""
    facts: tuple[tuple[str, object], ...] = ()


@dataclass(eq=False, slots=True)
class Sent:
    """A request that can be sent again, with its body or with another mode."""

    mode: str
    expected: Callable[[str], tuple[Batch, bool]]
    actual: Callable[[str], RechargeReceipt]
    receipt: RechargeReceipt | None = None


class Bench(RuleBasedStateMachine):
    """One run: five people, one operator, the real ledger and the model of it."""

    clock: ClassVar[StandingClock]
    operations: ClassVar[Counter[str]] = Counter()
    events: ClassVar[Counter[str]] = Counter()
    runs: ClassVar[int] = 0
    # Rarely: an audit reads everything that all runs have left behind.
    runs_per_audit: ClassVar[int] = 20

    def __init__(self) -> None:
        super().__init__()
        self.clock.restart()
        run = next(_serial)
        self.operator = accounts_services.register_user(
            username=f"operator-{run}", password=None, role=Role.OPERATOR
        )
        self.users = [
            accounts_services.register_user(username=f"user-{run}-{number}", password=None)
            for number in range(PEOPLE)
        ]
        self.people = [Person(user.user_ref) for user in self.users]
        self.recharges = Recharges(self.people)
        self.holds: list[Hold] = []
        self.sent: list[Sent] = []
        self.touched: set[Batch] = set()
        # Whether the last comparison passed: after a failed one there is nothing left to prove.
        self.is_sound = False
        self._begin()
        owners = {
            user.pk: person.wallet for user, person in zip(self.users, self.people, strict=True)
        }
        self.mirror = Mirror(wallets=owners, clock=self.clock)

    def _begin(self) -> None:
        """Give everybody a lot that ends, one that does not, and a hold.

        So a short history, and one that places no holds, can still meet the corners.
        """
        for ends_at in (4, None):
            rows = [Row(person.ref, START_TOKENS, expires_at=ends_at) for person in self.people]
            self._recharge(rows, mode="atomic")
            self._work(self.recharges.batches[-1])
        for who in range(PEOPLE):
            takes_both = who in SPENDERS
            self._place(who, amount=START_TOKENS * (4 if takes_both else 2) // 3, lasts=6)
            if takes_both:
                self._settle(self.holds[-1], 4, OverrunPolicy.REFUSE)

    @property
    def now(self) -> int:
        """The hour."""
        return self.recharges.now

    @property
    def open_batches(self) -> list[Batch]:
        return [batch for batch in self.recharges.batches if batch.status in {"QUEUED", "PAUSED"}]

    @invariant()
    def database_equals_model(self) -> None:
        self.mirror.check(self.open_batches, changed=self.touched, now=self.now)
        self.touched.clear()
        self.is_sound = True

    def teardown(self) -> None:
        """Let everything come to its end, and look at all of it once more."""
        if not self.is_sound:
            return
        for batch in self.recharges.batches:
            if batch.status == "PAUSED":
                self._steer("resume", batch)
            if batch.status == "QUEUED":
                self._work(batch)
        last = max((hold.deadline for hold in self.holds), default=0)
        self._move_clock(max(last, self.now) + 1)
        self._sweep_holds()
        self._move_clock(self.now + GRACE_H)
        self._sweep_lots()
        self.touched.update(self.recharges.batches)  # also those that were final long ago
        self.database_equals_model()
        self.mirror.check_history()
        for person in self.people:
            type(self).events.update(f"journal: {kind}" for kind in +person.wallet.journal)
        type(self).runs += 1
        if self.runs % self.runs_per_audit == 0:
            handlers.seal_ledger()
            assert audit.find_violations() == []

    def _both(self, name: str, *, expected: Callable[[], Any], actual: Callable[[], Any]) -> Any:
        """Ask the model and the ledger; what both returned, None where both refused."""
        self.is_sound = False
        self.operations[name] += 1
        wanted, got = _answer(expected), _answer(actual)
        same(f"answer to {name}", got.refusal, wanted.refusal)
        same(f"facts told by {name}", set(wanted.facts) - set(got.facts), set())
        if wanted.refusal:
            reasons = [str(value) for name, value in wanted.facts if name in {"reason", "status"}]
            self.events[" ".join(["refused:", wanted.refusal, *reasons])] += 1
            return None
        return wanted.value, got.value

    def _recharge(self, rows: list[Row], *, mode: str) -> None:
        key = f"key {len(self.sent)}"
        self._send(
            "recharge",
            Sent(
                mode,
                lambda mode: self.recharges.recharge(key=key, mode=mode, rows=rows),
                lambda mode: services.bulk_recharge(
                    request=request(rows, mode=mode, clock=self.clock),
                    actor_id=self.operator.pk,
                    idempotency_key=key,
                ),
            ),
        )

    def _send(self, name: str, sent: Sent, *, mode: str | None = None) -> None:
        """Send a request for the first time or again; a repeat is told what the first was told."""
        chosen = mode or sent.mode
        if sent not in self.sent:
            self.sent.append(sent)
        answers = self._both(
            name, expected=lambda: sent.expected(chosen), actual=lambda: sent.actual(chosen)
        )
        if answers is None:
            return
        (batch, is_replay), receipt = answers
        same("is_replay", receipt.is_replay, is_replay)
        if is_replay:
            same("repeat", replace(receipt, is_replay=False), sent.receipt)
            self.events["replayed"] += 1
            return
        batch.id = receipt.batch_id
        sent.mode, sent.receipt = chosen, receipt
        same("receipt", receipt.status, batch.status.lower())
        same(
            "failures",
            [(line.row_no, line.code) for line in receipt.failures],
            [
                (number, line.code)
                for number, line in enumerate(batch.lines, start=1)
                if line.code != "applied"
            ],
        )
        self._note(batch)

    def _place(self, who: int, *, amount: int, lasts: int, reference: str = "") -> None:
        person, user, deadline = self.people[who], self.users[who], self.now + lasts
        reference = reference or f"model:{uuid.uuid4()}"
        answers = self._both(
            "place",
            expected=lambda: person.wallet.place_hold(
                amount=amount, reference=reference, deadline=deadline, now=self.now
            ),
            actual=in_transaction(
                lambda: services.place_hold(
                    owner_id=user.pk,
                    amount=amount,
                    reference=reference,
                    expires_at=self.clock.moment(deadline),
                )
            ),
        )
        if answers is not None:
            hold, hold.id = answers
            self.holds.append(hold)
            self.events["hold over several lots"] += len(hold.taken) > 1

    def _settle(self, hold: Hold, quarters: int, overrun: OverrunPolicy) -> None:
        cost = hold.amount * quarters // 4
        answers = self._both(
            "settle",
            expected=lambda: hold.wallet.settle(
                hold=hold, cost=cost, overrun=overrun.value, now=self.now
            ),
            actual=in_transaction(
                lambda: services.settle_hold(hold_id=hold.id, amount=cost, overrun=overrun)
            ),
        )
        if answers is None:
            return
        same("charged", answers[1], answers[0])
        if cost > hold.amount:
            self.events[f"over-run: {overrun}" + ", not in full" * (answers[0] < cost)] += 1
        if any(lot.is_expired(self.now) for lot, _ in hold.spent):
            self.events["settled from a lot that has expired"] += 1

    def _work(self, batch: Batch) -> None:
        self._both(
            "work",
            expected=lambda: self.recharges.work(batch),
            actual=lambda: batch_handlers.apply_recharge_batch(batch_id=batch.id),
        )
        self._note(batch)

    def _steer(self, step: str, batch: Batch) -> None:
        """Pause, resume or stop."""
        answers = self._both(
            step,
            expected=lambda: getattr(self.recharges, step)(batch),
            actual=lambda: getattr(services, f"{step}_batch")(
                batch_id=batch.id, actor_id=self.operator.pk
            ),
        )
        if answers is not None:
            same(step, answers[1].status, batch.status.lower())
            self._note(batch)

    def _note(self, batch: Batch) -> None:
        """Count what has become of a batch."""
        self.touched.add(batch)
        kind = "recharge" if batch.reverses is None else "reversal"
        self.events.update([f"{batch.mode}: {batch.status}", f"{kind}: {batch.status}"])
        self.events.update(f"{kind}: {code}" for code in batch.codes)
        if batch.reverses is not None:
            parts = [line for line in batch.applied if line.lot and line.amount < line.lot.granted]
            self.events["reversal: unused part"] += len(parts)

    def _move_clock(self, hour: int) -> None:
        self.recharges.now = hour
        self.clock.set(hour)

    def _sweep_holds(self) -> None:
        def expected() -> None:
            # The sweep's own order: it decides which grace lot is the older one.
            for hold in sorted(self.holds, key=lambda hold: (hold.deadline, hold.id)):
                if hold.status == "PENDING" and hold.deadline <= self.now:
                    is_last_moment = hold.deadline == self.now
                    self.events["hold expired" + " at the instant" * is_last_moment] += 1
                    hold.wallet.close(hold=hold, status="EXPIRED", charged=0, now=self.now)

        self._both(
            "sweep holds",
            expected=expected,
            actual=lambda: handlers.expire_holds(now=self.clock.now) and None,
        )

    def _sweep_lots(self) -> None:
        def expected() -> None:
            for person in self.people:
                for lot in person.wallet.lots:
                    if lot.is_expired(self.now) and lot.available:
                        self.events["lot expired" + " beside held tokens" * bool(lot.held)] += 1
                person.wallet.expire_lots(self.now)

        self._both(
            "sweep lots",
            expected=expected,
            actual=lambda: services.expire_lots(now=self.clock.now) and None,
        )


def _answer(call: Callable[[], Any]) -> Answer:
    try:
        return Answer(value=call())
    except Refused as refused:
        return Answer(refusal=refused.code, facts=tuple(refused.facts.items()))
    except DomainError as error:
        return Answer(refusal=error.code, facts=tuple(error.context.items()))
    except IntegrityError:
        return Answer(refusal="integrity_error")


def pick_from(choices: Sequence[T], pick: int) -> T:
    """Counted from the end: what is new comes first."""
    return choices[-1 - pick % len(choices)]


def in_transaction(call: Callable[[], Any]) -> Callable[[], Any]:
    """The same call in a transaction of its own, as callers of the hold services have one."""

    def run() -> Any:
        with transaction.atomic():
            return call()

    return run
