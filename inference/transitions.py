"""What workers and sweeps do with a job on its way. Each step is one short transaction.

Leases are kept on the database's clock, so workers whose clocks differ agree on who owns a job.
Locks are taken in the order job, segment, wallet, hold. Tokens move in the same transaction as the
state they belong to: there is no moment in which a job has a result that is not paid, or a failed
job still holds tokens.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import cast

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inference.endings import end, end_failed, hold_id_of, lock_open, locked, log_after_commit
from inference.errors import FailureCode
from inference.job_errors import InputsMissingError
from inference.models import ReleasedFile, SwapJob, SwapSegment
from inference.types import Claim, FrameProgress, LabelProfile, SwapOptions, SwapOutput
from tokens import services as tokens_services
from tokens.errors import HoldResolvedError

Status = SwapJob.Status
log = structlog.get_logger(__name__)


@transaction.atomic(durable=True)
def claim(*, job_id: uuid.UUID) -> Claim | None:
    """Take a job that waits, or whose worker stopped renewing its lease.

    One guarded UPDATE decides between workers that got the same message. The tokens stay held from
    here on for as long as the worker renews; if they were given back before, the job ends here.

    Returns:
        The right to run one attempt, or None when there is nothing to run.
    """
    lapsed = Q(
        status=Status.RUNNING,
        lease_expires_at__lt=Now(),
        attempt__lt=F("attempts_before") + settings.JOB_ATTEMPTS_MAX,
    )
    in_time = Q(start_deadline_at__isnull=True) | Q(start_deadline_at__gt=Now()) | Q(attempt__gt=0)
    is_taken = SwapJob.objects.filter(
        Q(in_time, status=Status.QUEUED) | lapsed, pk=job_id, hold__isnull=False
    ).update(
        status=Status.RUNNING,
        attempt=F("attempt") + 1,
        lease_expires_at=Now() + lease(),
        started_at=Coalesce("started_at", Now()),
        stage="",
        # What the segments did is kept; a job in one piece starts anew.
        progress_percent=_zero_unless_split("progress_percent"),
        frames_done=_zero_unless_split("frames_done"),
        eta_s=None,
    )
    if not is_taken:
        return None
    job = SwapJob.objects.select_related("owner", "quote__source", "quote__target").get(pk=job_id)
    try:
        tokens_services.extend_hold(hold_id=hold_id_of(job), expires_at=hold_deadline())
    except HoldResolvedError:
        end_failed(
            job, code=FailureCode.HOLD_EXPIRED, detail="The hold was closed before the start."
        )
        return None
    return claim_of(job)


@transaction.atomic(durable=True)
def renew(
    *,
    claim: Claim,
    stage: str,
    percent: int,
    is_hold_due: bool,
    frames: FrameProgress | None = None,
) -> bool:
    """Show progress and keep the lease, and the hold too when ``is_hold_due``.

    Returns:
        False when the job belongs to somebody else by now: the caller must stop.
    """
    shown: dict[str, int | None] = {}
    if frames is not None:
        shown = {"frames_done": frames.done, "frames_count": frames.count, "eta_s": frames.eta_s}
    is_owner = SwapJob.objects.filter(
        pk=claim.job_id,
        status=Status.RUNNING,
        attempt=claim.attempt,
        lease_expires_at__isnull=False,
    ).update(lease_expires_at=Now() + lease(), stage=stage, progress_percent=percent, **shown)
    if is_owner and is_hold_due:
        tokens_services.extend_hold(hold_id=claim.hold_id, expires_at=hold_deadline())
    return bool(is_owner)


@transaction.atomic(durable=True)
def finish(*, claim: Claim, output: SwapOutput) -> bool:
    """Charge the quoted price and publish the result: both or neither.

    Returns:
        False when the result came too late and must be thrown away: a later attempt owns the job,
        the job has ended, or the tokens were given back. Then nothing is charged.
    """
    job = _lock_owned(claim)
    if job is None:
        return False
    try:
        tokens_services.settle_hold(hold_id=hold_id_of(job), amount=job.quote.tokens)
    except HoldResolvedError:
        tokens_services.record_late_result(
            hold_id=hold_id_of(job), tokens=job.quote.tokens, note=f"attempt {claim.attempt}"
        )
        end_failed(job, code=FailureCode.HOLD_EXPIRED, detail="The hold was closed during the run.")
        return False
    media = output.media
    job.status = Status.SUCCEEDED
    job.progress_percent = 100
    job.frames_done = job.frames_count
    job.faces = list(output.faces)
    job.result_key = media.key
    job.result_sha256 = media.sha256
    job.result_content_type = media.content_type
    job.result_size_bytes = media.size_bytes
    job.result_width_px = media.width_px
    job.result_height_px = media.height_px
    job.result_duration_ms = media.duration_ms
    job.report = output.report
    if output.release is not None:
        ReleasedFile.objects.create(
            sha256=media.sha256,
            produce_id=output.release.produce_id,
            content_type=media.content_type,
            made_on=output.release.made_on,
            labels=list(output.release.labels),
        )
    end(job)
    log_after_commit("inference.job.succeeded", job, tokens=job.quote.tokens)
    return True


@transaction.atomic(durable=True)
def fail(*, claim: Claim, code: str, detail: str) -> bool:
    """End the job without a result and give every token back.

    Returns:
        False when the job belongs to somebody else by now; then nothing changes.
    """
    job = _lock_owned(claim)
    if job is None:
        return False
    end_failed(job, code=code, detail=detail)
    return True


@transaction.atomic(durable=True)
def retry(*, claim: Claim, detail: str) -> Status | None:
    """Put the job back into the queue after a fault of ours; give up after the last attempt.

    Returns:
        The new status: after QUEUED the caller must send the job's message again. None when the
        job belongs to somebody else by now; then nothing changes.
    """
    job = _lock_owned(claim)
    if job is None:
        return None
    if is_last_attempt(job):
        return end_failed(job, code=FailureCode.INTERNAL_ERROR, detail=detail)
    return _queue_again(job)


@transaction.atomic(durable=True)
def recover(*, job_id: uuid.UUID) -> Status | None:
    """Take a running job away from a worker whose lease lapsed.

    It goes back into the queue, or fails with a refund after the last attempt. A row that another
    transaction has locked is left alone: somebody is at work on it.

    Returns:
        The new status: after QUEUED the caller must send the job's message again. None when the
        job was not to be taken.
    """
    job = (
        locked(skip_locked=True)
        .filter(pk=job_id, status=Status.RUNNING, lease_expires_at__lt=Now())
        .first()
    )
    if job is None:
        return None
    if is_last_attempt(job):
        return end_failed(
            job, code=FailureCode.WORKER_LOST, detail="The lease of the last attempt lapsed."
        )
    return _queue_again(job)


@transaction.atomic(durable=True)
def mark_sent_again(*, sent_before: dt.datetime, limit: int) -> tuple[uuid.UUID, ...]:
    """Find queued jobs whose message was last sent before ``sent_before``: it may be lost.

    Returns:
        At most ``limit`` jobs, marked as sent now; the caller must send them.
    """
    overdue = SwapJob.objects.filter(status=Status.QUEUED, sent_at__lt=sent_before)
    job_ids = tuple(
        overdue.select_for_update(skip_locked=True, no_key=True)
        .order_by("sent_at", "pk")
        .values_list("pk", flat=True)[:limit]
    )
    SwapJob.objects.filter(pk__in=job_ids).update(sent_at=Now())
    return job_ids


@transaction.atomic(durable=True)
def requeue(*, job_id: uuid.UUID) -> None:
    """Put a job that has not ended back into the queue, taking it from its worker if it has one.

    Of a job that is split, the segments that are not done go back instead; its message makes the
    worker send theirs.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
        InputsMissingError: the job still waits for its uploads.
    """
    job = lock_open(job_id)
    if job.status == Status.AWAITING_INPUT:
        raise InputsMissingError(_("The job still waits for its uploads."), job_id=str(job_id))
    if not is_split(job):
        _queue_again(job)
        return
    SwapSegment.objects.filter(job=job).exclude(status=SwapSegment.Status.DONE).update(
        status=SwapSegment.Status.QUEUED,
        lease_expires_at=None,
        frames_done=0,
        queued_at=Now(),
        sent_at=None,
    )


def claim_of(job: SwapJob) -> Claim:
    """What a worker has to know about a job whose attempt it just took."""
    quote = job.quote
    return Claim(
        job_id=job.pk,
        attempt=job.attempt,
        hold_id=hold_id_of(job),
        source_key=quote.source.file_key,
        target_key=quote.target.file_key,
        target_content_type=quote.target.content_type,
        segments_count=job.segments_count,
        options=SwapOptions.from_json(quote.options),
        is_sandbox=job.owner.is_sandbox,
        label_profile=cast("LabelProfile | None", job.owner.label_profile or None),
    )


def is_split(job: SwapJob) -> bool:
    """Whether the segments are at work; later the job has a lease again, to join them."""
    return job.status == Status.RUNNING and job.lease_expires_at is None


def is_last_attempt(job: SwapJob) -> bool:
    """Whether nobody may try again after this attempt."""
    return bool(job.attempt - job.attempts_before >= settings.JOB_ATTEMPTS_MAX)


def _lock_owned(claim: Claim) -> SwapJob | None:
    """Lock the job if ``claim`` is still the newest right to it."""
    job = locked().get(pk=claim.job_id)
    if job.status == Status.RUNNING and job.attempt == claim.attempt and not is_split(job):
        return job
    # Harmless once; often, it says that leases are too short for the work.
    log.warning(
        "inference.job.late_attempt_ignored",
        job_id=str(job.pk),
        attempt=claim.attempt,
        current_attempt=job.attempt,
        status=job.status,
    )
    return None


def _queue_again(job: SwapJob) -> Status:
    """Back to the queue; the attempt number stays, so the next claim outdates the last worker."""
    try:
        tokens_services.extend_hold(hold_id=hold_id_of(job), expires_at=hold_deadline())
    except HoldResolvedError:
        return end_failed(
            job, code=FailureCode.HOLD_EXPIRED, detail="The hold was closed between two attempts."
        )
    now = timezone.now()
    job.status = Status.QUEUED
    job.lease_expires_at = None
    job.stage = ""
    job.eta_s = None
    if not job.segments_count:
        job.progress_percent = job.frames_done = 0
    job.queued_at = job.sent_at = job.placed_at = now
    job.save()
    log_after_commit("inference.job.queued_again", job)
    return Status.QUEUED


def _zero_unless_split(name: str) -> Case:
    return Case(When(segments_count=0, then=Value(0)), default=F(name), output_field=IntegerField())


def lease() -> dt.timedelta:
    """For how long a silent worker keeps its work."""
    return dt.timedelta(seconds=settings.JOB_LEASE_S)


def hold_deadline() -> dt.datetime:
    """Until when tokens stay held from now on."""
    return timezone.now() + dt.timedelta(seconds=settings.HOLD_TTL_S)
