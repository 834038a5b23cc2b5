"""Runs beside the tasks of a worker: reports it, and lets it drain.

A thread does both, because the main thread of a solo worker is busy for as long as its task runs.
What it tells the consumer is done by the main thread between two tasks, so a task is never cut.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import structlog
from celery.signals import task_postrun, task_prerun, worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from inference import gpus, workers
from inference.workers import WorkerActivity, WorkerFacts

Result = TypeVar("Result")
log = structlog.get_logger(__name__)
# The keyword that says what a task is about, in the order of preference.
_REFERENCES: Final = ("job_id", "batch_id", "search_id")


class WorkerLife:
    """One worker process from its start to its end."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._activity = WorkerActivity()
        self._is_draining = False

    def begin(self, *, consumer: Any) -> None:
        """Start to report; ``consumer`` is Celery's."""
        facts = WorkerFacts(
            name=f"{consumer.hostname}/{os.getpid()}",
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(sorted(consumer.app.amqp.queues.consume_from)),
            # What is asked for on the command line means nothing to a solo pool.
            concurrency=int(consumer.pool.num_processes),
            provider=", ".join(settings.ORT_PROVIDERS),
        )
        self._stopped.clear()
        self._thread = threading.Thread(
            target=self._run, args=(facts, consumer), name="worker-life", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Say good-bye; called when the worker shuts down in an orderly way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=settings.WORKER_BEAT_S)

    def note_task(self, *, name: str, kwargs: dict[str, Any]) -> None:
        """A task begins in this process."""
        reference = next((str(kwargs[key]) for key in _REFERENCES if key in kwargs), "")
        self._activity = WorkerActivity(task=name, reference=reference, since=timezone.now())

    def note_no_task(self) -> None:
        """The task has ended, however."""
        self._activity = WorkerActivity()

    def _run(self, facts: WorkerFacts, consumer: Any) -> None:
        try:
            worker_id = _tried(lambda: workers.register(facts))
            while worker_id is None and not self._stopped.wait(settings.WORKER_BEAT_S):
                worker_id = _tried(lambda: workers.register(facts))
            while worker_id is not None:
                self._report(worker_id, facts.queues, consumer)
                if self._stopped.wait(settings.WORKER_BEAT_S):
                    _tried(lambda: workers.sign_off(worker_id=worker_id))
                    return
        finally:
            connection.close()

    def _report(self, worker_id: Any, queues: tuple[str, ...], consumer: Any) -> None:
        now = self._activity
        gpu = gpus.read(index=settings.ORT_DEVICE_ID) if _uses_gpu() else None
        activity = WorkerActivity(now.task, now.reference, now.since, gpu)
        must_drain = _tried(lambda: workers.report(worker_id=worker_id, activity=activity))
        if must_drain is None or must_drain == self._is_draining:
            return
        change = consumer.cancel_task_queue if must_drain else consumer.add_task_queue
        for queue in queues:
            consumer.call_soon(change, queue)
        self._is_draining = must_drain
        # Somebody told it to, which whoever reads the log of an idle worker wants to know.
        log.warning("inference.worker.draining" if must_drain else "inference.worker.resumed")


def _uses_gpu() -> bool:
    return any(provider != "cpu" for provider in settings.ORT_PROVIDERS)


def _tried(step: Callable[[], Result]) -> Result | None:
    """The result, or None while the database is away: a report is not worth a worker's life."""
    try:
        return step()
    except Error as error:
        log.warning("inference.worker.unreported", error=str(error))
        connection.close()
        return None


life = WorkerLife()


@worker_ready.connect
def _begin(sender: Any, **_details: object) -> None:
    life.begin(consumer=sender)


@worker_shutdown.connect
def _end(**_details: object) -> None:
    life.end()


@task_prerun.connect
def _note_task(task: Any, kwargs: dict[str, Any], **_details: object) -> None:
    life.note_task(name=task.name, kwargs=kwargs)


@task_postrun.connect
def _note_no_task(**_details: object) -> None:
    life.note_no_task()
