"""What a worker writes about itself. Each step is one short statement."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.db.models.functions import Now
from django.utils import timezone

from inference.gpus import GpuReading
from inference.models import Worker

# What is older than this is of no interest to anybody any more.
_KEPT: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What stays the same for the life of a worker process."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    concurrency: int
    provider: str


@dataclass(frozen=True, slots=True)
class WorkerActivity:
    """What a worker does at one moment; ``reference`` is the job or batch of its task."""

    task: str = ""
    reference: str = ""
    since: dt.datetime | None = None
    gpu: GpuReading | None = None


def register(facts: WorkerFacts) -> uuid.UUID:
    """Write the row of a worker that starts; it takes work, whatever its predecessor was told.

    Rows of workers that nobody has heard of for a week go.
    """
    Worker.objects.filter(seen_at__lt=timezone.now() - _KEPT).delete()
    worker, _is_new = Worker.objects.update_or_create(
        name=facts.name,
        defaults={
            "host": facts.host,
            "pid": facts.pid,
            "queues": list(facts.queues),
            "concurrency": facts.concurrency,
            "provider": facts.provider,
            "task": "",
            "reference": "",
            "task_since": None,
            "is_draining": False,
            "started_at": Now(),
            "seen_at": Now(),
            "stopped_at": None,
        },
    )
    return worker.pk


def report(*, worker_id: uuid.UUID, activity: WorkerActivity) -> bool:
    """Write that the worker lives and what it does.

    Returns:
        Whether it is to take no more work.
    """
    gpu = activity.gpu
    Worker.objects.filter(pk=worker_id).update(
        seen_at=Now(),
        task=activity.task,
        reference=activity.reference,
        task_since=activity.since,
        gpu_name=gpu.name if gpu else "",
        gpu_percent=gpu.percent if gpu else None,
        gpu_memory_used_bytes=gpu.memory_used_bytes if gpu else None,
        gpu_memory_total_bytes=gpu.memory_total_bytes if gpu else None,
    )
    return Worker.objects.filter(pk=worker_id, is_draining=True).exists()


def sign_off(*, worker_id: uuid.UUID) -> None:
    """Write that the worker has stopped in an orderly way."""
    Worker.objects.filter(pk=worker_id).update(
        stopped_at=Now(), seen_at=Now(), task="", reference="", task_since=None
    )
