"""A worker survives what it works on: a crash ends its process, and the job with a refund."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from inference import handlers, isolated, tasks
from inference.isolation import IsolatedProcess, ProcessCrashedError
from inference.models import FaceSearch, SwapJob, SwapSegment
from inference.services import request_faces
from inference.tests import factories
from inference.tests.isolation import acting
from tests.workers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Status = SwapJob.Status


@pytest.fixture
def act(settings, monkeypatch) -> Iterator[Callable[[str], IsolatedProcess]]:
    """Let the worker's process do this."""
    settings.WORKER_ISOLATED = True
    used: list[IsolatedProcess] = []

    def choose(what: str) -> IsolatedProcess:
        used.append(acting(what))
        monkeypatch.setattr(isolated, "process", used[-1])
        return used[-1]

    yield choose
    for process in used:
        process.close()


@pytest.fixture
def job() -> SwapJob:
    return factories.make_job(owner_id=factories.make_user(tokens=5).pk)


def pid_of(process: IsolatedProcess) -> int:
    assert process._running is not None
    return process._running.process.pid


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_refunded(job: SwapJob, code: str) -> None:
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, code)
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert (books.balance.available, books.balance.held) == (5, 0)


def test_work_is_done_in_another_process_that_stays(act, job) -> None:
    process = act("work")

    tasks.run_swap_job(job_id=str(job.pk))
    pid = pid_of(process)
    second = factories.make_job(owner_id=factories.make_user(tokens=5).pk)
    tasks.run_swap_job(job_id=str(second.pk))

    for done in (job, second):
        done.refresh_from_db()
        assert done.status == Status.SUCCEEDED, done.error_detail
        assert factories.books(done).kinds == ("hold", "settle")
    assert pid_of(process) == pid != os.getpid()


@pytest.mark.parametrize(("what", "name"), [("crash", "SIGSEGV"), ("abort", "SIGABRT")])
def test_crash_fails_the_job_at_once_with_a_full_refund(
    act, job, client_of, media_root, what, name
) -> None:
    act(what)

    tasks.run_swap_job(job_id=str(job.pk))

    assert_refunded(job, "processing_crashed")
    assert (job.attempt, job.error_detail) == (1, name)
    assert not (media_root / "results").exists()
    said = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}").data
    assert said["error"]["code"] == "processing_crashed"
    act("work")
    other = factories.make_job(owner_id=factories.make_user(tokens=5).pk)
    tasks.run_swap_job(job_id=str(other.pk))
    other.refresh_from_db()
    assert other.status == Status.SUCCEEDED, "the worker goes on"


def test_process_that_was_killed_is_no_fault_of_the_job(act, job) -> None:
    act("kill")
    tasks.run_swap_job(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.status == Status.RUNNING, "its lease is still good"

    factories.lapse_lease(job.pk)
    assert job.pk in handlers.requeue_stale_jobs().to_send
    act("work")
    tasks.run_swap_job(job_id=str(job.pk))

    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_work_that_stands_still_is_ended_and_bounded(act, job, settings, monkeypatch) -> None:
    monkeypatch.setattr("inference.isolation._LOOK_INTERVAL_S", 0.2)
    settings.JOB_LEASE_S = settings.WORKER_STALL_S = 1
    settings.JOB_ATTEMPTS_MAX = 2
    process = act("stall")

    for _attempt in range(2):
        started = time.monotonic()
        tasks.run_swap_job(job_id=str(job.pk))
        assert time.monotonic() - started < 60
        assert process._running is None
        factories.lapse_lease(job.pk)
        handlers.requeue_stale_jobs()

    assert_refunded(job, "worker_lost")


def test_crash_of_somebody_elses_attempt_ends_nothing(act, job) -> None:
    """Our process found nothing to do; the job is at work elsewhere."""
    factories.take(job)
    isolated._fail_job(job.pk, attempt=7, detail="SIGSEGV")

    job.refresh_from_db()
    assert job.status == Status.RUNNING


def test_crash_while_looking_for_faces_ends_the_search(act, monkeypatch) -> None:
    process = act("work")
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    request_faces(owner_id=user.pk, asset_id=asset.pk)
    search = FaceSearch.objects.get()

    def crash(*_args: object, **_kwargs: object) -> None:
        FaceSearch.objects.update(status="RUNNING", attempt=1, lease_expires_at=search.created_at)
        raise ProcessCrashedError("SIGSEGV")

    monkeypatch.setattr(process, "do", crash)
    assert isolated.find_faces(search_id=search.pk) is False

    search.refresh_from_db()
    assert (search.status, search.error_code) == ("FAILED", "processing_crashed")


def test_process_ends_with_its_worker_however_it_goes(job, tmp_path) -> None:
    """A worker that is killed leaves nobody behind who works on."""
    program = (
        "import django; django.setup()\n"
        "from inference.tests.isolation import acting\n"
        "process = acting('stall')\n"
        "process._start()\n"
        "print(process._running.process.pid, flush=True)\n"
        f"process.do('run_swap_job', is_stalled=lambda: False, job_id='{job.pk}')\n"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "facefusion_site.settings.test",
        "MEDIA_ROOT": str(tmp_path / "media"),
        "DATABASE_URL": acting("stall")._environment["DATABASE_URL"],
    }
    worker = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())

    def is_running() -> bool:
        return SwapJob.objects.get(pk=job.pk).status == Status.RUNNING

    wait_until(is_running, timeout_s=60, pause_s=0.1, hint=lambda: "")
    assert is_alive(pid)
    worker.send_signal(signal.SIGKILL)
    worker.wait(timeout=20)

    wait_until(lambda: not is_alive(pid), timeout_s=20, pause_s=0.05, hint=lambda: "")
    connection.close()


def test_crash_of_a_segment_fails_the_whole_job(act, job) -> None:
    SwapSegment.objects.create(job=job, index=0, plan={"frames_count": 1}, frames_count=1)
    SwapJob.objects.filter(pk=job.pk).update(
        status=Status.RUNNING, attempt=1, started_at=job.created_at, segments_count=1
    )
    SwapSegment.objects.update(status="RUNNING", attempt=2, lease_expires_at=job.created_at)

    isolated._fail_segment(job.pk, index=0, attempt=1, detail="SIGSEGV")
    job.refresh_from_db()
    assert job.status == Status.RUNNING, "the attempt was another one"
    isolated._fail_segment(job.pk, index=0, attempt=2, detail="SIGSEGV")

    assert_refunded(job, "processing_crashed")
    assert SwapSegment.objects.get().status == SwapSegment.Status.STOPPED
