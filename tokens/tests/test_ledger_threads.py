"""Ten threads at the same few wallets: what may happen once has exactly one winner.

Every refusal must be one that the contest's documentation names; any other exception, a deadlock
among them, is a failure.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from queue import Empty, LifoQueue

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.types import Role
from facefusion_site.common.errors import DomainError
from tokens import audit, batch_handlers, handlers, services
from tokens.errors import (
    AlreadyRetriedError,
    BatchStateError,
    HoldResolvedError,
    IdempotencyInProgressError,
    InsufficientTokensError,
    RefundRefusedError,
    WalletFrozenError,
)
from tokens.models import Hold, RechargeBatch, Transfer
from tokens.tests.factories import make_user
from tokens.tests.recharges import create, work
from tokens.tests.threads import in_threads
from tokens.types import LotTerms, OverrunPolicy, RechargeMode, ReversalOrder, ReversalPolicy

THREADS = 10
PEOPLE = 16
KEYS = 60
HOLDS = 600
STAGED = 12
REVERSED = 16
RETRIED = 16
CALLS_MIN = 3_000
FINAL = {"APPLIED", "PARTIALLY_APPLIED", "FAILED", "STOPPED"}
SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)

WON, LOST = "won", "lost"


class Storm:
    """Tasks, contests and what became of them.

    A contest is the list of its tries: won, lost, or the code of the refusal. Tasks are taken last
    in, first out, so the rivals of a contest meet at once while the others wait.
    """

    def __init__(self, *, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.operator = make_user(role=Role.OPERATOR)
        self.people = [make_user() for _ in range(PEOPLE)]
        self.tasks: LifoQueue[Callable[[], None]] = LifoQueue()
        self.faults: list[BaseException] = []
        self.calls: Counter[str] = Counter()
        self.keys: dict[str, list[str]] = {f"key {number}": [] for number in range(KEYS)}
        self.closings: dict[uuid.UUID, list[str]] = {}
        self.refunds: dict[uuid.UUID, list[str]] = {}
        self.retries: dict[uuid.UUID, list[str]] = {}
        self.spent: list[int] = []
        self.reversed: dict[uuid.UUID, list[int]] = {}

    # --- What threads do --------------------------------------------------------------------------
    def run(self) -> None:
        """Take tasks until there are none."""
        while True:
            try:
                task = self.tasks.get_nowait()
            except Empty:
                return
            try:
                task()
            except Exception as error:  # noqa: BLE001  # each of them is a result
                self.faults.append(error)

    def attempt(
        self,
        name: str,
        contest: list[str],
        call: Callable[[], bool],
        *,
        refusals: tuple[type[DomainError], ...] = (),
    ) -> None:
        """One try; ``call`` says whether it had the effect."""
        self.calls[name] += 1
        try:
            contest.append(WON if call() else LOST)
        except refusals as refusal:
            contest.append(refusal.code)

    def recharge(self, key: str, *, is_backwards: bool) -> None:
        people = self.people[::-1] if is_backwards else self.people
        rows = [(person.user_ref, 5) for person in people[:8]]

        def call() -> bool:
            receipt = create(
                rows,
                actor=self.operator,
                mode="atomic" if is_backwards else "soft_fail",
                key=key,
            )
            return not receipt.is_replay

        self.attempt("recharge", self.keys[key], call, refusals=(IdempotencyInProgressError,))

    def place(self, number: int) -> None:
        """Hold tokens, then let two settles and a void race for them, and the sweep where due."""
        is_due = number % 2 == 0
        lasts = -SECOND if is_due else DAY

        def call() -> bool:
            with transaction.atomic():
                hold_id = services.place_hold(
                    owner_id=self.people[number % PEOPLE].pk,
                    amount=1 + number % 7,
                    reference=f"storm:{number}",
                    expires_at=timezone.now() + lasts,
                )
            contest = self.closings.setdefault(hold_id, [])
            rivals: list[Callable[[], None]] = [
                partial(self.settle, hold_id, contest),
                partial(self.settle, hold_id, contest),
                partial(self.void, hold_id, contest),
            ]
            if is_due:
                rivals.append(self.sweep)
            # Whoever is put there last goes first.
            first = self.random.randrange(len(rivals))
            for rival in rivals[first:] + rivals[:first]:
                self.tasks.put(rival)
            return True

        self.attempt("place", [], call, refusals=(InsufficientTokensError, WalletFrozenError))

    def settle(self, hold_id: uuid.UUID, contest: list[str]) -> None:
        def call() -> bool:
            with transaction.atomic():
                cost = services.settle_hold(hold_id=hold_id, amount=3, overrun=OverrunPolicy.CHARGE)
            self.spent.append(cost)
            rivals = self.refunds.setdefault(hold_id, [])
            for _ in range(2):
                self.tasks.put(partial(self.refund, hold_id, rivals))
            return True

        self.attempt("settle", contest, call, refusals=(HoldResolvedError,))

    def void(self, hold_id: uuid.UUID, contest: list[str]) -> None:
        def call() -> bool:
            with transaction.atomic():
                return services.void_hold(hold_id=hold_id)

        self.attempt("void", contest, call)

    def refund(self, hold_id: uuid.UUID, contest: list[str]) -> None:
        def call() -> bool:
            services.refund_hold(hold_id=hold_id, amount=1, note="storm")
            self.spent.append(-1)
            return True

        self.attempt("refund", contest, call, refusals=(RefundRefusedError,))

    def reverse(self, batch_id: uuid.UUID, mode: RechargeMode) -> None:
        order = ReversalOrder(mode=mode, policy=ReversalPolicy.REFUSE, reason="storm")

        def call() -> bool:
            receipt = services.reverse_batch(
                batch_id=batch_id,
                order=order,
                actor_id=self.operator.pk,
                idempotency_key=uuid.uuid4().hex,
            )
            self.reversed[batch_id].append(receipt.tokens_total)
            return receipt.applied_count > 0

        self.attempt("reverse", [], call)

    def retry(self, batch_id: uuid.UUID) -> None:
        def call() -> bool:
            services.retry_failures(
                batch_id=batch_id, actor_id=self.operator.pk, idempotency_key=uuid.uuid4().hex
            )
            return True

        self.attempt("retry", self.retries[batch_id], call, refusals=(AlreadyRetriedError,))

    def work(self, batch_id: uuid.UUID) -> None:
        self.calls["work"] += 1
        batch_handlers.apply_recharge_batch(batch_id=batch_id)

    def steer(self, batch_id: uuid.UUID, step: Callable[..., object]) -> None:
        self.attempt(
            step.__name__,
            [],
            lambda: bool(step(batch_id=batch_id, actor_id=self.operator.pk)),
            refusals=(BatchStateError,),
        )

    def sweep(self) -> None:
        self.calls["sweep"] += 1
        handlers.expire_holds()
        services.expire_lots()

    def freeze(self, number: int) -> None:
        """Freeze a wallet twice at once, and thaw it twice."""
        contest: list[str] = []
        for step in [services.unfreeze_wallet, services.freeze_wallet]:
            for _ in range(2):
                self.tasks.put(partial(self.set_status, number, step, contest))

    def set_status(self, number: int, step: Callable[..., object], contest: list[str]) -> None:
        person = self.people[number % PEOPLE]

        def call() -> bool:
            return bool(step(user_ref=person.user_ref, reason="storm", actor_id=self.operator.pk))

        self.attempt(step.__name__, contest, call)

    # --- What there is to do ----------------------------------------------------------------------
    def prepare(self) -> None:
        """Fill the wallets and queue all tasks, rivals side by side, in an order of the seed."""
        everybody = [(person.user_ref, 400) for person in self.people]
        work(create(everybody, actor=self.operator))
        groups: list[list[Callable[[], None]]] = []
        for number, key in enumerate(self.keys):
            recharge = partial(self.recharge, key, is_backwards=bool(number % 2))
            groups.append([recharge] * 4)
        groups += [self._reversals() for _ in range(REVERSED)]
        groups += [self._retries(number) for number in range(RETRIED)]
        groups += [
            self._workers("soft_fail" if number % 3 else "atomic") for number in range(STAGED)
        ]
        groups += [[partial(self.place, number)] for number in range(HOLDS)]
        groups += [[self.sweep]] * 30
        groups += [[partial(self.freeze, number)] for number in range(40)]
        self.random.shuffle(groups)
        for group in groups:
            for task in group:
                self.tasks.put(task)
        # Last of all, because time runs: tokens that burn last and expire under the storm.
        for seconds in range(1, 5):
            terms = LotTerms(priority=100, expires_at=timezone.now() + seconds * SECOND)
            rows = [(person.user_ref, 9, "", terms) for person in self.people]
            work(create(rows, actor=self.operator))

    def _reversals(self) -> list[Callable[[], None]]:
        # Effective tomorrow: no hold can touch them, so the reversals are each other's only rivals.
        terms = LotTerms(effective_at=timezone.now() + DAY)
        rows = [(person.user_ref, 3, "", terms) for person in self.people[:6]]
        batch_id = create(rows, actor=self.operator).batch_id
        self.reversed[batch_id] = []
        modes = [RechargeMode.SOFT_FAIL, RechargeMode.ATOMIC] * 2
        return [partial(self.reverse, batch_id, mode) for mode in modes]

    def _retries(self, number: int) -> list[Callable[[], None]]:
        rows = [(f"nobody-{number}-{row}", 1) for row in range(3)]
        batch_id = create(rows, actor=self.operator).batch_id
        self.retries[batch_id] = []
        return [partial(self.retry, batch_id)] * 4

    def _workers(self, mode: str) -> list[Callable[[], None]]:
        rows = [(person.user_ref, 2) for person in self.random.sample(self.people, PEOPLE)]
        batch_id = create(rows, actor=self.operator, mode=mode).batch_id
        steps = [services.pause_batch, services.resume_batch]
        if mode == "atomic":
            steps.append(services.stop_batch)
        return [
            *[partial(self.work, batch_id)] * 3,
            *[partial(self.steer, batch_id, step) for step in steps],
            *[partial(self.work, batch_id)] * 3,
        ]

    def drain(self) -> None:
        """Bring to its end what a refusal or a pause has left open."""
        for batch in RechargeBatch.objects.exclude(status__in=FINAL):
            services.resume_batch(batch_id=batch.pk, actor_id=self.operator.pk)
            batch_handlers.apply_recharge_batch(batch_id=batch.pk)
        handlers.expire_holds()
        for person in self.people:
            services.unfreeze_wallet(
                user_ref=person.user_ref, reason="storm", actor_id=self.operator.pk
            )


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)  # a machine that others use as well
def test_a_storm_leaves_one_winner_each_and_balanced_books(settings):
    settings.RECHARGE_SYNC_LINES_MAX = 8
    settings.RECHARGE_CHUNK_LINES = 4
    storm, deadlocks_before = Storm(seed=20_261_124), deadlocks()
    storm.prepare()
    raised = in_threads(*[storm.run] * THREADS)
    assert (raised, storm.faults) == ([], [])
    storm.drain()
    assert storm.calls.total() >= CALLS_MIN, storm.calls

    assert {key: tries.count(WON) for key, tries in storm.keys.items()} == dict.fromkeys(
        storm.keys, 1
    )
    assert RechargeBatch.objects.filter(idempotency_key__startswith="key ").count() == KEYS
    statuses = dict(Hold.objects.values_list("pk", "status"))
    assert set(statuses) == set(storm.closings)
    for hold_id, tries in storm.closings.items():
        is_swept = statuses[hold_id] == Hold.Status.EXPIRED
        assert (len(tries), tries.count(WON) + is_swept) == (3, 1)
    for tries in storm.refunds.values():
        assert sorted(tries) == ["refund_refused", WON]
    for tries in storm.retries.values():
        assert sorted(tries) == ["recharge_already_retried"] * 3 + [WON]
    assert [sorted(tokens) for tokens in storm.reversed.values()] == [[0, 0, 0, 18]] * REVERSED
    assert set(RechargeBatch.objects.values_list("status", flat=True)) <= FINAL
    assert sum(storm.spent) == _moved("SETTLE") + _moved("OVERRUN") - _moved("REFUND")
    # Rivals have really met, and every way to close a hold has won somewhere.
    assert set(statuses.values()) == {"SETTLED", "VOIDED", "EXPIRED"}
    assert _moved("EXPIRE") > 0
    assert deadlocks() == deadlocks_before
    assert audit.find_violations() == []


def _moved(kind: str) -> int:
    moved: int = Transfer.objects.filter(kind=kind).aggregate(total=Sum("amount", default=0))[
        "total"
    ]
    return moved
