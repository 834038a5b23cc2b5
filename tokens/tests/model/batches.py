"""Recharges, retries and reversals by the written rules of docs/recharges.md and decision 9."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from tokens.tests.model.wallets import Lot, Refused, Wallet

SYNC_ROWS_MAX = 2
CHUNK_ROWS = 2
AMOUNT_MAX = 1_000
KEY_LENGTH_MAX = 64
RUNNING = {"QUEUED"}
ENDED = {"APPLIED", "PARTIALLY_APPLIED", "FAILED", "STOPPED"}
RETRYABLE = ENDED - {"APPLIED"}
MENDED_BY_TIME = {
    "rolled_back",
    "not_attempted",
    "account_not_found",
    "account_frozen",
    "account_closed",
    "exceeds_max_balance",
    "reversal_credits_used",
}


@dataclass(slots=True)
class Person:
    """Somebody who may be recharged."""

    ref: str
    wallet: Wallet = field(default_factory=Wallet)
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One requested grant; of a reversal, the line to take back."""

    ref: str
    amount: int
    key: str = ""
    category: str = "PAID"
    priority: int = 50
    effective_at: int | None = None
    expires_at: int | None = None
    origin: Line | None = None


@dataclass(eq=False, slots=True)
class Line:
    """A row and what became of it, for ever."""

    row: Row
    code: str
    amount: int
    lot: Lot | None = None
    is_reversed: bool = False


@dataclass(eq=False, slots=True)
class Batch:
    """What one request asked for."""

    mode: str
    rows: list[Row]
    takes_unused_part: bool = False
    parent: Batch | None = None
    reverses: Batch | None = None
    status: str = "QUEUED"
    lines: list[Line] = field(default_factory=list)
    retry: Batch | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)  # until the real one is known

    @property
    def codes(self) -> list[str]:
        return [line.code for line in self.lines]

    @property
    def applied(self) -> list[Line]:
        return [line for line in self.lines if line.code == "applied"]

    def row(self) -> tuple[object, ...]:
        """What must be in the database."""
        tokens = sum(line.amount for line in self.applied)
        return self.status, len(self.rows), len(self.lines), len(self.applied), tokens


def _ends_before_it_starts(row: Row) -> bool:
    if row.effective_at is None or row.expires_at is None:
        return False
    return row.expires_at <= row.effective_at


# What may be wrong between a row and its wallet at some hour, in the published order.
FAULTS: list[tuple[str, Callable[[Row, Wallet, int], bool]]] = [
    ("account_frozen", lambda _row, wallet, _now: wallet.status == "FROZEN"),
    ("account_closed", lambda _row, wallet, _now: wallet.status == "CLOSED"),
    ("amount_not_positive", lambda row, _wallet, _now: row.amount < 1),
    ("amount_out_of_range", lambda row, _wallet, _now: row.amount > AMOUNT_MAX),
    (
        "exceeds_max_balance",
        lambda row, wallet, _now: (
            wallet.balance_max is not None and wallet.total + row.amount > wallet.balance_max
        ),
    ),
    (
        "expiry_in_past",
        lambda row, _wallet, now: row.expires_at is not None and row.expires_at <= now,
    ),
    ("effective_after_expiry", lambda row, _wallet, _now: _ends_before_it_starts(row)),
]
Rows = Callable[[], list[Row]]


