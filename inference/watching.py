"""Answers that wait for jobs: one thread of the process reads all watched jobs for all of them.

Whoever listens sleeps without a database connection. The thread starts with the first listener,
asks for all watched jobs in one statement each round, and ends with the last listener.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.translation import gettext as _

from inference import estimates
from inference.job_errors import TooManyListenersError
from inference.models import OPEN_STATUSES, SwapJob

log = structlog.get_logger(__name__)
_ROUND_S: Final = 0.5
_PLACES_EVERY_S: Final = 2.0
_RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class JobState:
    """What a listener is told about a job: all of it, so that nothing is lost by missing one."""

    status: str
    stage: str
    percent: int
    frames_done: int | None
    frames_count: int | None
    segments_done: int | None
    segments_count: int | None
    eta_s: int | None
    queue_position: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing will follow."""
        return self.status not in OPEN_STATUSES

    @property
    def id(self) -> str:
        """The same for the same content, so a client that comes back is told only what is new."""
        told = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def state_of(job: SwapJob, *, queue_position: int | None, eta_s: int | None) -> JobState:
    """What is told about a job with this place in the queue."""
    return JobState(
        status=job.status,
        stage=job.stage,
        percent=job.progress_percent,
        frames_done=job.frames_done if job.frames_count else None,
        frames_count=job.frames_count or None,
        segments_done=job.segments_done if job.segments_count else None,
        segments_count=job.segments_count or None,
        eta_s=eta_s,
        queue_position=queue_position,
    )


class Listener:
    """One answer that waits for one job. Close it, or use it in a ``with`` block."""

    def __init__(self, watch: JobWatch, job_id: uuid.UUID, owner_id: int) -> None:
        self._watch = watch
        self._job_id = job_id
        self._owner_id = owner_id
        self._is_open = True

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def next(self, *, known: JobState | None, timeout_s: float) -> JobState | None:
        """The job's state as soon as it is another than ``known``; None after ``timeout_s``."""
        return self._watch.wait(self._job_id, known=known, timeout_s=timeout_s)

    def end(self, *, timeout_s: float) -> JobState | None:
        """The job's last state as soon as there is one; None after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        state: JobState | None = None
        while (left_s := deadline - time.monotonic()) > 0:
            changed = self.next(known=state, timeout_s=left_s)
            if changed is not None and changed.is_final:
                return changed
            state = changed or state
        return None

    def close(self) -> None:
        """Give the place to somebody else."""
        if self._is_open:
            self._is_open = False
            self._watch.forget(self._job_id, self._owner_id)


class JobWatch:
    """The listeners of this process and the thread that reads for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: Counter[uuid.UUID] = Counter()
        self._accounts: Counter[int] = Counter()
        self._states: dict[uuid.UUID, JobState] = {}
        self._thread: threading.Thread | None = None

    def listen(self, *, job_id: uuid.UUID, owner_id: int) -> Listener:
        """Begin to watch a job.

        Raises:
            TooManyListenersError: the account, or this process, has as many as it may.
        """
        with self._changed:
            is_full = self._jobs.total() >= settings.JOB_LISTENERS_MAX
            if is_full or self._accounts[owner_id] >= settings.JOB_LISTENERS_PER_ACCOUNT:
                raise TooManyListenersError(
                    _("As many event streams are open as may be. Poll the job instead."),
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._jobs[job_id] += 1
            self._accounts[owner_id] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="job-watch", daemon=True)
                self._thread.start()
        return Listener(self, job_id, owner_id)

    def wait(
        self, job_id: uuid.UUID, *, known: JobState | None, timeout_s: float
    ) -> JobState | None:
        """See ``Listener.next``."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._states.get(job_id) not in {None, known}, timeout=timeout_s
            )
            state = self._states.get(job_id)
            return None if state == known else state

    def forget(self, job_id: uuid.UUID, owner_id: int) -> None:
        """One listener less."""
        with self._changed:
            self._jobs[job_id] -= 1
            self._accounts[owner_id] -= 1
            # Without those that nobody listens to any more.
            self._jobs = +self._jobs
            self._accounts = +self._accounts
            if job_id not in self._jobs:
                self._states.pop(job_id, None)

    def _run(self) -> None:
        reader = _Reader()
        while True:
            with self._changed:
                if not self._jobs:
                    self._thread = None
                    return
                watched = list(self._jobs)
            states = reader.read(watched)
            with self._changed:
                fresh = {
                    job_id: state
                    for job_id, state in states.items()
                    if job_id in self._jobs and self._states.get(job_id) != state
                }
                self._states |= fresh
                if fresh:
                    self._changed.notify_all()
            time.sleep(_ROUND_S)


class _Reader:
    """Reads the states of jobs; what it knows of the queue is a moment old."""

    def __init__(self) -> None:
        self._places: dict[uuid.UUID, estimates.QueuePlace] = {}
        self._pace = estimates.Pace(job_s=None, unit_s={})
        self._places_due_at = 0.0

    def read(self, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """The states of these jobs now; none while the database does not answer."""
        try:
            jobs = list(SwapJob.objects.select_related("quote").filter(pk__in=job_ids))
            queued = {job.pk for job in jobs if job.status == SwapJob.Status.QUEUED}
            if queued - self._places.keys() or time.monotonic() >= self._places_due_at:
                self._look_at_queue(queued)
            return {job.pk: self._state(job) for job in jobs}
        except DatabaseError:
            log.warning("inference.watch.database_away", exc_info=True)
            return {}
        finally:
            # Back to the pool: this thread sleeps most of the time.
            connection.close()

    def _look_at_queue(self, queued: Collection[uuid.UUID]) -> None:
        self._places = estimates.places(job_ids=queued) if queued else {}
        if queued:
            self._pace = estimates.pace()
        self._places_due_at = time.monotonic() + _PLACES_EVERY_S

    def _state(self, job: SwapJob) -> JobState:
        place = self._places.get(job.pk) if job.status == SwapJob.Status.QUEUED else None
        if place is None:
            return state_of(job, queue_position=None, eta_s=job.eta_s)
        eta_s = self._pace.eta_s(job.quote, place)
        return state_of(job, queue_position=place.position, eta_s=eta_s)


watch: Final = JobWatch()
