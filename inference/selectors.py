"""Read queries of inference. Everything here is limited to one owner, except the sweep's lists."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.columns import Columns
from facefusion_site.common.pages import newest_first
from inference import estimates
from inference.errors import AssetNotFoundError, JobNotFoundError, QuoteNotFoundError
from inference.job_errors import InputsMissingError
from inference.media_errors import AssetDeletedError
from inference.models import UNSTARTED_STATUSES, MediaAsset, SwapJob, SwapQuote
from inference.types import OutputMetric
from tokens import selectors as tokens_selectors
from tokens.types import Balance, HoldReceipt

_MS_PER_S: Final = 1_000
_QUOTE: Final = Columns(SwapQuote, alias="quote")
_SOURCE: Final = Columns(MediaAsset, alias="source")
_TARGET: Final = Columns(MediaAsset, alias="target")
_JOB: Final = Columns(SwapJob, alias="job")
_QUOTE_SQL: Final = f"""
SELECT {_QUOTE.sql}, {_SOURCE.sql}, {_TARGET.sql}
  FROM inference_swapquote quote
  JOIN inference_mediaasset source ON source.id = quote.source_id
  JOIN inference_mediaasset target ON target.id = quote.target_id
 WHERE quote.id = %s AND quote.owner_id = %s
"""  # noqa: S608  # made of names of columns
_JOB_SQL: Final = f"""
SELECT {_JOB.sql}, {_QUOTE.sql}
  FROM inference_swapjob job
  JOIN inference_swapquote quote ON quote.id = job.quote_id
 WHERE job.id = %s AND job.owner_id = %s
"""  # noqa: S608  # made of names of columns


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its quote and what became of its tokens."""

    job: SwapJob
    receipt: HoldReceipt
    queue_position: int | None = None
    eta_s: int | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; None leaves a condition out. Moments are inclusive."""

    status: str | None = None
    operation: str | None = None
    batch_id: uuid.UUID | None = None
    created_from: dt.datetime | None = None
    created_to: dt.datetime | None = None


class QuoteState(StrEnum):
    """What a quote is still good for."""

    OPEN = "open"
    REDEEMED = "redeemed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class QuoteDetail:
    """A quote, the caller's wallet now, and the job it paid for, if any.

    ``eta_s`` is what a job would take that was submitted now; None where that cannot be told.
    """

    quote: SwapQuote
    balance: Balance
    job_id: uuid.UUID | None
    eta_s: int | None = None

    @property
    def state(self) -> QuoteState:
        """Redeemed for ever, or open until its time is over."""
        if self.job_id is not None:
            return QuoteState.REDEEMED
        is_over = self.quote.expires_at <= timezone.now()
        return QuoteState.EXPIRED if is_over else QuoteState.OPEN


def any_asset(*, owner_id: int, asset_id: uuid.UUID, param: str | None = None) -> MediaAsset:
    """One upload of the owner, whatever its status.

    Raises:
        AssetNotFoundError: there is none, or it is somebody else's; ``param`` names the field.
    """
    found = MediaAsset.objects.filter(pk=asset_id, owner_id=owner_id).first()
    if found is None:
        raise AssetNotFoundError(_("You have no upload with this id."), param=param)
    return found


def asset(
    *,
    owner_id: int,
    asset_id: uuid.UUID,
    param: str | None = None,
    may_be_pending: bool = False,
) -> MediaAsset:
    """One upload of the owner that can be used.

    Args:
        owner_id: whose upload.
        asset_id: which one.
        param: the field that named it.
        may_be_pending: also one that was announced and whose bytes are on their way.

    Raises:
        AssetNotFoundError: there is none, or it is somebody else's.
        AssetDeletedError: it was deleted, or its time was over.
        InputsMissingError: its bytes have not come yet.
    """
    found = any_asset(owner_id=owner_id, asset_id=asset_id, param=param)
    if found.status in {MediaAsset.Status.DELETING, MediaAsset.Status.DELETED}:
        raise AssetDeletedError(_("This upload was deleted."), param=param)
    if found.status == MediaAsset.Status.PENDING_UPLOAD and not may_be_pending:
        raise InputsMissingError(_("This upload is not complete."), param=param)
    return found


def assets_by_id(*, owner_id: int, asset_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, MediaAsset]:
    """Those uploads of the owner that exist, complete or not. One query."""
    usable = [MediaAsset.Status.PENDING_UPLOAD, MediaAsset.Status.READY]
    found = MediaAsset.objects.filter(pk__in=asset_ids, owner_id=owner_id, status__in=usable)
    return {asset.pk: asset for asset in found}


def assets(
    *, owner_id: int, limit: int, cursor: str | None = None
) -> tuple[list[MediaAsset], str | None]:
    """Uploads of the owner but deleted ones, newest first, and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    mine = MediaAsset.objects.filter(owner_id=owner_id)
    gone = [MediaAsset.Status.DELETING, MediaAsset.Status.DELETED]
    return newest_first(mine.exclude(status__in=gone), limit=limit, cursor=cursor)


