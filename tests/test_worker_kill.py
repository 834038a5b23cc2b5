"""A real Celery worker dies in the middle of a job; another one finishes it, paid exactly once."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, transaction
from rest_framework.test import APIClient

from inference.models import SwapJob
from inference.tests import factories, real_engine
from tests.workers import Workers, empty_queues, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Status = SwapJob.Status


@pytest.fixture
def workers(settings, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(tmp_path)
    try:
        yield workers
    finally:
        workers.end()


def submit(user, *, source: bytes, target: bytes) -> SwapJob:
    client = APIClient()
    client.force_authenticate(user)
    assets = [
        client.post(
            "/api/v1/assets", {"file": SimpleUploadedFile("photo", data)}, format="multipart"
        ).data["id"]
        for data in (source, target)
    ]
    quote = client.post(
        "/api/v1/quotes",
        {
            "operation": "image_swap",
            "source_asset_id": assets[0],
            "target_asset_id": assets[1],
        },
        format="json",
    )
    answer = client.post(
        "/api/v1/jobs",
        {"quote_id": quote.data["id"]},
        format="json",
        headers={"idempotency-key": uuid.uuid4().hex},
    )
    assert answer.status_code == 202, answer.data
    return SwapJob.objects.get(pk=answer.data["id"])


def status_of(job: SwapJob) -> str:
    return SwapJob.objects.values_list("status", flat=True).get(pk=job.pk)


def freeze_in_the_middle(worker: subprocess.Popen[bytes], job: SwapJob, hint) -> None:
    """Stop the worker's process while its attempt runs and none of its transactions is open."""
    wait_until(lambda: status_of(job) != Status.QUEUED, timeout_s=60, pause_s=0.005, hint=hint)
    for _try in range(100):
        worker.send_signal(signal.SIGSTOP)
        try:
            with transaction.atomic():
                SwapJob.objects.select_for_update(nowait=True).get(pk=job.pk)
        except OperationalError:
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.005)
        else:
            break
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.RUNNING, 1), "the picture is too easy to interrupt"


@pytest.fixture
def interrupted(workers: Workers) -> tuple[SwapJob, subprocess.Popen[bytes]]:
    """A job whose first worker stands still in the middle of it."""
    first = workers.start(with_beat=False)
    job = submit(
        factories.make_user(tokens=3),
        source=real_engine.sample("astronaut.png"),
        target=real_engine.enlarged("grace_hopper.jpg", width_px=2400),
    )
    freeze_in_the_middle(first, job, workers.logs)
    return job, first


def assert_paid_once(job: SwapJob, media_root: Path) -> None:
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2), job.error_detail
    books = factories.books(job)
    assert books.kinds == ("hold", "settle")
    assert (books.balance.available, books.balance.held) == (2, 0)
    results = sorted(path.name for path in (media_root / "results").rglob("*.*"))
    assert results == ["2.jpg", "2.thumb.jpg"]


def test_killed_worker_s_job_is_finished_by_another_and_paid_once(workers, interrupted, settings):
    job, first = interrupted

    first.kill()
    first.wait(timeout=30)
    assert factories.books(job).kinds == ("hold",)
    workers.start(with_beat=True)
    wait_until(
        lambda: status_of(job) in {Status.SUCCEEDED, Status.FAILED},
        timeout_s=90,
        pause_s=0.2,
        hint=workers.logs,
    )

    assert_paid_once(job, settings.MEDIA_ROOT)


def test_worker_that_wakes_up_too_late_changes_nothing(workers, interrupted, settings):
    job, first = interrupted

    workers.start(with_beat=True)
    wait_until(
        lambda: status_of(job) in {Status.SUCCEEDED, Status.FAILED},
        timeout_s=90,
        pause_s=0.2,
        hint=workers.logs,
    )
    first.send_signal(signal.SIGCONT)
    wait_until(
        lambda: "inference.job.late_attempt_" in workers.logs(),
        timeout_s=60,
        pause_s=0.2,
        hint=workers.logs,
    )
    first.terminate()
    first.wait(timeout=60)

    assert_paid_once(job, settings.MEDIA_ROOT)
