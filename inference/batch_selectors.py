"""Read queries on batches of jobs."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, F
from django.utils.translation import gettext_lazy as _

from inference.job_errors import BatchNotFoundError
from inference.models import OPEN_STATUSES, JobBatch, SwapJob
from tokens import selectors as tokens_selectors


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """What became of the tokens of all jobs of a batch."""

    quoted: int
    held: int
    settled: int
    refunded: int


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row: a job, or the code that says why not."""

    row: int
    code: str
    job_id: uuid.UUID | None = None
    tokens: int | None = None
    detail: str = ""
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchDetail:
    """A batch with how many of its jobs are in which state, its receipt, and its rows."""

    batch: JobBatch
    states: dict[str, int]
    receipt: BatchReceipt
    rows: tuple[RowOutcome, ...]


ACCEPTED = "accepted"


def job_counts(*, batch_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """By batch and status, how many jobs; for staff. One query."""
    counts: dict[uuid.UUID, dict[str, int]] = {
        batch_id: dict.fromkeys(SwapJob.Status.values, 0) for batch_id in batch_ids
    }
    rows = SwapJob.objects.filter(batch__in=batch_ids).values_list("batch_id", "status")
    for batch_id, status, count in rows.annotate(count=Count("pk")).order_by():
        counts[batch_id][status] = count
    return counts


def batch(*, owner_id: int, batch_id: uuid.UUID) -> JobBatch:
    """One batch of the owner.

    Raises:
        BatchNotFoundError: there is none, or it is somebody else's.
    """
    found = JobBatch.objects.filter(pk=batch_id, owner_id=owner_id).first()
    if found is None:
        raise BatchNotFoundError(_("You have no batch with this id."))
    return found


def batch_detail(*, owner_id: int, batch_id: uuid.UUID) -> BatchDetail:
    """One batch of the owner, in four queries.

    Raises:
        BatchNotFoundError: there is none, or it is somebody else's.
    """
    found = batch(owner_id=owner_id, batch_id=batch_id)
    jobs = SwapJob.objects.filter(batch=found, batch_row__isnull=False).values_list(
        "batch_row", "pk", "status", "hold_id", "quote__tokens"
    )
    counts: Counter[str] = Counter()
    hold_ids: list[uuid.UUID] = []
    rows: list[RowOutcome] = []
    for number, job_id, status, hold_id, tokens in jobs:
        assert number is not None, "filtered"
        assert hold_id is not None, "a committed job has its hold"
        counts[status] += 1
        hold_ids.append(hold_id)
        rows.append(RowOutcome(row=number, code=ACCEPTED, job_id=job_id, tokens=tokens))
    holds = tokens_selectors.hold_receipts(hold_ids=hold_ids).values()
    rows += [RowOutcome(**refusal) for refusal in found.refusals]
    return BatchDetail(
        batch=found,
        states={status.lower(): counts[status] for status in SwapJob.Status.values},
        receipt=BatchReceipt(
            quoted=found.tokens,
            held=sum(hold.held for hold in holds),
            settled=sum(hold.settled for hold in holds),
            refunded=sum(hold.refunded for hold in holds),
        ),
        rows=tuple(sorted(rows, key=lambda row: row.row)),
    )


def open_job_ids(*, batch: JobBatch) -> list[uuid.UUID]:
    """Jobs of the batch that have not ended: those without a place first, the newest before."""
    rows = SwapJob.objects.filter(batch=batch, status__in=OPEN_STATUSES)
    order = [F("sent_at").desc(nulls_first=True), F("batch_row").desc()]
    return list(rows.order_by(*order).values_list("pk", flat=True))