def quote(*, owner_id: int, quote_id: uuid.UUID, param: str | None = None) -> SwapQuote:
    """One quote of the owner.

    Raises:
        QuoteNotFoundError: there is none, or it is somebody else's; ``param`` names the field.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUOTE_SQL, [quote_id, owner_id])
        values = cursor.fetchone()
    if values is None:
        raise QuoteNotFoundError(_("You have no quote with this id."), param=param)
    source_at, target_at = _QUOTE.count, _QUOTE.count + _SOURCE.count
    found = _QUOTE.load(values[:source_at])
    found.source = _SOURCE.load(values[source_at:target_at])
    found.target = _TARGET.load(values[target_at:])
    return found


def quote_detail(*, owner_id: int, quote_id: uuid.UUID) -> QuoteDetail:
    """One quote of the owner with the wallet as it is now.

    Raises:
        QuoteNotFoundError: there is none, or it is somebody else's.
    """
    found = quote(owner_id=owner_id, quote_id=quote_id)
    detail = QuoteDetail(
        quote=found,
        balance=tokens_selectors.balance(user_id=owner_id),
        job_id=SwapJob.objects.filter(quote=found).values_list("pk", flat=True).first(),
    )
    if detail.state is not QuoteState.OPEN:
        return detail
    eta_s = estimates.pace().eta_s(found, estimates.last_place())
    return dataclasses.replace(detail, eta_s=eta_s)


def job_by_key(*, owner_id: int, idempotency_key: str) -> SwapJob | None:
    """The job that an earlier request with this key made."""
    return SwapJob.objects.filter(owner_id=owner_id, idempotency_key=idempotency_key).first()


def job(*, owner_id: int, job_id: uuid.UUID) -> SwapJob:
    """One job of the owner, with its quote.

    Raises:
        JobNotFoundError: there is none, or it is somebody else's.
    """
    with connection.cursor() as cursor:
        cursor.execute(_JOB_SQL, [job_id, owner_id])
        values = cursor.fetchone()
    if values is None:
        raise JobNotFoundError(_("You have no job with this id."))
    found = _JOB.load(values[: _JOB.count])
    found.quote = _QUOTE.load(values[_JOB.count :])
    return found


def job_detail(*, owner_id: int, job_id: uuid.UUID) -> JobDetail:
    """One job of the owner with its receipt; while it is queued, with its place and time left.

    Raises:
        JobNotFoundError: there is none, or it is somebody else's.
    """
    detail = with_receipts([job(owner_id=owner_id, job_id=job_id)])[0]
    if detail.job.status != SwapJob.Status.QUEUED:
        return detail
    place = estimates.places(job_ids=[job_id]).get(job_id)
    if place is None:
        return detail
    return dataclasses.replace(
        detail,
        queue_position=place.position,
        eta_s=estimates.pace().eta_s(detail.job.quote, place),
    )


def jobs(
    *,
    owner_id: int,
    limit: int,
    cursor: str | None = None,
    wanted: JobFilter = JobFilter(),
) -> tuple[list[JobDetail], str | None]:
    """Jobs of the owner with their receipts, newest first, and the cursor of the next page.

    Places in the queue are only told of single jobs.

    Args:
        owner_id: whose jobs.
        wanted: which of them.
        limit: rows a page.
        cursor: a ``next_cursor`` of the same list, or None for the first page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    mine = SwapJob.objects.select_related("quote").filter(owner_id=owner_id)
    conditions = {
        "status": wanted.status,
        "quote__operation": wanted.operation,
        "batch_id": wanted.batch_id,
        "created_at__gte": wanted.created_from,
        "created_at__lte": wanted.created_to,
    }
    mine = mine.filter(**{name: value for name, value in conditions.items() if value is not None})
    rows, next_cursor = newest_first(mine, limit=limit, cursor=cursor)
    return with_receipts(rows), next_cursor