class Recharges:
    """All batches, and whom they are for."""

    def __init__(self, people: Iterable[Person]) -> None:
        self.now = 0
        self.people = {person.ref: person for person in people}
        self.batches: list[Batch] = []
        self._keys: dict[tuple[str, str], tuple[object, Batch]] = {}

    def create(
        self, *, scope: str, key: str, body: object, batch: Batch, rows: Rows
    ) -> tuple[Batch, bool]:
        """A new batch, or the one that the key already made; and whether it is that one.

        A refused request leaves its key usable, so the rows come before the key is taken.
        """
        known = self._keys.get((scope, key))
        if known is not None:
            first_body, first = known
            if first_body != body:
                raise Refused("idempotency_key_reused")
            return first, True
        batch.rows = rows()
        self._keys[scope, key] = body, batch
        self.batches.append(batch)
        if batch.parent is not None:
            batch.parent.retry = batch
        if len(batch.rows) <= SYNC_ROWS_MAX:
            self._apply(batch, range(len(batch.rows)))
            self._end(batch)
        return batch, False

    def recharge(self, *, key: str, mode: str, rows: list[Row]) -> tuple[Batch, bool]:
        return self.create(
            scope="create",
            key=key,
            body=(mode, tuple(rows)),
            batch=Batch(mode, []),
            rows=lambda: rows,
        )

    def retry(self, *, batch: Batch, key: str, mode: str) -> tuple[Batch, bool]:
        def rows() -> list[Row]:
            if batch.status not in RETRYABLE:
                raise Refused("recharge_batch_state", status=batch.status.lower())
            if batch.retry is not None:
                raise Refused("recharge_already_retried", retry_id=str(batch.retry.id))
            lines = [line for line in batch.lines if line.code in MENDED_BY_TIME]
            if not lines:
                raise Refused("nothing_to_retry")
            return [replace(line.row, amount=line.amount) for line in lines]

        child = Batch(
            mode,
            [],
            takes_unused_part=batch.takes_unused_part,
            parent=batch,
            reverses=batch.reverses,
        )
        return self.create(scope=f"retry {batch.id}", key=key, body=mode, batch=child, rows=rows)

    def reverse(
        self,
        *,
        batch: Batch,
        key: str,
        mode: str,
        takes_unused_part: bool,
        row_nos: tuple[int, ...] | None,
    ) -> tuple[Batch, bool]:
        def rows() -> list[Row]:
            if batch.status not in ENDED:
                raise Refused("recharge_batch_state", status=batch.status.lower())
            return reversal_rows(batch, row_nos)

        return self.create(
            scope=f"reverse {batch.id}",
            key=key,
            body=(mode, takes_unused_part, row_nos),
            batch=Batch(mode, [], takes_unused_part=takes_unused_part, reverses=batch),
            rows=rows,
        )

    def preview(self, batch: Batch) -> tuple[str, Counter[str]]:
        """How the batch would end if it were created and worked on now, in one go."""
        codes = list(self._judged(batch, range(len(batch.rows))))
        applied_count = codes.count("applied")
        return _ending(len(codes), applied_count), Counter(codes)

    def work(self, batch: Batch) -> None:
        """Do a worker's share: atomic in one go, soft-fail chunk by chunk."""
        if batch.status not in RUNNING:
            return
        step = len(batch.rows) if batch.mode == "atomic" else CHUNK_ROWS
        for first in range(0, len(batch.rows), step):
            self._apply(batch, range(first, min(first + step, len(batch.rows))))
        self._end(batch)

    def pause(self, batch: Batch) -> None:
        self._move(batch, allowed={*RUNNING, "PAUSED"}, to="PAUSED")

    def resume(self, batch: Batch) -> None:
        self._move(batch, allowed={*RUNNING, "PAUSED"}, to="QUEUED")

    def stop(self, batch: Batch) -> None:
        was_stopped = batch.status == "STOPPED"
        self._move(batch, allowed={*RUNNING, "PAUSED", "STOPPED"}, to="STOPPED")
        if not was_stopped:
            for row in batch.rows:
                code = _fault(row) or "not_attempted"
                batch.lines.append(Line(row, code, row.amount))

    def _move(self, batch: Batch, *, allowed: set[str], to: str) -> None:
        if batch.status not in allowed:
            raise Refused("recharge_batch_state", status=batch.status.lower())
        batch.status = to

    def _apply(self, batch: Batch, positions: range) -> None:
        # Judged together, then applied: a row never sees what another of its chunk has done.
        codes = list(self._judged(batch, positions))
        for position, code in zip(positions, codes, strict=True):
            row = batch.rows[position]
            line = Line(row, code, row.amount)
            batch.lines.append(line)
            if code == "applied":
                self._move_tokens(line)

    def _move_tokens(self, line: Line) -> None:
        row = line.row
        wallet = self.people[row.ref].wallet
        if row.origin is None:
            line.lot = wallet.grant(
                category=row.category,
                amount=row.amount,
                priority=row.priority,
                effective_at=self.now if row.effective_at is None else row.effective_at,
                expires_at=row.expires_at,
                kind="RECHARGE",
            )
            return
        assert row.origin.lot is not None, "what is applied has a lot"
        line.lot = row.origin.lot
        line.amount = wallet.take_back(line.lot)
        row.origin.is_reversed = True

    def _judged(self, batch: Batch, positions: range) -> Iterator[str]:
        if batch.reverses is None:
            codes = [self._recharge_verdict(batch, position) for position in positions]
        else:
            codes = [_reversal_verdict(batch, batch.rows[position]) for position in positions]
        is_refused = batch.mode == "atomic" and set(codes) != {"applied"}
        for code in codes:
            yield "rolled_back" if is_refused and code == "applied" else code

    def _recharge_verdict(self, batch: Batch, position: int) -> str:
        """The first fault in the published order."""
        row, earlier = batch.rows[position], batch.rows[:position]
        person = self.people.get(row.ref)
        if fault := _fault(row):
            return fault
        if person is None or not person.is_active:
            return "account_not_found"
        for code, is_fault in FAULTS:
            if is_fault(row, person.wallet, self.now):
                return code
        if any(other.ref == row.ref for other in earlier):
            return "duplicate_row_in_batch"
        if row.key and any(other.key == row.key for other in earlier):
            return "item_key_conflict"
        return "applied"

    def _end(self, batch: Batch) -> None:
        batch.status = _ending(len(batch.lines), len(batch.applied))


def reversal_rows(batch: Batch, row_nos: tuple[int, ...] | None) -> list[Row]:
    """The rows that take back a batch, or the chosen lines of it."""
    if batch.reverses is not None or not batch.applied:
        raise Refused("nothing_to_reverse")
    if row_nos is None:
        lines = batch.applied
    else:
        lines = [line for number, line in enumerate(batch.lines, start=1) if number in row_nos]
    if not lines:
        raise Refused("nothing_to_reverse")
    return [replace(line.row, amount=line.amount, origin=line) for line in lines]


def _reversal_verdict(batch: Batch, row: Row) -> str:
    line = row.origin
    assert line is not None, "a row of a reversal names a line"
    if line.lot is None:
        return "row_not_applied"
    if line.is_reversed:
        return "already_reversed"
    is_touched = line.lot.available < line.lot.granted
    if line.lot.available == 0 or (is_touched and not batch.takes_unused_part):
        return "reversal_credits_used"
    return "applied"


def _fault(row: Row) -> str:
    return "key_invalid" if len(row.key) > KEY_LENGTH_MAX and row.origin is None else ""


def _ending(rows_count: int, applied_count: int) -> str:
    if applied_count == rows_count:
        return "APPLIED"
    return "PARTIALLY_APPLIED" if applied_count else "FAILED"
