"""A real worker drains: it finishes its job, takes nothing new, goes on when told; or is killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.types import Role
from inference import queue_selectors, services, tasks
from inference.models import SwapJob, Worker
from inference.tests import factories, real_engine
from tests.test_worker_kill import freeze_in_the_middle, status_of, submit
from tests.workers import LEASE_S, Workers, empty_queues, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Status = SwapJob.Status
# Longer than a message takes to an idle worker, many times over.
QUIET_S = 2


@pytest.fixture
def workers(settings, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    settings.WORKER_LOST_S = 3
    empty_queues()
    workers = Workers(tmp_path, WORKER_BEAT_S="0.1")
    try:
        yield workers
    finally:
        workers.end()


def swap(user, *, width_px: int) -> SwapJob:
    return submit(
        user,
        source=real_engine.sample("astronaut.png"),
        target=real_engine.enlarged("grace_hopper.jpg", width_px=width_px),
    )


def wait_for_log(workers: Workers, text: str) -> None:
    wait_until(lambda: text in workers.logs(), timeout_s=60, pause_s=0.05, hint=workers.logs)


def wait_for(job: SwapJob, status: Status, workers: Workers) -> None:
    wait_until(lambda: status_of(job) == status, timeout_s=60, pause_s=0.05, hint=workers.logs)


def test_a_worker_drains_goes_on_and_when_killed_leaves_its_job_to_another(workers):
    user = factories.make_user(tokens=10)
    operator = factories.make_user(role=Role.SRE)
    process = workers.start(with_beat=False)
    wait_until(Worker.objects.exists, timeout_s=60, pause_s=0.1, hint=workers.logs)

    first = swap(user, width_px=2400)
    freeze_in_the_middle(process, first, workers.logs)
    worker = Worker.objects.get()
    assert (worker.name, worker.queues) == (f"w0@test/{process.pid}", ["default", "swaps"])
    services.drain_worker(worker_id=worker.pk, actor_id=operator.pk)
    process.send_signal(signal.SIGCONT)
    wait_for_log(workers, "inference.worker.draining")
    waiting = swap(user, width_px=600)
    wait_for(first, Status.SUCCEEDED, workers)
    time.sleep(QUIET_S)
    first.refresh_from_db()
    assert first.attempt == 1
    assert status_of(waiting) == Status.QUEUED
    assert queue_selectors.queues()[0].is_stuck

    services.resume_worker(worker_id=worker.pk, actor_id=operator.pk)
    wait_for(waiting, Status.SUCCEEDED, workers)

    last = swap(user, width_px=2400)
    freeze_in_the_middle(process, last, workers.logs)
    assert Worker.objects.get().reference in {"", str(last.pk)}
    services.drain_worker(worker_id=worker.pk, actor_id=operator.pk)
    process.kill()
    process.wait(timeout=30)
    workers.start(with_beat=False)
    wait_until(
        lambda: not queue_selectors.is_live(Worker.objects.get(pk=worker.pk)),
        timeout_s=30,
        pause_s=0.2,
        hint=workers.logs,
    )
    time.sleep(LEASE_S)
    tasks.requeue_stale_jobs()
    wait_for(last, Status.SUCCEEDED, workers)
    last.refresh_from_db()
    assert last.attempt == 2
    assert factories.books(last).kinds == ("hold", "settle")
    assert queue_selectors.workers_listening() == {"default": 1, "swaps": 1}
