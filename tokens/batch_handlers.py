"""Bodies of the tasks that apply recharge batches."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog
from django.conf import settings
from django.db import OperationalError, transaction

from tokens.ledger import apply, batches, staging
from tokens.ledger.locks import is_contention
from tokens.ledger.recharge import StateChangedError
from tokens.models import RechargeBatch

log = structlog.get_logger(__name__)
CONTENTION_ATTEMPTS_MAX: Final = 6


def apply_recharge_batch(
    *, batch_id: uuid.UUID, after_chunk: Callable[[], object] | None = None
) -> None:
    """Apply a queued batch, or go on where a lost worker stopped; does nothing if others do.

    Atomic: one transaction. Soft-fail: one per chunk, so that a crash loses a chunk's work and
    nothing else, and a pause or stop takes effect between two chunks.

    Args:
        batch_id: the batch.
        after_chunk: called after the commit of every chunk.
    """
    with transaction.atomic(durable=True):
        batch = batches.claim(batch_id=batch_id, lease=_lease())
        if batch is not None and batch.attempts > settings.RECHARGE_ATTEMPTS_MAX:
            log.error("tokens.recharge.paused", batch_id=str(batch_id), attempts=batch.attempts)
            batches.move(
                batch=batch, to=RechargeBatch.Status.PAUSED, action="paused", actor_id=None
            )
            return
    if batch is None:
        return
    assert batch.lease_id is not None, "a claimed batch has a lease"
    if batch.mode == RechargeBatch.Mode.ATOMIC:
        _insist(_apply_whole, batch_id=batch_id, lease_id=batch.lease_id, seq=0)
        return
    seq: int | None = 0
    while seq is not None:
        seq = _insist(_apply_chunk, batch_id=batch_id, lease_id=batch.lease_id, seq=seq)
        if after_chunk is not None:
            after_chunk()


def unclaimed_batches(*, limit: int = 100) -> list[uuid.UUID]:
    """Batches that no living worker holds."""
    return batches.unclaimed(limit=limit)


class _Work(Protocol):
    def __call__(
        self, *, batch_id: uuid.UUID, lease_id: uuid.UUID, seq: int, locks_first: bool
    ) -> int | None: ...


def _insist(work: _Work, *, batch_id: uuid.UUID, lease_id: uuid.UUID, seq: int) -> int | None:
    """Do one transaction's work again while others are in the way; it rolls back each time.

    After the first time the wallets are locked before they are judged, so that a wallet that
    changes cannot be the reason twice.
    """
    for attempt in range(CONTENTION_ATTEMPTS_MAX):
        try:
            return work(batch_id=batch_id, lease_id=lease_id, seq=seq, locks_first=attempt > 0)
        except StateChangedError:
            log.info("tokens.recharge.retried", batch_id=str(batch_id), attempt=attempt)
        except OperationalError as error:
            if not is_contention(error) or attempt == CONTENTION_ATTEMPTS_MAX - 1:
                raise
            log.warning("tokens.recharge.contended", batch_id=str(batch_id), attempt=attempt)
            time.sleep(0.05 * 2**attempt)
    raise AssertionError("locking first rules a change out")


@transaction.atomic(durable=True)
def _apply_whole(
    *,
    batch_id: uuid.UUID,
    lease_id: uuid.UUID,
    seq: int,  # the same shape as a chunk's work
    locks_first: bool,
) -> None:
    batch = batches.lock_for_work(batch_id=batch_id, lease_id=lease_id)
    if batch is None:
        return
    staging.prepare(has_few_rows=False)
    staging.fill_from_chunks(batch_id=batch_id, seq=None)
    staging.mark_stage()
    verdicts = apply.apply(batch=batch, locks_first=locks_first)
    batches.mark_done(batch_id=batch_id, seq=None)
    before = batches.state(batch)
    batches.count(batch=batch, verdicts=verdicts)
    _finish(batch, before)


@transaction.atomic(durable=True)
def _apply_chunk(
    *, batch_id: uuid.UUID, lease_id: uuid.UUID, seq: int, locks_first: bool
) -> int | None:
    """Apply the first pending chunk from ``seq`` on; the number to go on with, None at the end."""
    batch = batches.lock_for_work(batch_id=batch_id, lease_id=lease_id)
    if batch is None:
        return None
    chunk_seq = batches.next_chunk(batch_id=batch_id, from_seq=seq)
    assert chunk_seq is not None, "an unfinished batch has a pending chunk"
    staging.prepare(has_few_rows=True)
    staging.fill_from_chunks(batch_id=batch_id, seq=chunk_seq)
    verdicts = apply.apply(batch=batch, locks_first=locks_first)
    batches.mark_done(batch_id=batch_id, seq=chunk_seq)
    before = batches.state(batch)
    batches.count(batch=batch, verdicts=verdicts, lease=_lease())
    if not batches.is_final(batch):
        return chunk_seq + 1
    _finish(batch, before)
    return None


def _finish(batch: RechargeBatch, before: dict[str, Any]) -> None:
    batches.record(batch=batch, action="finished", actor_id=None, before=before)
    transaction.on_commit(
        lambda: log.info(
            "tokens.recharge.finished",
            batch_id=str(batch.pk),
            status=batch.status,
            applied=batch.applied_count,
            tokens=batch.tokens_total,
        )
    )


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.RECHARGE_LEASE_S)
