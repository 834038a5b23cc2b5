"""A crash of the server while a worker applies batches."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.test import override_settings

from accounts.types import Role
from tests.crash import works
from tests.crash.batches import Picture, assert_halfway, await_lapse, picture
from tests.crash.processes import Say
from tests.crash.scenario import CHUNK, Person, assert_books_balance, register


@dataclass(frozen=True, slots=True)
class StagedBatch:
    """A batch that waits for a worker: for whom, and how it looks before and must look after."""

    batch_id: uuid.UUID
    owner_ids: list[int]
    before: Picture
    after: Picture

    def look(self) -> Picture:
        return picture(self.batch_id, self.owner_ids)


@dataclass(frozen=True, slots=True)
class Applying:
    """A worker applies several staged batches of one kind, one after the other.

    Amounts count up from 1, a user each; in a soft-fail recharge the second row cannot be applied.
    """

    mode: str
    batches_count: int
    rows_count: int
    is_reversal: bool = False

    def prepare(self, *, say: Say) -> list[StagedBatch]:
        with transaction.atomic():
            actor_id, _ref = register(role=Role.OPERATOR)
            people = [register() for _row in range(self.rows_count * self.batches_count)]
        return [
            self._stage(people[start : start + self.rows_count], actor_id=actor_id)
            for start in range(0, len(people), self.rows_count)
        ]

    def work(self, prepared: list[StagedBatch], *, say: Say) -> None:
        for batch in prepared:
            works.apply(batch.batch_id)

    def recover(self, prepared: list[StagedBatch], said: Sequence[Any], *, say: Say) -> bool:
        left = [batch.look() for batch in prepared]
        chunk = None if self.mode == "atomic" else CHUNK
        for batch, seen in zip(prepared, left, strict=True):
            assert_halfway(seen, before=batch.before, after=batch.after, chunk=chunk)
        assert_books_balance()
        await_lapse([batch.batch_id for batch in prepared], timeout_s=10)
        works.sweep()
        for batch in prepared:
            assert batch.look() == batch.after
        assert_books_balance()
        statuses = {seen.status for seen in left}
        return statuses not in ({"QUEUED"}, {prepared[0].after.status})

    def _stage(self, people: list[Person], *, actor_id: int) -> StagedBatch:
        amounts = list(range(1, len(people) + 1))
        if self.mode == "soft_fail" and not self.is_reversal:
            amounts[1] = 0
        rows = [(ref, amount) for (_pk, ref), amount in zip(people, amounts, strict=True)]
        owner_ids = [pk for pk, _ref in people]
        key = uuid.uuid4().hex
        if self.is_reversal:
            with override_settings(RECHARGE_SYNC_LINES_MAX=len(rows)):
                granted = works.create("atomic", rows, actor_id=actor_id, key=key)
            batch_id = works.reverse(granted, self.mode, actor_id=actor_id, key=key)
        else:
            batch_id = works.create(self.mode, rows, actor_id=actor_id, key=key)
        return StagedBatch(batch_id, owner_ids, picture(batch_id, owner_ids), self._after(amounts))

    def _after(self, amounts: list[int]) -> Picture:
        kind = "REVERSE" if self.is_reversal else "RECHARGE"
        return Picture(
            status="APPLIED" if all(amounts) else "PARTIALLY_APPLIED",
            applied_count=sum(amount > 0 for amount in amounts),
            tokens_total=sum(amounts),
            codes=tuple("applied" if amount else "amount_not_positive" for amount in amounts),
            transfers=tuple(
                (row_no, kind, amount) for row_no, amount in enumerate(amounts, start=1) if amount
            ),
            available=(0,) * len(amounts) if self.is_reversal else tuple(amounts),
            events=(("recharge_batch.created", 1), ("recharge_batch.finished", 1)),
        )
