"""What became of the jobs of accounts lately, for rules that measure it. Sandboxes are left out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Final

from django.db.models import Count, QuerySet

from facefusion_site.common.activity import Activity
from inference.models import SwapJob

Status = SwapJob.Status
# What fails says nothing about intent: it was our fault, or the picture's. Nor does it make what
# was taken back a smaller part of the rest.
_TELLING: Final = (Status.SUCCEEDED, Status.CANCELED, Status.BLOCKED)
_CHUNK: Final = 2000


def ended_jobs(*, since: dt.datetime, until: dt.datetime, count_min: int) -> Iterator[Activity]:
    """Jobs of accounts with so many of them, in the order in which they ended.

    The amount is 1 for those that the account took back and 0 for the others; what failed is left
    out.
    """
    rows = _busy(_ended(since, until).filter(status__in=_TELLING), count_min)
    for owner_id, at, status, pk in (
        rows.order_by("finished_at", "pk")
        .values_list("owner_id", "finished_at", "status", "pk")
        .iterator(chunk_size=_CHUNK)
    ):
        assert at is not None, "jobs were chosen by their end"
        yield Activity(
            user_id=owner_id,
            at=at,
            amount=int(status == Status.CANCELED),
            reference=f"swap_job:{pk}",
        )


def blocked_jobs(*, since: dt.datetime, until: dt.datetime, count_min: int) -> Iterator[Activity]:
    """Jobs whose content was refused, in the order in which they ended."""
    rows = _busy(_ended(since, until).filter(status=Status.BLOCKED), count_min)
    for owner_id, at, pk in (
        rows.order_by("finished_at", "pk")
        .values_list("owner_id", "finished_at", "pk")
        .iterator(chunk_size=_CHUNK)
    ):
        assert at is not None, "jobs were chosen by their end"
        yield Activity(user_id=owner_id, at=at, reference=f"swap_job:{pk}")


def placed_holds(*, since: dt.datetime, until: dt.datetime) -> Iterator[uuid.UUID]:
    """The holds of jobs that were accepted then, oldest first."""
    rows = SwapJob.objects.filter(
        created_at__gt=since, created_at__lte=until, owner__sandbox_of=None, hold__isnull=False
    )
    for hold_id in (
        rows.order_by("created_at", "pk")
        .values_list("hold_id", flat=True)
        .iterator(chunk_size=_CHUNK)
    ):
        assert hold_id is not None, "jobs were chosen by their hold"
        yield hold_id


def request_of(*, job_id: uuid.UUID) -> tuple[int, str] | None:
    """Who asked for a job, and with what: itself, or the batch that it came in.

    None for a job of a sandbox, or where there is none.
    """
    jobs = SwapJob.objects.filter(pk=job_id, owner__sandbox_of=None)
    found = jobs.values_list("owner_id", "batch_id").first()
    if found is None:
        return None
    owner_id, batch_id = found
    return owner_id, f"swap_job:{job_id}" if batch_id is None else f"job_batch:{batch_id}"


def _ended(since: dt.datetime, until: dt.datetime) -> QuerySet[SwapJob]:
    return SwapJob.objects.filter(
        finished_at__gt=since, finished_at__lte=until, owner__sandbox_of=None
    )


def _busy(jobs: QuerySet[SwapJob], count_min: int) -> QuerySet[SwapJob]:
    busy = jobs.order_by().values("owner").annotate(count=Count("pk"))
    return jobs.filter(owner__in=busy.filter(count__gte=count_min).values("owner"))
