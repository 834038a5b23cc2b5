"""How busy the platform is, now and in the past: what prices follow.

Only work that waits for a worker counts. Jobs that wait for other jobs of their own account say
nothing about the platform, and those of sandboxes cost nothing, so nobody can raise a price with
them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from inference import queue_selectors
from inference.models import SwapJob, SwapSegment
from tokens.price_types import Load

_MINUTE: Final = dt.timedelta(minutes=1)
Span = tuple[dt.datetime, dt.datetime | None, dt.datetime | None]


def current_load() -> Load:
    """The load at this moment. Three queries, which indexes of open work answer."""
    live_jobs = SwapJob.objects.filter(
        Q(status=SwapJob.Status.QUEUED, sent_at__isnull=False)
        | Q(status=SwapJob.Status.RUNNING, lease_expires_at__isnull=False),
        owner__sandbox_of__isnull=True,
    )
    jobs = live_jobs.annotate(since=Coalesce("placed_at", "sent_at")).aggregate(
        oldest=Min("since", filter=Q(status=SwapJob.Status.QUEUED)),
        waiting=Count("pk", filter=Q(status=SwapJob.Status.QUEUED)),
        running=Count("pk", filter=Q(status=SwapJob.Status.RUNNING)),
    )
    segments = SwapSegment.objects.filter(
        status__in=[SwapSegment.Status.QUEUED, SwapSegment.Status.RUNNING]
    ).aggregate(
        oldest=Min("queued_at", filter=Q(status=SwapSegment.Status.QUEUED)),
        waiting=Count("pk", filter=Q(status=SwapSegment.Status.QUEUED)),
        running=Count("pk", filter=Q(status=SwapSegment.Status.RUNNING)),
    )
    oldest = min((found for found in (jobs["oldest"], segments["oldest"]) if found), default=None)
    waited_s = 0.0 if oldest is None else (timezone.now() - oldest).total_seconds()
    return Load(
        oldest_wait_s=max(0, int(waited_s)),
        waiting_count=jobs["waiting"] + segments["waiting"],
        running_count=jobs["running"] + segments["running"],
        utilisation_percent=queue_selectors.gpu_percent(),
    )


def past_load(*, since: dt.datetime, until: dt.datetime) -> Iterator[tuple[dt.datetime, Load]]:
    """The load of each minute, as far as the rows of jobs still tell it.

    Of a job that was tried again they tell the last time it waited. A video in segments counts as
    one piece of work.
    """
    spans = (
        SwapJob.objects.filter(owner__sandbox_of__isnull=True, created_at__lt=until)
        .filter(Q(finished_at__isnull=True) | Q(finished_at__gte=since))
        .annotate(since=Coalesce("placed_at", "created_at"))
        .order_by("since")
        .values_list("since", "started_at", "finished_at")
    )
    return load_of_spans(spans=spans.iterator(chunk_size=2_000), since=since, until=until)


def load_of_spans(
    *, spans: Iterable[Span], since: dt.datetime, until: dt.datetime
) -> Iterator[tuple[dt.datetime, Load]]:
    """The load of each minute from the spans of jobs: since when they waited, ran, and had ended.

    Args:
        spans: in the order of their first moment; None where something has not happened yet.
        since: the first minute.
        until: the moment behind the last minute.
    """
    count = max(0, int((until - since) / _MINUTE))
    waiting, running = [0] * (count + 1), [0] * (count + 1)
    oldest: list[dt.datetime | None] = [None] * count
    # Spans come in the order in which they began to wait: up to here somebody older waited.
    seen_until = 0

    def minute(at: dt.datetime | None) -> int:
        """The first minute at or behind a moment; what has not happened comes behind the last."""
        if at is None:
            return count
        return min(max(-int((since - at) // _MINUTE), 0), count)

    for waits_from, runs_from, ended_at in spans:
        first, ended = minute(waits_from), minute(ended_at)
        start = min(minute(runs_from), ended)
        if first < start:
            waiting[first] += 1
            waiting[start] -= 1
            for at in range(max(first, seen_until), start):
                oldest[at] = waits_from
            seen_until = max(seen_until, start)
        if start < ended:
            running[start] += 1
            running[ended] -= 1
    waiting_count = running_count = 0
    for number, first_of_all in enumerate(oldest):
        moment = since + number * _MINUTE
        waiting_count += waiting[number]
        running_count += running[number]
        waited_s = 0 if first_of_all is None else int((moment - first_of_all).total_seconds())
        yield moment, Load(waited_s, waiting_count, running_count)
