"""A real Celery worker goes on when the process that it works in is broken by what it reads."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.models import SwapJob
from inference.tests import factories, real_engine
from tests.test_worker_kill import status_of, submit
from tests.workers import Workers, empty_queues, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Status = SwapJob.Status


@pytest.fixture
def workers(settings, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(tmp_path, WORKER_ISOLATED="True", JOB_LEASE_S="60")
    try:
        yield workers
    finally:
        workers.end()


def process_of(worker_pid: int) -> int:
    """The process in which a worker works."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"inference.work_child" in words and parent == worker_pid:
            return int(entry.name)
    pytest.fail("the worker has no process of its own")


def test_worker_survives_the_end_of_its_process_and_the_job_is_refunded(workers) -> None:
    worker = workers.start(with_beat=False)
    job = submit(
        factories.make_user(tokens=3),
        source=real_engine.sample("astronaut.png"),
        target=real_engine.enlarged("grace_hopper.jpg", width_px=2400),
    )
    wait_until(
        lambda: status_of(job) != Status.QUEUED, timeout_s=60, pause_s=0.005, hint=workers.logs
    )

    os.kill(process_of(worker.pid), signal.SIGSEGV)
    wait_until(
        lambda: status_of(job) != Status.RUNNING, timeout_s=60, pause_s=0.05, hint=workers.logs
    )

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "processing_crashed")
    assert factories.books(job).kinds == ("hold", "release")
    second = submit(
        factories.make_user(tokens=3),
        source=real_engine.sample("astronaut.png"),
        target=real_engine.sample("grace_hopper.jpg"),
    )
    wait_until(
        lambda: status_of(second) in {Status.SUCCEEDED, Status.FAILED},
        timeout_s=90,
        pause_s=0.1,
        hint=workers.logs,
    )
    second.refresh_from_db()
    assert second.status == Status.SUCCEEDED, second.error_detail
    assert worker.poll() is None
