"""What can be seen of a batch from outside while it is worked on, interrupted and ended."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tokens import batch_handlers
from tokens.models import AuditEvent, RechargeBatch, RechargeLine, Transfer, Wallet


@dataclass(frozen=True, slots=True)
class Picture:
    """A batch, its lines, its journal rows and the wallets it is for, as committed."""

    status: str
    applied_count: int
    tokens_total: int
    codes: tuple[str, ...]
    transfers: tuple[tuple[int, str, int], ...]
    available: tuple[int, ...]
    events: tuple[tuple[str, int], ...]


def picture(batch_id: uuid.UUID, owner_ids: Sequence[int]) -> Picture:
    """Look at a batch; every list is in the order of the rows or of ``owner_ids``.

    ``transfers`` holds the row number, kind and amount of every journal row of the batch, so a
    line that was applied twice is there twice. ``events`` counts the audit events by action.
    """
    batch = RechargeBatch.objects.get(pk=batch_id)
    lines = RechargeLine.objects.filter(batch_id=batch_id).order_by("row_no")
    row_nos = [line.row_no for line in lines]
    assert row_nos == list(range(1, len(row_nos) + 1)), "a row has two lines, or one is left out"
    journal = Transfer.objects.filter(recharge_line__batch_id=batch_id).order_by(
        "recharge_line__row_no", "pk"
    )
    actions = AuditEvent.objects.filter(subject=f"recharge_batch:{batch_id}")
    return Picture(
        status=batch.status,
        applied_count=batch.applied_count,
        tokens_total=batch.tokens_total,
        codes=tuple(line.outcome for line in lines),
        transfers=tuple(journal.values_list("recharge_line__row_no", "kind", "amount")),
        available=balances(owner_ids),
        events=tuple(sorted(Counter(actions.values_list("action", flat=True)).items())),
    )


def balances(owner_ids: Sequence[int]) -> tuple[int, ...]:
    """The available tokens of each owner; without a wallet there are none."""
    wallets = Wallet.objects.filter(owner_id__in=owner_ids)
    available = dict(wallets.values_list("owner_id", "available"))
    return tuple(available.get(owner_id, 0) for owner_id in owner_ids)


def assert_halfway(seen: Picture, *, before: Picture, after: Picture, chunk: int | None) -> None:
    """An interrupted batch stands between two commits: no row is half done.

    Args:
        seen: the batch as the crash left it.
        before: the same batch before anybody worked on it.
        after: one that was never interrupted.
        chunk: rows of a commit; None when the batch has only one.
    """
    done = len(seen.codes)
    if chunk is None:
        assert done in {0, len(after.codes)}, seen
    else:
        assert done % chunk == 0 or done == len(after.codes), seen
    assert seen.codes == after.codes[:done]
    assert seen.transfers == tuple(row for row in after.transfers if row[0] <= done)
    # Rows and wallets come in the same order, one wallet per row.
    assert seen.available == after.available[:done] + before.available[done:]
    if done < len(after.codes):
        assert seen.status in {"QUEUED", "APPLYING"}, seen
    else:
        assert seen == after


def is_resting(batch_id: uuid.UUID) -> bool:
    """Whether nothing will happen to the batch any more."""
    return not RechargeBatch.objects.filter(pk=batch_id, finished_at=None).exists()


def await_lapse(batch_ids: Collection[uuid.UUID], *, timeout_s: float) -> None:
    """Wait until the sweep would find every batch of these that has not ended."""
    unfinished = {batch_id for batch_id in batch_ids if not is_resting(batch_id)}
    deadline = time.monotonic() + timeout_s
    while not unfinished <= set(batch_handlers.unclaimed_batches(limit=1_000)):
        assert time.monotonic() < deadline, "a dead worker's lease does not lapse"
        time.sleep(0.05)
