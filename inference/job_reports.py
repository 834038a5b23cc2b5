"""What became of jobs: by day, and how long they waited and ran lately.

Days are counted anew from the index on the end of jobs until a later day has been counted: an end
is written at the start of its transaction and may be committed a little after midnight. Before that
a day is final, because a job that has ended never changes its end.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from inference.models import JobDay, SwapJob

_LOCK_KEY: Final = 7_332_001
# How a job can end.
ENDINGS: Final = (
    SwapJob.Status.SUCCEEDED,
    SwapJob.Status.FAILED,
    SwapJob.Status.BLOCKED,
    SwapJob.Status.CANCELED,
    SwapJob.Status.EXPIRED,
)
# The last jobs are a sample large enough for a percentile and small enough for a page.
LATENCY_SAMPLE: Final = 1_000
_FIRST_DAY_SQL: Final = """
SELECT (min(finished_at) AT TIME ZONE 'UTC')::date FROM inference_swapjob
 WHERE finished_at IS NOT NULL
"""
_COUNT_SQL: Final = """
INSERT INTO inference_jobday (day, status, jobs_count)
SELECT (j.finished_at AT TIME ZONE 'UTC')::date, j.status, count(*)
  FROM inference_swapjob j JOIN accounts_user u ON u.id = j.owner_id
 WHERE j.finished_at >= %(start)s AND u.sandbox_of_id IS NULL
 GROUP BY 1, 2
"""
# Waiting ends with the first start; running is what the last attempt took.
_LATENCY_SQL: Final = """
SELECT count(*),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
           ORDER BY greatest(0, extract(epoch FROM started_at - queued_at))),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
           ORDER BY extract(epoch FROM finished_at - started_at))
  FROM (
       SELECT queued_at, started_at, finished_at FROM inference_swapjob
        WHERE status = 'SUCCEEDED' AND finished_at >= %(since)s
        ORDER BY finished_at DESC LIMIT %(sample)s
  ) last
"""
_OPEN_SQL: Final = """
SELECT status, count(*) FROM inference_swapjob
 WHERE status IN ('AWAITING_INPUT', 'QUEUED', 'RUNNING') GROUP BY status
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that jobs waited and ran, of the last ones that succeeded; None where none did.

    Attributes:
        jobs: how many jobs the figures are about.
    """

    jobs: int
    wait_p50_s: float | None
    wait_p95_s: float | None
    run_p50_s: float | None
    run_p95_s: float | None


@transaction.atomic(durable=True)
def count_days() -> int:
    """Count the jobs of every day that is not final; owns its transaction.

    Returns:
        How many counts were written.
    """
    with connection.cursor() as cursor:
        # Two runs would both throw away and both count.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        first = _first_open_day(cursor)
        if first is None:
            return 0
        JobDay.objects.filter(day__gte=first).delete()
        start = dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC)
        cursor.execute(_COUNT_SQL, {"start": start})
        return int(cursor.rowcount)


def ended_by_day(*, first: dt.date, last: dt.date) -> dict[dt.date, dict[str, int]]:
    """Jobs by the day of their end and by how they ended; days without jobs are left out."""
    found: dict[dt.date, dict[str, int]] = {}
    rows = JobDay.objects.filter(day__range=(first, last)).order_by("day", "status")
    for row in rows:
        found.setdefault(row.day, {})[row.status] = row.jobs_count
    return found


def open_by_status() -> dict[str, int]:
    """Jobs that wait or run, by status. One query over the index of open jobs."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_SQL)
        counts = dict(cursor.fetchall())
    open_statuses = (
        SwapJob.Status.AWAITING_INPUT,
        SwapJob.Status.QUEUED,
        SwapJob.Status.RUNNING,
    )
    return {status.value: int(counts.get(status.value, 0)) for status in open_statuses}


def latency(*, since: dt.datetime) -> Latency:
    """How long the last jobs waited and ran that succeeded after ``since``. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LATENCY_SQL, {"since": since, "sample": LATENCY_SAMPLE})
        jobs, waits, runs = cursor.fetchone()
    wait_p50, wait_p95 = waits or (None, None)
    run_p50, run_p95 = runs or (None, None)
    return Latency(jobs, wait_p50, wait_p95, run_p50, run_p95)


def _first_open_day(cursor: Any) -> dt.date | None:
    """The day before the last one that was counted, or the first on which a job ended."""
    last: dt.date | None = JobDay.objects.order_by("-day").values_list("day", flat=True).first()
    if last is not None:
        return last - dt.timedelta(days=1)
    cursor.execute(_FIRST_DAY_SQL)
    (first,) = cursor.fetchone()
    return first  # type: ignore[no-any-return]  # a date of the database
