"""Bodies of the tasks that write, resend and delete exports."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
import time
import uuid
from pathlib import Path

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tokens.books import Basis
from tokens.export_files import WRITERS
from tokens.exports import ExportRequest
from tokens.models import ExportJob

log = structlog.get_logger(__name__)
Status = ExportJob.Status
LEASE = dt.timedelta(seconds=120)
ATTEMPTS_MAX = 3
# How often a worker says how far it is; each time costs one small UPDATE.
PROGRESS_S = 1.0
DELETED_PER_RUN = 500
# A message that is older than this without a claim counts as lost.
LOST_AFTER = dt.timedelta(seconds=60)


class LeaseLostError(Exception):
    """Another worker writes this export now; never leaves this module."""


def write_export(*, export_id: uuid.UUID) -> bool:
    """Write the file of an export; safe to call twice, or on two hosts.

    Returns:
        Whether this call has written it.
    """
    job = _claim(export_id)
    if job is None:
        return False
    try:
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            path = Path(folder) / f"export.{job.file_format}"
            rows_count = WRITERS[job.file_format](
                request=_request(job), path=path, progress=_Reporter(job)
            )
            _publish(job, path=path, rows_count=rows_count)
    except LeaseLostError:
        log.warning("tokens.export.lease_lost", export_id=str(export_id))
        return False
    return True


def lost_exports(*, now: dt.datetime | None = None) -> list[uuid.UUID]:
    """Exports whose message or worker was lost; those that failed too often are given up."""
    moment = now or timezone.now()
    lapsed = ExportJob.objects.filter(status=Status.RUNNING, lease_expires_at__lt=moment)
    given_up = lapsed.filter(attempt__gte=ATTEMPTS_MAX).update(
        status=Status.FAILED, lease_expires_at=None, error_code="crashed", finished_at=moment
    )
    if given_up:
        log.error("tokens.export.given_up", exports=given_up)
    waiting = Q(status=Status.QUEUED, created_at__lt=moment - LOST_AFTER) | Q(
        status=Status.RUNNING, lease_expires_at__lt=moment
    )
    return list(
        ExportJob.objects.filter(waiting).order_by("created_at").values_list("pk", flat=True)
    )


def purge_exports(*, now: dt.datetime | None = None) -> int:
    """Delete the files whose time is over; the row says that there was one.

    Returns:
        How many files were deleted.
    """
    moment = now or timezone.now()
    due = ExportJob.objects.filter(status=Status.DONE, expires_at__lte=moment)
    deleted = 0
    for job in due.order_by("expires_at")[:DELETED_PER_RUN]:
        # The file first: a row without a file is told at the download, a file without a row never.
        default_storage.delete(job.file_key)
        deleted += ExportJob.objects.filter(pk=job.pk, status=Status.DONE).update(
            status=Status.DELETED, file_key=""
        )
    return deleted


class _Reporter:
    """Keeps the lease and the progress of one attempt."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._said_at = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said_at < PROGRESS_S:
            return
        self._said_at = now
        kept = _mine(self._job).update(
            rows_done=done, rows_count=total, lease_expires_at=timezone.now() + LEASE
        )
        if not kept:
            raise LeaseLostError


def _claim(export_id: uuid.UUID) -> ExportJob | None:
    now = timezone.now()
    free = Q(status=Status.QUEUED) | Q(status=Status.RUNNING, lease_expires_at__lt=now)
    claimed = ExportJob.objects.filter(free, pk=export_id, attempt__lt=ATTEMPTS_MAX).update(
        status=Status.RUNNING, attempt=F("attempt") + 1, lease_expires_at=now + LEASE, rows_done=0
    )
    return ExportJob.objects.get(pk=export_id) if claimed else None


def _mine(job: ExportJob) -> QuerySet[ExportJob]:
    """The row, while this attempt is the one that counts."""
    return ExportJob.objects.filter(pk=job.pk, attempt=job.attempt, status=Status.RUNNING)


def _request(job: ExportJob) -> ExportRequest:
    return ExportRequest(job.name, job.first, job.last, Basis(job.basis), job.account_id)


def _publish(job: ExportJob, *, path: Path, rows_count: int) -> None:
    """Store the file under a key of this attempt, then point the row at it."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        key = default_storage.save(f"exports/{job.pk}/{job.attempt}.{job.file_format}", File(file))
    now = timezone.now()
    kept = _mine(job).update(
        status=Status.DONE,
        lease_expires_at=None,
        rows_done=rows_count,
        rows_count=rows_count,
        size_bytes=path.stat().st_size,
        sha256=sha256,
        file_key=key,
        finished_at=now,
        expires_at=now + dt.timedelta(days=settings.EXPORT_KEEP_DAYS),
    )
    if not kept:
        default_storage.delete(key)
        raise LeaseLostError
    log.info("tokens.export.written", export_id=str(job.pk), name=job.name, rows=rows_count)
