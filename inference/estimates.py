"""How long jobs will take: their place in the queue, and the pace of those that ended lately.

These are estimates for people who wait. Nothing is decided by them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import Count, Q

from inference.models import SwapJob, SwapQuote

Status = SwapJob.Status
_SAMPLE: Final = 50
# A job without a message is behind all that have one, and behind the older ones of its owner.
_PLACES_SQL: Final = """
SELECT job.id,
       1 + (SELECT count(*) FROM inference_swapjob other
             WHERE other.status = 'QUEUED' AND other.id <> job.id
               AND CASE WHEN job.sent_at IS NULL
                   THEN other.sent_at IS NOT NULL OR (other.owner_id = job.owner_id
                        AND (other.created_at, coalesce(other.batch_row, 0), other.id)
                            < (job.created_at, coalesce(job.batch_row, 0), job.id))
                   ELSE other.sent_at IS NOT NULL
                        AND (other.queued_at, other.id) < (job.queued_at, job.id) END),
       (SELECT count(*) FROM inference_swapjob WHERE status = 'RUNNING')
  FROM inference_swapjob job
 WHERE job.id = ANY(%s) AND job.status = 'QUEUED'
"""
# Of the jobs that succeeded last, by operation: how many, their seconds, and their units of work.
_PACE_SQL: Final = """
SELECT quote.operation, count(*),
       sum(extract(epoch FROM job.finished_at - job.started_at))::double precision,
       sum((SELECT sum((line ->> 'quantity')::bigint)
              FROM jsonb_array_elements(quote.price_lines) line))::double precision
  FROM (SELECT quote_id, started_at, finished_at FROM inference_swapjob
         WHERE status = 'SUCCEEDED' ORDER BY finished_at DESC LIMIT %s) job
  JOIN inference_swapquote quote ON quote.id = job.quote_id
 GROUP BY quote.operation
"""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a job waits: ``position`` counts from 1, ``running`` jobs are at work before it."""

    position: int
    running: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of the jobs that succeeded lately; None where there were none.

    Attributes:
        job_s: a job of any kind, on average.
        unit_s: by operation, a picture or a millisecond of video.
    """

    job_s: float | None
    unit_s: dict[str, float]

    def eta_s(self, quote: SwapQuote, place: QueuePlace) -> int | None:
        """Whole seconds until a job of this quote is done; None where there is no experience."""
        unit_s = self.unit_s.get(quote.operation)
        if unit_s is None or self.job_s is None:
            return None
        # As many jobs as run now will run then: the number of workers is not in the database.
        wait_s = (place.position - 1) * self.job_s / max(1, place.running)
        return round(wait_s + unit_s * _units(quote))


def pace() -> Pace:
    """The pace of the last jobs that succeeded. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PACE_SQL, [_SAMPLE])
        rows = cursor.fetchall()
    jobs_count = sum(count for _operation, count, _seconds, _units in rows)
    seconds = sum(took_s for _operation, _count, took_s, _units in rows)
    return Pace(
        job_s=seconds / jobs_count if jobs_count else None,
        unit_s={operation: took_s / units for operation, _count, took_s, units in rows},
    )


def places(*, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, QueuePlace]:
    """Where those of the jobs that are queued wait. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACES_SQL, [list(job_ids)])
        return {
            job_id: QueuePlace(position=position, running=running)
            for job_id, position, running in cursor.fetchall()
        }


def last_place() -> QueuePlace:
    """Where a job would wait that was accepted now. One query."""
    counts = SwapJob.objects.filter(status__in=[Status.QUEUED, Status.RUNNING]).aggregate(
        sent=Count("pk", filter=Q(status=Status.QUEUED, sent_at__isnull=False)),
        running=Count("pk", filter=Q(status=Status.RUNNING)),
    )
    return QueuePlace(position=counts["sent"] + 1, running=counts["running"])


def _units(quote: SwapQuote) -> int:
    return sum(int(line["quantity"]) for line in quote.price_lines)
