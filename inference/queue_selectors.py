"""What waits, what runs and who works: read queries for the operations page and the dashboard.

The rows are asked, not the broker: it may have lost messages, and the sweeps send those again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db.models import Avg, Count, Min, Q, QuerySet
from django.utils import timezone

from accounts import webhook_selectors
from facefusion_site.common.backlog import Backlog
from inference.models import FaceSearch, SwapJob, SwapSegment, Worker
from tokens import recharge_selectors

_LATELY: Final = dt.timedelta(hours=1)
# Workers that stopped or were lost stay in the list for a while, so that one sees that they did.
_KEPT: Final = dt.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue at one moment.

    Attributes:
        name: as workers are told with ``--queues``.
        waiting_count: what a worker could begin now.
        parked_count: jobs that wait for a place of their own account, not for a worker.
        running_count: what workers have.
        oldest_at: since when the first of the waiting waits; None when nothing does.
        workers_count: workers that listen to it now and are not draining.
        done_count: jobs that ended in the last hour, however; None where it is not counted.
    """

    name: str
    waiting_count: int
    running_count: int
    oldest_at: dt.datetime | None
    workers_count: int
    parked_count: int = 0
    done_count: int | None = None

    @property
    def oldest_age_s(self) -> int | None:
        """Seconds for which the first has waited."""
        if self.oldest_at is None:
            return None
        return max(0, int((timezone.now() - self.oldest_at).total_seconds()))

    @property
    def is_stuck(self) -> bool:
        """Whether something waits and nobody is there to do it."""
        return bool(self.waiting_count) and not self.workers_count


def queues() -> tuple[QueueState, ...]:
    """All queues that have rows: swaps, money and webhooks. A constant number of queries."""
    listening = workers_listening()
    return (
        _swaps(workers_count=listening.get("swaps", 0)),
        _state("money", recharge_selectors.backlog(), listening),
        _state("webhooks", webhook_selectors.backlog(), listening),
    )


def workers() -> list[Worker]:
    """Workers of the last day, those at work first."""
    rows = Worker.objects.filter(seen_at__gte=timezone.now() - _KEPT)
    return sorted(rows, key=lambda row: (not is_live(row), row.host, row.name))


def is_live(worker: Worker) -> bool:
    """Whether the worker reported lately and has not said good-bye."""
    oldest = timezone.now() - dt.timedelta(seconds=settings.WORKER_LOST_S)
    return worker.stopped_at is None and worker.seen_at >= oldest


def workers_listening() -> dict[str, int]:
    """By queue, how many live workers take work from it. One query."""
    counts: dict[str, int] = {}
    for names in _live().filter(is_draining=False).values_list("queues", flat=True):
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts


def gpu_percent() -> int | None:
    """Average load of the GPUs of live workers in percent; None where none is reported."""
    mean = _live().filter(gpu_percent__isnull=False).aggregate(mean=Avg("gpu_percent"))["mean"]
    return None if mean is None else round(mean)


def running_jobs(*, limit: int) -> Sequence[SwapJob]:
    """Jobs that workers have, those that began first in front."""
    rows = SwapJob.objects.filter(status=SwapJob.Status.RUNNING).select_related("owner", "quote")
    return list(rows.order_by("started_at", "pk")[:limit])


def _live() -> QuerySet[Worker]:
    oldest = timezone.now() - dt.timedelta(seconds=settings.WORKER_LOST_S)
    return Worker.objects.filter(stopped_at=None, seen_at__gte=oldest)


def _swaps(*, workers_count: int) -> QueueState:
    """Jobs, parts of long videos, and searches for faces share the queue."""
    queued, running = SwapJob.Status.QUEUED, SwapJob.Status.RUNNING
    jobs = SwapJob.objects.filter(status__in=[queued, running]).aggregate(
        waiting=Count("pk", filter=Q(status=queued, sent_at__isnull=False)),
        parked=Count("pk", filter=Q(status=queued, sent_at__isnull=True)),
        running=Count("pk", filter=Q(status=running, lease_expires_at__isnull=False)),
        oldest=Min("queued_at", filter=Q(status=queued, sent_at__isnull=False)),
    )
    pending, at_work = SwapSegment.Status.QUEUED, SwapSegment.Status.RUNNING
    segments = SwapSegment.objects.filter(status__in=[pending, at_work]).aggregate(
        waiting=Count("pk", filter=Q(status=pending)),
        running=Count("pk", filter=Q(status=at_work)),
        oldest=Min("queued_at", filter=Q(status=pending)),
    )
    asked, searching = FaceSearch.Status.QUEUED, FaceSearch.Status.RUNNING
    searches = FaceSearch.objects.filter(status__in=[asked, searching]).aggregate(
        waiting=Count("pk", filter=Q(status=asked)),
        running=Count("pk", filter=Q(status=searching)),
        oldest=Min("created_at", filter=Q(status=asked)),
    )
    parts = (jobs, segments, searches)
    return QueueState(
        name="swaps",
        waiting_count=sum(part["waiting"] for part in parts),
        running_count=sum(part["running"] for part in parts),
        oldest_at=min((part["oldest"] for part in parts if part["oldest"]), default=None),
        workers_count=workers_count,
        parked_count=jobs["parked"],
        done_count=SwapJob.objects.filter(finished_at__gte=timezone.now() - _LATELY).count(),
    )


def _state(name: str, backlog: Backlog, listening: Mapping[str, int]) -> QueueState:
    return QueueState(
        name=name,
        waiting_count=backlog.waiting_count,
        running_count=backlog.running_count,
        oldest_at=backlog.oldest_at,
        workers_count=listening.get(name, 0),
    )