def with_receipts(jobs: Sequence[SwapJob]) -> list[JobDetail]:
    """Attach what became of each job's tokens, in one query for all of them."""
    hold_ids = [job.hold_id for job in jobs if job.hold_id is not None]
    receipts = tokens_selectors.hold_receipts(hold_ids=hold_ids)
    return [
        JobDetail(job=job, receipt=receipts[job.hold_id], eta_s=job.eta_s)
        for job in jobs
        if job.hold_id is not None
    ]


def output_sql(
    *, metric: OutputMetric, since: dt.datetime, before: dt.datetime
) -> tuple[str, tuple[Any, ...]]:
    """What accounts have produced in a time: a SELECT of ``owner_id`` and ``output``.

    For set-based statements over all accounts at once; accounts without output are left out. Only
    swaps that succeeded count, by the moment at which they finished.

    Args:
        metric: finished swaps, or full seconds of finished video.
        since: the first moment that counts.
        before: the first moment after those that count.

    Returns:
        The statement and its parameters.
    """
    done = SwapJob.objects.filter(
        status=SwapJob.Status.SUCCEEDED, finished_at__gte=since, finished_at__lt=before
    )
    output = {
        OutputMetric.JOBS: Count("pk"),
        OutputMetric.VIDEO_SECONDS: Sum("result_duration_ms", default=0) / _MS_PER_S,
    }[metric]
    rows = done.order_by().values("owner_id").annotate(output=output)
    sql, parameters = rows.query.sql_with_params()
    return sql, tuple(parameters)


def lapsed_job_ids(*, limit: int) -> list[uuid.UUID]:
    """Running jobs whose worker stopped renewing its lease, the longest lapsed first."""
    lapsed = SwapJob.objects.filter(status=SwapJob.Status.RUNNING, lease_expires_at__lt=Now())
    return list(lapsed.order_by("lease_expires_at", "pk").values_list("pk", flat=True)[:limit])


def overlong_queued_job_ids(*, queued_before: dt.datetime, limit: int) -> list[uuid.UUID]:
    """Jobs that wait since before ``queued_before``, the longest waiting first."""
    waiting = SwapJob.objects.filter(status__in=UNSTARTED_STATUSES, queued_at__lt=queued_before)
    return list(waiting.order_by("queued_at", "pk").values_list("pk", flat=True)[:limit])


def overdue_to_start_job_ids(*, limit: int) -> list[uuid.UUID]:
    """Jobs that no worker began before their start deadline, the longest overdue first."""
    overdue = SwapJob.objects.filter(
        status__in=UNSTARTED_STATUSES, attempt=0, start_deadline_at__lte=Now()
    )
    return list(overdue.order_by("start_deadline_at", "pk").values_list("pk", flat=True)[:limit])
