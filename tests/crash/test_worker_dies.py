"""SIGKILL of a real process between any two statements of a bulk recharge."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.db import connection, transaction
from django.test import override_settings

from accounts.types import Role
from tests.crash import works
from tests.crash.batches import Picture, assert_halfway, await_lapse, balances, is_resting, picture
from tests.crash.processes import Place, run
from tests.crash.scenario import register
from tokens import audit
from tokens.errors import IdempotencyInProgressError
from tokens.models import RechargeBatch
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)
LEASE_S = 1.0
CHUNK = 2
ROWS = 5
STAGED = {"RECHARGE_SYNC_LINES_MAX": 1, "RECHARGE_CHUNK_LINES": CHUNK}


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def place() -> Place:
    """The test's database, for processes whose leases are short."""
    return Place(
        database=dict(connection.settings_dict), settings={"RECHARGE_LEASE_S": LEASE_S, **STAGED}
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A batch that waits for a worker, and how it looks before anybody works on it."""

    batch_id: uuid.UUID
    owner_ids: list[int]
    before: Picture

    @classmethod
    def of(cls, batch_id: uuid.UUID, owner_ids: list[int]) -> Case:
        return cls(batch_id, owner_ids, picture(batch_id, owner_ids))

    def look(self) -> Picture:
        return picture(self.batch_id, self.owner_ids)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, under a key of its own; may be sent again."""

    send: Callable[[], uuid.UUID]
    key: str
    owner_ids: list[int]

    def batch(self) -> Case:
        return Case.of(self.send(), self.owner_ids)

    def batch_ids(self) -> list[uuid.UUID]:
        """The batches under the key: never more than one."""
        return list(
            RechargeBatch.objects.filter(idempotency_key=self.key).values_list("pk", flat=True)
        )


def recharge(operator, *, mode: str, is_clean: bool) -> Request:
    """One row per person; unless all are clean, the second cannot be applied."""
    with transaction.atomic():
        people = [register() for _row in range(ROWS)]
    amounts = [10, 11 if is_clean else 0, 12, 13, 14]
    rows = [(ref, amount) for (_pk, ref), amount in zip(people, amounts, strict=True)]
    key = uuid.uuid4().hex
    send = partial(works.create, mode, rows, actor_id=operator.pk, key=key)
    return Request(send, key, [pk for pk, _ref in people])


def reversal(operator, *, mode: str) -> Request:
    with override_settings(RECHARGE_SYNC_LINES_MAX=ROWS):
        original = recharge(operator, mode="atomic", is_clean=True).batch()
    key = uuid.uuid4().hex
    send = partial(works.reverse, original.batch_id, mode, actor_id=operator.pk, key=key)
    return Request(send, key, original.owner_ids)


@pytest.fixture
def requests(operator) -> dict[str, Callable[[], Request]]:
    """Makers of fresh requests, by kind."""
    return {
        "soft_fail": partial(recharge, operator, mode="soft_fail", is_clean=False),
        "atomic": partial(recharge, operator, mode="atomic", is_clean=True),
        "refused atomic": partial(recharge, operator, mode="atomic", is_clean=False),
        "soft_fail reversal": partial(reversal, operator, mode="soft_fail"),
        "atomic reversal": partial(reversal, operator, mode="atomic"),
    }


@pytest.mark.parametrize(
    ("kind", "chunk"),
    [
        ("soft_fail", CHUNK),
        ("atomic", None),
        ("refused atomic", None),
        # Two chunks; three are above.
        ("soft_fail reversal", 3),
        ("atomic reversal", None),
    ],
)
def test_a_worker_may_be_killed_before_any_statement(requests, place, settings, kind, chunk):
    settings.RECHARGE_SYNC_LINES_MAX = STAGED["RECHARGE_SYNC_LINES_MAX"]
    settings.RECHARGE_CHUNK_LINES = chunk or CHUNK
    make = requests[kind]
    whole = make().batch()
    uninterrupted = run(partial(works.apply, whole.batch_id), place=place)
    after = whole.look()
    assert uninterrupted.is_done
    assert is_resting(whole.batch_id)
    cases: list[Case] = []
    statuses: set[str] = set()
    for step, name in enumerate(uninterrupted.steps, start=1):
        case = make().batch()
        assert run(partial(works.apply, case.batch_id), place=place, kill_before=step).is_killed
        seen = case.look()
        assert_halfway(seen, before=case.before, after=after, chunk=chunk)
        assert audit.find_violations() == [], f"killed before step {step}, {name}"
        cases.append(case)
        statuses.add(seen.status)
    assert statuses == {"QUEUED", "APPLYING", after.status}, "no kill was in the middle"

    resume_all(cases, place)
    for step, case in enumerate(cases, start=1):
        assert case.look() == after, f"killed before step {step}"
    assert audit.find_violations() == []


@pytest.mark.parametrize(
    ("kind", "rows_at_once"),
    [
        pytest.param("soft_fail", ROWS, id="soft_fail at once"),
        pytest.param("atomic", ROWS, id="atomic at once"),
        pytest.param("atomic reversal", ROWS, id="atomic reversal at once"),
        pytest.param("soft_fail", 1, id="soft_fail staged"),
        pytest.param("soft_fail reversal", 1, id="soft_fail reversal staged"),
    ],
)
def test_a_request_may_be_killed_before_any_statement_and_repeated(
    requests, place, settings, kind, rows_at_once
):
    settings.RECHARGE_SYNC_LINES_MAX = place.settings["RECHARGE_SYNC_LINES_MAX"] = rows_at_once
    make = requests[kind]
    whole = make()
    uninterrupted = run(whole.send, place=place)
    assert uninterrupted.is_done
    cases = [Case.of(uninterrupted.value, whole.owner_ids)]
    after = cases[0].before
    for step, name in enumerate(uninterrupted.steps, start=1):
        request = make()
        untouched = balances(request.owner_ids)
        assert run(request.send, place=place, kill_before=step).is_killed
        stored = request.batch_ids()
        if not stored:
            assert balances(request.owner_ids) == untouched
        assert audit.find_violations() == [], f"killed before step {step}, {name}"
        case = Case.of(repeat(request), request.owner_ids)
        assert request.batch_ids() == [case.batch_id]
        assert stored in ([], [case.batch_id])
        assert case.before == after
        cases.append(case)
    assert audit.find_violations() == []
    resume_all(cases, place)
    (ended,) = {case.look() for case in cases}
    assert ended.status == ("PARTIALLY_APPLIED" if kind == "soft_fail" else "APPLIED")


def repeat(request: Request) -> uuid.UUID:
    """Send a request again; the dead one's transaction may need a moment to be rolled back."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return request.send()
        except IdempotencyInProgressError:
            assert time.monotonic() < deadline, "the dead process still holds the key"
            time.sleep(0.02)


def resume_all(cases: list[Case], place: Place) -> None:
    """Let the sweep find what the dead workers left, as soon as their leases have lapsed."""
    await_lapse([case.batch_id for case in cases], timeout_s=10 * LEASE_S)
    assert run(works.sweep, place=place).is_done
