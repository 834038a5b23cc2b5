"""A video is canceled under a real worker, which stops at once or dies: it is paid once."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import tasks
from inference.models import SwapJob, SwapSegment
from inference.tests import factories, real_engine
from tests.test_video_scale_out import Customer
from tests.workers import Workers, empty_queues, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
SECONDS, FPS, SEGMENT_S = 24, 12, 8
QUOTED = SECONDS * 10
FRAMES = SECONDS * FPS


@pytest.fixture
def workers(settings, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(tmp_path, VIDEO_SEGMENT_S=str(SEGMENT_S), VIDEO_THREADS="1")
    try:
        yield workers
    finally:
        workers.end()


def running(workers: Workers, folder: Path) -> tuple[Customer, SwapJob, subprocess.Popen[bytes]]:
    """A video of which a worker has done some frames."""
    customer = Customer()
    film = real_engine.film(folder / "film.mp4", seconds=SECONDS, fps=FPS, size=(640, 360))
    quote = customer.post(
        "quotes",
        {
            "operation": "video_swap",
            "source_asset_id": customer.upload(real_engine.sample("astronaut.png"))["id"],
            "target_asset_id": customer.upload(film.read_bytes())["id"],
            "options": {"target_faces": "largest"},
        },
    )
    assert quote["tokens"] == QUOTED
    worker = workers.start(with_beat=False)
    accepted = customer.post(
        "jobs", {"quote_id": quote["id"]}, **{"idempotency-key": uuid.uuid4().hex}
    )
    job = SwapJob.objects.get(pk=accepted["id"])
    at_work = SwapSegment.objects.filter(job=job, status="RUNNING", frames_done__gt=0)
    wait_until(at_work.exists, timeout_s=120, pause_s=0.02, hint=workers.logs)
    return customer, job, worker


def swap_of_a_picture(customer: Customer) -> str:
    quote = customer.post(
        "quotes",
        {
            "operation": "image_swap",
            "source_asset_id": customer.upload(real_engine.sample("astronaut.png"))["id"],
            "target_asset_id": customer.upload(real_engine.sample("grace_hopper.jpg"))["id"],
        },
    )
    job = customer.post("jobs", {"quote_id": quote["id"]}, **{"idempotency-key": "later"})
    return str(job["id"])


def cancel(customer: Customer, job: SwapJob) -> dict[str, int]:
    answer = customer.http.post(f"/api/v1/jobs/{job.pk}/cancel")
    assert (answer.status_code, answer.data["state"]) == (200, "canceled"), answer.data
    receipt = dict(answer.data["receipt"])
    done = sum(SwapSegment.objects.filter(job=job).values_list("frames_done", flat=True))
    assert 0 < done < FRAMES
    assert receipt["settled"] == QUOTED * done // FRAMES
    assert receipt["settled"] + receipt["refunded"] == receipt["held"] == receipt["quoted"]
    return receipt


def result_files(media_root: Path) -> list[Path]:
    return [path for path in (media_root / "results").rglob("*") if path.is_file()]


def test_worker_stops_within_two_seconds_and_takes_other_work(workers, tmp_path, settings):
    customer, job, _worker = running(workers, tmp_path)

    receipt = cancel(customer, job)
    canceled_at = time.monotonic()
    wait_until(
        lambda: "inference.segment.late_attempt_stopped" in workers.logs(),
        timeout_s=30,
        pause_s=0.02,
        hint=workers.logs,
    )

    assert time.monotonic() - canceled_at < 2.0
    wait_until(
        lambda: not result_files(settings.MEDIA_ROOT), timeout_s=10, pause_s=0.1, hint=workers.logs
    )
    assert customer.http.get(f"/api/v1/jobs/{job.pk}").data["receipt"] == receipt
    assert factories.books(job).balance.held == 0


def test_worker_that_dies_after_the_cancel_changes_nothing(workers, tmp_path, settings):
    customer, job, worker = running(workers, tmp_path)

    receipt = cancel(customer, job)
    worker.kill()
    worker.wait(timeout=30)
    workers.start(with_beat=True)
    # What the broker does in the end with the messages of a dead worker.
    for index in range(SECONDS // SEGMENT_S):
        tasks.run_swap_segment.apply_async(kwargs={"job_id": str(job.pk), "index": index})
    tasks.run_swap_job.apply_async(kwargs={"job_id": str(job.pk)})
    # The worker takes messages in their order: what comes behind them is done after them.
    later = swap_of_a_picture(customer)
    wait_until(
        lambda: SwapJob.objects.get(pk=later).is_final,
        timeout_s=90,
        pause_s=0.1,
        hint=workers.logs,
    )

    said = customer.http.get(f"/api/v1/jobs/{job.pk}").data
    assert (said["state"], said["receipt"]) == ("canceled", receipt)
    books = factories.books(job)
    assert books.kinds == ("hold", "settle", "release")
    assert books.balance.held == 0
    statuses = set(SwapSegment.objects.filter(job=job).values_list("status", flat=True))
    assert statuses <= {"DONE", "STOPPED"}
