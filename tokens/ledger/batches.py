"""The life of a recharge batch: its key, its lease, its progress and its end.

All functions join the caller's transaction. Whoever changes a batch holds its row's lock, so that
pausing, stopping and working on it follow each other and never interleave.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens.errors import BatchNotFoundError, IdempotencyInProgressError
from tokens.ledger import announcements
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.ledger.recharge import Verdicts, write_not_attempted
from tokens.models import RechargeBatch, RechargeChunk

Status = RechargeBatch.Status
FINAL: Final = frozenset(
    {
        Status.APPLIED,
        Status.PARTIALLY_APPLIED,
        Status.FAILED,
        Status.STOPPED,
        Status.REJECTED,
        Status.APPROVAL_EXPIRED,
    }
)
SHARE_LOCK_SQL = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
TRY_LOCK_SQL = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


def claim_key(*, actor_id: int, key_scope: str, key: str, fingerprint: str) -> RechargeBatch | None:
    """Reserve an idempotency key until the transaction ends; the batch it already made, if any.

    Two advisory locks stand for a request that still runs. All requests of one key and body share
    the first; the one that works holds the second, which is the key's alone. Who does not get the
    second asks for the first alone: if nobody else shares it, the one that works has another body.
    A crash leaves nothing behind, and the unique constraint on the batch is the last word.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another request, finished or running.
        IdempotencyInProgressError: the same request is running at this moment.
    """
    require_transaction()
    name = f"recharge:{actor_id}:{key_scope}:{key}"
    with connection.cursor() as cursor:
        cursor.execute(SHARE_LOCK_SQL, [f"{name}:{fingerprint}"])
        cursor.execute(TRY_LOCK_SQL, [name])
        (is_first,) = cursor.fetchone()
        is_alone_of_its_kind = False
        if not is_first:
            cursor.execute(TRY_LOCK_SQL, [f"{name}:{fingerprint}"])
            (is_alone_of_its_kind,) = cursor.fetchone()
    stored = RechargeBatch.objects.filter(
        actor_id=actor_id, key_scope=key_scope, idempotency_key=key
    ).first()
    if stored is not None and stored.request_fingerprint != fingerprint:
        raise _reused()
    if stored is None and not is_first:
        if is_alone_of_its_kind:
            raise _reused()
        raise IdempotencyInProgressError(
            _("The same request is still being worked on."), retry_after_s=1
        )
    return stored


def _reused() -> IdempotencyKeyReusedError:
    return IdempotencyKeyReusedError(
        _("This key was used with another recharge."), param="Idempotency-Key"
    )


def lock(*, batch_id: uuid.UUID) -> RechargeBatch:
    """The batch under its row's lock.

    Raises:
        BatchNotFoundError: there is no such batch.
    """
    require_transaction()
    batch = (
        RechargeBatch.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk=batch_id)
        .first()
    )
    if batch is None:
        raise BatchNotFoundError(_("There is no recharge batch with this id."))
    return batch


def state(batch: RechargeBatch) -> dict[str, Any]:
    """A batch as audit events keep it."""
    return {
        "status": batch.status.lower(),
        "mode": batch.mode.lower(),
        "source": batch.source.lower(),
        "lines": batch.lines_count,
        "done": batch.done_count,
        "applied": batch.applied_count,
        "tokens_requested": int(batch.tokens_requested),
        "tokens_applied": batch.tokens_total,
        "content_sha256": batch.content_sha256,
    }


def record(
    *, batch: RechargeBatch, action: str, actor_id: int | None, before: dict[str, Any] | None
) -> None:
    """Write the audit event of a change that has just been saved."""
    record_event(
        actor_id=actor_id,
        action=f"recharge_batch.{action}",
        subject=f"recharge_batch:{batch.pk}",
        before=before,
        after=state(batch),
    )


def move(*, batch: RechargeBatch, to: Status, action: str, actor_id: int | None) -> None:
    """Give a locked batch another status, without its lease, and write the event."""
    before = state(batch)
    batch.status = to
    batch.lease_id = None
    batch.lease_expires_at = None
    batch.save(update_fields=["status", "lease_id", "lease_expires_at", "attempts"])
    record(batch=batch, action=action, actor_id=actor_id, before=before)


def claim(*, batch_id: uuid.UUID, lease: dt.timedelta) -> RechargeBatch | None:
    """Take the lease of a queued batch, or of one whose worker has gone silent.

    Returns:
        The batch with a lease of its own; None when there is nothing to do here: unknown, held
        by a living worker, paused, or finished.
    """
    require_transaction()
    batch = RechargeBatch.objects.select_for_update(no_key=True).filter(pk=batch_id).first()
    if batch is None or batch.status not in {Status.QUEUED, Status.APPLYING}:
        return None
    now = _clock()
    if batch.lease_expires_at is not None and batch.lease_expires_at > now:
        return None
    batch.status = Status.APPLYING
    batch.lease_id = uuid.uuid4()
    batch.lease_expires_at = now + lease
    batch.attempts += 1
    batch.run_started_at = now
    batch.run_done_before = batch.done_count
    batch.save(
        update_fields=[
            "status",
            "lease_id",
            "lease_expires_at",
            "attempts",
            "run_started_at",
            "run_done_before",
        ]
    )
    return batch


def lock_for_work(*, batch_id: uuid.UUID, lease_id: uuid.UUID) -> RechargeBatch | None:
    """The locked batch while the lease is still ours; None when somebody ended it or took over."""
    batch = lock(batch_id=batch_id)
    is_ours = batch.status == Status.APPLYING and batch.lease_id == lease_id
    return batch if is_ours else None


def count(*, batch: RechargeBatch, verdicts: Verdicts, lease: dt.timedelta | None = None) -> None:
    """Add written lines to a locked batch, and close it with its last one.

    Args:
        batch: the batch; its fields are brought up to date.
        verdicts: of the lines just written, as they stand: a refused batch applied none.
        lease: how long the next lines may take; None when there is no lease.
    """
    now = _clock()
    batch.done_count += verdicts.rows_count
    batch.applied_count += verdicts.applied_count
    batch.tokens_total += verdicts.tokens_total
    batch.attempts = 0
    batch.progressed_at = now
    fields = ["done_count", "applied_count", "tokens_total", "attempts", "progressed_at"]
    if batch.done_count == batch.lines_count:
        close(batch=batch, status=outcome(batch))
    elif lease is not None:
        batch.lease_expires_at = now + lease
        fields.append("lease_expires_at")
    batch.save(update_fields=[*fields, *CLOSING_FIELDS] if is_final(batch) else fields)
    if is_final(batch):
        announcements.tell_batch_finished(batch=batch)


CLOSING_FIELDS: Final = ["status", "lease_id", "lease_expires_at", "finished_at"]


def close(*, batch: RechargeBatch, status: Status) -> None:
    """Set the fields of a batch that has ended; the caller saves them."""
    batch.status = status
    batch.lease_id = None
    batch.lease_expires_at = None
    batch.finished_at = _clock()


def is_final(batch: RechargeBatch) -> bool:
    """Whether nothing will happen to the batch any more."""
    return batch.status in FINAL


def outcome(batch: RechargeBatch) -> Status:
    """What a batch is called whose lines are all done."""
    if batch.applied_count == batch.lines_count:
        return Status.APPLIED
    return Status.PARTIALLY_APPLIED if batch.applied_count else Status.FAILED


def end_unapplied(
    *, batch: RechargeBatch, status: Status, action: str, actor_id: int | None
) -> None:
    """End a locked batch before its last line: what is left is recorded as not attempted."""
    before = state(batch)
    batch.done_count += write_not_attempted(batch_id=batch.pk)
    close(batch=batch, status=status)
    batch.save(update_fields=["done_count", *CLOSING_FIELDS])
    record(batch=batch, action=action, actor_id=actor_id, before=before)
    announcements.tell_batch_finished(batch=batch)


def next_chunk(*, batch_id: uuid.UUID, from_seq: int) -> int | None:
    """The number of the first pending chunk from ``from_seq`` on."""
    return (
        RechargeChunk.objects.filter(
            batch_id=batch_id, seq__gte=from_seq, state=RechargeChunk.State.PENDING
        )
        .order_by("seq")
        .values_list("seq", flat=True)
        .first()
    )


def mark_done(*, batch_id: uuid.UUID, seq: int | None) -> None:
    """Note that one chunk, or every chunk (None), has its lines."""
    chunks = RechargeChunk.objects.filter(batch_id=batch_id)
    if seq is not None:
        chunks = chunks.filter(seq=seq)
    chunks.update(state=RechargeChunk.State.DONE)


def unclaimed(*, limit: int) -> list[uuid.UUID]:
    """Batches that wait for a worker or whose worker has gone silent, the oldest first."""
    waiting = RechargeBatch.objects.filter(status=Status.QUEUED)
    silent = RechargeBatch.objects.filter(status=Status.APPLYING, lease_expires_at__lt=Now())
    rows = (waiting | silent).order_by(F("created_at"), "pk")
    return list(rows.values_list("pk", flat=True)[:limit])


def _clock() -> dt.datetime:
    """The database's wall clock: leases of different hosts are compared with one clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, dt.datetime)
    return now
