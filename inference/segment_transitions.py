"""The only writer of segments. Each step is one short transaction that locks the job first.

A split job has no lease of its own: each segment has one. Whoever completes the last segment gets
the job back in the same transaction, with a lease, to join them; from there on the job is like any
other. A job that ends stops its segments.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from inference import endings, transitions
from inference.errors import FailureCode
from inference.models import SwapJob, SwapSegment
from inference.types import Claim, SegmentClaim, SegmentCompletion, SegmentOutput
from tokens import services as tokens_services
from tokens.errors import HoldResolvedError

Status = SwapSegment.Status
log = structlog.get_logger(__name__)
STAGE: Final = "video"
JOIN_STAGE: Final = "join"
# Where the swapping of frames begins and ends in the progress of a job, in percent.
FRAMES_SPAN_PERCENT: Final = (5, 90)


@transaction.atomic(durable=True)
def split(*, claim: Claim, plans: Sequence[Mapping[str, Any]]) -> bool:
    """Replace the rest of an attempt by segments that any worker may take.

    Args:
        claim: the job's.
        plans: the engine's descriptions of the segments, in order; each has ``frames_count``.

    Returns:
        False when the job belongs to somebody else by now; then nothing changes.
    """
    job = endings.locked().get(pk=claim.job_id)
    if not _is_owner(job, claim) or job.segments_count:
        return False
    SwapSegment.objects.bulk_create(
        SwapSegment(job=job, index=index, plan=dict(plan), frames_count=plan["frames_count"])
        for index, plan in enumerate(plans)
    )
    job.segments_count = len(plans)
    job.frames_count = sum(plan["frames_count"] for plan in plans)
    job.attempts_before = job.attempt
    job.lease_expires_at = None
    job.stage = STAGE
    job.save()
    return True


@transaction.atomic(durable=True)
def claim(*, job_id: uuid.UUID, index: int) -> SegmentClaim | None:
    """Take a segment that waits, or whose worker stopped renewing its lease.

    Returns:
        The right to run one attempt, or None when there is nothing to run.
    """
    job = _lock_split(job_id)
    if job is None:
        return None
    lapsed = Q(
        status=Status.RUNNING,
        lease_expires_at__lt=Now(),
        attempt__lt=settings.JOB_ATTEMPTS_MAX,
    )
    is_taken = SwapSegment.objects.filter(
        Q(status=Status.QUEUED) | lapsed, job=job, index=index
    ).update(
        status=Status.RUNNING,
        attempt=F("attempt") + 1,
        frames_done=0,
        lease_expires_at=Now() + transitions.lease(),
        started_at=Coalesce("started_at", Now()),
    )
    if not is_taken or not _extend_hold(job):
        return None
    segment = SwapSegment.objects.get(job=job, index=index)
    return SegmentClaim(
        segment_id=segment.pk,
        index=index,
        attempt=segment.attempt,
        plan=segment.plan,
        job=transitions.claim_of(job),
    )


@transaction.atomic(durable=True)
def renew(*, claim: SegmentClaim, frames_done: int, is_hold_due: bool) -> bool:
    """Keep the lease and show how far the whole job is.

    Returns:
        False when the segment belongs to somebody else by now: the caller must stop.
    """
    job = _lock_split(claim.job.job_id)
    if job is None:
        return False
    is_owner = _owned(claim).update(
        lease_expires_at=Now() + transitions.lease(), frames_done=frames_done
    )
    if not is_owner:
        return False
    _show_progress(job)
    job.save()
    if is_hold_due:
        tokens_services.extend_hold(
            hold_id=endings.hold_id_of(job), expires_at=transitions.hold_deadline()
        )
    return True


@transaction.atomic(durable=True)
def complete(*, claim: SegmentClaim, output: SegmentOutput) -> SegmentCompletion:
    """Keep the result of a segment; after the last one, take the job to join them."""
    job = _lock_split(claim.job.job_id)
    is_accepted = job is not None and bool(
        _owned(claim).update(
            status=Status.DONE,
            lease_expires_at=None,
            frames_done=F("frames_count"),
            report=output.report,
            result_key=output.key,
            finished_at=Now(),
        )
    )
    if job is None or not is_accepted:
        log.warning("inference.segment.late_attempt_ignored", segment=claim.index)
        return SegmentCompletion(is_accepted=False)
    _show_progress(job)
    is_last = job.segments_done == job.segments_count
    if is_last:
        job.attempt += 1
        job.stage = JOIN_STAGE
        # On the database's clock, like every lease.
        job.lease_expires_at = Now() + transitions.lease()
    job.save()
    return SegmentCompletion(is_accepted=True, join=transitions.claim_of(job) if is_last else None)


@transaction.atomic(durable=True)
def fail(*, claim: SegmentClaim, code: str, detail: str) -> bool:
    """End the whole job without a result and give every token back.

    Returns:
        False when the segment belongs to somebody else by now; then nothing changes.
    """
    job = _lock_split(claim.job.job_id)
    if job is None or not _owned(claim).exists():
        return False
    endings.end_failed(job, code=code, detail=f"Segment {claim.index}: {detail}")
    return True


@transaction.atomic(durable=True)
def retry(*, claim: SegmentClaim, detail: str) -> SwapJob.Status | None:
    """Put the segment back into the queue after a fault of ours; give up after the last attempt.

    Returns:
        The status of the job: while it is RUNNING the caller must send the segment's message again.
        None when the segment belongs to somebody else by now; then nothing changes.
    """
    job = _lock_split(claim.job.job_id)
    if job is None or not _owned(claim).exists():
        return None
    return _queue_again(job, claim.index, code=FailureCode.INTERNAL_ERROR, detail=detail)


@transaction.atomic(durable=True)
def recover(*, job_id: uuid.UUID, index: int) -> SwapJob.Status | None:
    """Take a segment away from a worker whose lease lapsed. A locked job is left alone.

    Returns:
        The status of the job: while it is RUNNING the caller must send the segment's message again.
        None when the segment was not to be taken.
    """
    job = _lock_split(job_id, skip_locked=True)
    lapsed = SwapSegment.objects.filter(
        job=job, index=index, status=Status.RUNNING, lease_expires_at__lt=Now()
    )
    if job is None or not lapsed.exists():
        return None
    return _queue_again(
        job, index, code=FailureCode.WORKER_LOST, detail="The lease of the last attempt lapsed."
    )


@transaction.atomic(durable=True)
def time_out(*, job_id: uuid.UUID, idle_since: dt.datetime) -> bool:
    """Refund a split job that no worker touched since ``idle_since``.

    Returns:
        True when the job was ended by this call.
    """
    job = _lock_split(job_id, skip_locked=True)
    if job is None or SwapSegment.objects.filter(_touched_since(idle_since), job=job).exists():
        return False
    endings.end_failed(
        job, code=FailureCode.QUEUE_TIMEOUT, detail="No worker took the segments in time."
    )
    return True


@transaction.atomic(durable=True)
def mark_sent(
    *, job_id: uuid.UUID | None = None, sent_before: dt.datetime | None = None, limit: int
) -> tuple[tuple[uuid.UUID, int], ...]:
    """Find queued segments whose message was never sent, or before ``sent_before``.

    Args:
        job_id: only of this job; None looks at all.
        sent_before: messages older than this may be lost; None believes in all that were sent.
        limit: at most this many.

    Returns:
        Job and number of each, marked as sent now; the caller must send them.
    """
    is_due = Q(sent_at__isnull=True)
    if sent_before is not None:
        is_due |= Q(sent_at__lt=sent_before)
    overdue = SwapSegment.objects.filter(is_due, status=Status.QUEUED)
    if job_id is not None:
        overdue = overdue.filter(job_id=job_id)
    found = list(
        overdue.select_for_update(skip_locked=True, no_key=True)
        .order_by(F("sent_at").asc(nulls_first=True), "pk")
        .values_list("pk", "job_id", "index")[:limit]
    )
    if found:
        SwapSegment.objects.filter(pk__in=[pk for pk, _job_id, _index in found]).update(
            sent_at=Now()
        )
    return tuple((of_job, index) for _pk, of_job, index in found)


def lapsed(*, limit: int) -> list[tuple[uuid.UUID, int]]:
    """Job and number of segments whose worker stopped renewing, the longest lapsed first."""
    rows = SwapSegment.objects.filter(status=Status.RUNNING, lease_expires_at__lt=Now())
    return list(rows.order_by("lease_expires_at", "pk").values_list("job_id", "index")[:limit])


def idle_job_ids(*, idle_since: dt.datetime, limit: int) -> list[uuid.UUID]:
    """Split jobs that no worker touched since ``idle_since``."""
    touched = SwapSegment.objects.filter(_touched_since(idle_since), job=OuterRef("pk"))
    idle = SwapJob.objects.filter(
        ~Exists(touched), status=SwapJob.Status.RUNNING, lease_expires_at__isnull=True
    )
    return list(idle.order_by("queued_at", "pk").values_list("pk", flat=True)[:limit])


def _touched_since(moment: dt.datetime) -> Q:
    return Q(status=Status.RUNNING) | Q(queued_at__gte=moment) | Q(finished_at__gte=moment)


def _lock_split(job_id: uuid.UUID, *, skip_locked: bool = False) -> SwapJob | None:
    """Lock the job if its segments are at work."""
    return (
        endings.locked(skip_locked=skip_locked)
        .select_related("quote__source", "quote__target")
        .filter(pk=job_id, status=SwapJob.Status.RUNNING, lease_expires_at__isnull=True)
        .first()
    )


def _is_owner(job: SwapJob, claim: Claim) -> bool:
    return job.status == SwapJob.Status.RUNNING and job.attempt == claim.attempt


def _owned(claim: SegmentClaim) -> Any:
    return SwapSegment.objects.filter(
        pk=claim.segment_id, status=Status.RUNNING, attempt=claim.attempt
    )


def _queue_again(job: SwapJob, index: int, *, code: FailureCode, detail: str) -> SwapJob.Status:
    segment = SwapSegment.objects.get(job=job, index=index)
    if segment.attempt >= settings.JOB_ATTEMPTS_MAX:
        return endings.end_failed(job, code=code, detail=f"Segment {index}: {detail}")
    if not _extend_hold(job):
        return SwapJob.Status.FAILED
    now = timezone.now()
    segment.status = Status.QUEUED
    segment.lease_expires_at = None
    segment.frames_done = 0
    segment.queued_at = segment.sent_at = now
    segment.save()
    return SwapJob.Status.RUNNING


def _extend_hold(job: SwapJob) -> bool:
    """Keep the tokens held; if they were given back before, the job ends here."""
    try:
        tokens_services.extend_hold(
            hold_id=endings.hold_id_of(job), expires_at=transitions.hold_deadline()
        )
    except HoldResolvedError:
        endings.end_failed(
            job, code=FailureCode.HOLD_EXPIRED, detail="The hold was closed between two segments."
        )
        return False
    return True


def _show_progress(job: SwapJob) -> None:
    """Frames, percent and time left of the job, from all its segments."""
    done = SwapSegment.objects.filter(job=job).aggregate(
        frames=Sum("frames_done"), since=Min("started_at")
    )
    job.segments_done = SwapSegment.objects.filter(job=job, status=Status.DONE).count()
    job.frames_done = done["frames"]
    start, end = FRAMES_SPAN_PERCENT
    share = job.frames_done / max(1, job.frames_count)
    # A lost segment starts anew; the bar of the page does not.
    job.progress_percent = max(job.progress_percent, start + int((end - start) * share))
    job.eta_s = None
    if job.frames_done and done["since"] is not None:
        spent_s = (timezone.now() - done["since"]).total_seconds()
        left = job.frames_count - job.frames_done
        job.eta_s = max(0, round(spent_s * left / job.frames_done))
