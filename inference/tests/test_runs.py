"""Running a job: results, faults of the pictures, faults of ours, and crashes at every step."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from inference import endings, handlers, observers, runtime, services, storage, tasks, transitions
from inference.models import SwapJob
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.tests import factories
from tokens import services as tokens_services

pytestmark = pytest.mark.django_db
Status = SwapJob.Status


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product catches it."""


@pytest.fixture
def job(db) -> SwapJob:
    return factories.make_job(owner_id=factories.make_user(tokens=5).pk)


def result_files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "results").rglob("*") if path.is_file())


def run_until_quiet(job_id) -> None:
    """What workers and beat do after a crash: sweep, deliver, deliver again."""
    factories.lapse_lease(job_id)
    for ready_id in handlers.requeue_stale_jobs().to_send:
        handlers.run_swap_job(job_id=ready_id)
    # The broker repeats messages; it also still has the one of the crashed worker.
    while handlers.run_swap_job(job_id=job_id):
        pass


def break_swap(monkeypatch, error: BaseException) -> None:
    def swap(**_):
        raise error

    monkeypatch.setattr(runtime, "swap", swap)


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_result_is_stored_in_the_format_of_the_target(media_root, kind):
    user = factories.make_user(tokens=1)
    job = factories.make_job(owner_id=user.pk, target=factories.picture(format=kind))

    assert handlers.run_swap_job(job_id=job.pk) is False

    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED
    data = (media_root / job.result_key).read_bytes()
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.size) == (kind, (64, 48))
    assert (job.result_width_px, job.result_height_px) == (64, 48)
    assert job.result_size_bytes == len(data)
    assert job.faces[0]["similarity_after"] == 0.7
    assert len(result_files(media_root)) == 2, "the picture and its thumbnail"
    assert factories.books(job).kinds == ("hold", "settle")


@pytest.mark.usefixtures("fast_swap")
def test_second_delivery_does_nothing(job, media_root):
    handlers.run_swap_job(job_id=job.pk)
    before = SwapJob.objects.values().get(pk=job.pk)

    assert handlers.run_swap_job(job_id=job.pk) is False

    assert SwapJob.objects.values().get(pk=job.pk) == before
    assert factories.books(job).kinds == ("hold", "settle")
    assert len(result_files(media_root)) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (pipeline_errors.NoFaceFoundError("source"), "no_face_in_source"),
        (pipeline_errors.NoFaceFoundError("target"), "no_face_in_target"),
        (pipeline_errors.SeveralFacesError("source", 2), "several_faces_in_source"),
        (pipeline_errors.SeveralFacesError("target", 3), "several_faces_in_target"),
        (pipeline_errors.UnreadableImageError("damaged"), "unreadable_image"),
    ],
)
def test_fault_of_the_pictures_fails_at_once_with_a_refund(job, monkeypatch, error, code):
    break_swap(monkeypatch, error)

    assert handlers.run_swap_job(job_id=job.pk) is False

    job.refresh_from_db()
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, code, 1)
    assert job.error_detail == str(error)
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert (books.balance.available, books.balance.held) == (5, 0)


@pytest.mark.parametrize(
    "error",
    [
        pipeline_errors.ModelMissingError("det.onnx"),
        pipeline_errors.ModelMismatchError("det.onnx"),
        OSError("disk"),
        MemoryError(),
        RuntimeError("bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_fault_of_ours_is_tried_again_then_refunded(job, monkeypatch, settings, error):
    settings.JOB_ATTEMPTS_MAX = 3
    break_swap(monkeypatch, error)

    outcomes = [handlers.run_swap_job(job_id=job.pk) for _ in range(3)]

    assert outcomes == [True, True, False]
    job.refresh_from_db()
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, "internal_error", 3)
    assert type(error).__name__ in job.error_detail
    assert factories.books(job).kinds == ("hold", "release")


def test_fault_of_ours_is_logged_with_its_traceback(job, monkeypatch, caplog):
    break_swap(monkeypatch, RuntimeError("bug"))

    with caplog.at_level(logging.ERROR):
        handlers.run_swap_job(job_id=job.pk)

    assert "attempt_broke" in caplog.text
    assert "RuntimeError" in caplog.text


def test_next_attempt_may_succeed(job, monkeypatch, request):
    break_swap(monkeypatch, OSError("disk"))
    assert handlers.run_swap_job(job_id=job.pk) is True
    request.getfixturevalue("fast_swap")

    handlers.run_swap_job(job_id=job.pk)

    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert factories.books(job).kinds == ("hold", "settle")


def test_task_sends_the_message_again_after_a_fault_of_ours(job, monkeypatch):
    sent = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs, **options: sent.append((kwargs, options))
    )
    break_swap(monkeypatch, OSError("disk"))

    tasks.run_swap_job(job_id=str(job.pk))

    assert sent == [({"job_id": str(job.pk)}, {"countdown": 2})]


def test_lost_upload_ends_in_a_refund(job, media_root, fast_swap):
    for path in (media_root / "assets").rglob("*.jpg"):
        path.unlink()

    while handlers.run_swap_job(job_id=job.pk):
        pass

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "internal_error")
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.usefixtures("fast_swap")
def test_full_disk_ends_in_a_refund_without_left_overs(job, monkeypatch, media_root):
    real_replace = Path.replace

    def full_disk(self: Path, target: Path) -> Path:
        if "results" in target.parts and "thumb" not in target.name:
            raise OSError(28, "No space left on device")
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", full_disk)
    while handlers.run_swap_job(job_id=job.pk):
        pass

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "internal_error")
    assert factories.books(job).kinds == ("hold", "release")
    assert result_files(media_root) == []


def test_worker_that_lost_its_job_stops_and_publishes_nothing(job, monkeypatch, media_root):
    def swap(*, target_bgr, observer, **_):
        services.requeue_swap_job(job_id=job.pk, actor_id=1)
        observer.progress("swap", 0.5)
        assert observer.should_stop()
        raise pipeline_errors.StoppedError("swap")

    monkeypatch.setattr(runtime, "swap", swap)

    assert handlers.run_swap_job(job_id=job.pk) is False

    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.QUEUED, 1)
    assert not (media_root / "results").exists()
    assert factories.books(job).kinds == ("hold",)


@pytest.mark.usefixtures("fast_swap")
def test_late_result_is_thrown_away_and_never_charged(job, monkeypatch, media_root):
    """The job is refunded after the last heartbeat, while the result is written."""
    real_write = storage.write_picture

    def write(**kwargs) -> str:
        digest = real_write(**kwargs)
        services.stop_swap_job(job_id=job.pk, actor_id=1)
        return digest

    monkeypatch.setattr(storage, "write_picture", write)

    handlers.run_swap_job(job_id=job.pk)

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "stopped_by_operator")
    assert factories.books(job).kinds == ("hold", "release")
    assert result_files(media_root) == []


def test_progress_only_grows_and_is_written_sparingly(job, monkeypatch):
    claim = factories.take(job)
    written: list[int] = []

    def renew(**kwargs) -> bool:
        written.append(kwargs["percent"])
        return True

    monkeypatch.setattr(transitions, "renew", renew)
    observer = observers.JobObserver(claim)

    for _ in range(50):
        observer.progress("swap", 0.5)
        observer.progress("detect", 7.0)
    observer.publishing()

    assert written == [60, 95]


@dataclass(frozen=True)
class Step:
    """A call during a run, before or after which the worker dies."""

    module: object
    name: str
    is_done: bool

    def __str__(self) -> str:
        where = self.module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
        return f"{'after' if self.is_done else 'before'} {where}.{self.name}"


def steps(*calls: tuple[object, str]) -> list[Step]:
    return [Step(module, name, is_done) for module, name in calls for is_done in (False, True)]


def crash_at(monkeypatch: pytest.MonkeyPatch, step: Step) -> Callable[[], bool]:
    """Kill the worker at ``step``, once; returns whether that happened."""
    real = getattr(step.module, step.name)
    happened: list[Step] = []

    def dying(*args, **kwargs):
        if happened:
            return real(*args, **kwargs)
        happened.append(step)
        if step.is_done:
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(step.module, step.name, dying)
    return lambda: bool(happened)


SUCCESS_STEPS = steps(
    (transitions, "claim"),
    (tokens_services, "extend_hold"),
    (storage, "read"),
    (image_io, "decode_image"),
    (runtime, "swap"),
    (transitions, "renew"),
    (image_io, "encode_image"),
    (storage, "_write"),
    (storage, "write_picture"),
    (transitions, "finish"),
    (transitions, "_lock_owned"),
    (tokens_services, "settle_hold"),
    (transitions, "end"),
    (handlers, "discard_results"),
    (storage, "delete_results"),
)


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("step", SUCCESS_STEPS, ids=str)
def test_crash_of_a_good_run_ends_in_one_paid_result(job, monkeypatch, media_root, step):
    has_crashed = crash_at(monkeypatch, step)
    with pytest.raises(Killed):
        handlers.run_swap_job(job_id=job.pk)
    assert has_crashed()
    early = factories.books(job).kinds
    assert early in {("hold",), ("hold", "settle")}

    run_until_quiet(job.pk)

    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED
    books = factories.books(job)
    assert books.kinds == ("hold", "settle")
    assert (books.balance.available, books.balance.held) == (4, 0)
    assert (media_root / job.result_key).is_file()
    assert (media_root / storage.thumbnail_key(job.result_key)).is_file()
    if step.name not in {"discard_results", "delete_results"}:
        assert len(result_files(media_root)) == 2, "nothing of the crashed attempt is left"


FAILURE_STEPS = steps(
    (transitions, "fail"),
    (tokens_services, "void_hold"),
    (endings, "end"),
    (handlers, "discard_results"),
)


@pytest.mark.parametrize("step", FAILURE_STEPS, ids=str)
def test_crash_of_a_failing_run_ends_in_one_refund(job, monkeypatch, step):
    break_swap(monkeypatch, pipeline_errors.NoFaceFoundError("source"))
    crash_at(monkeypatch, step)
    with pytest.raises(Killed):
        handlers.run_swap_job(job_id=job.pk)

    run_until_quiet(job.pk)

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "no_face_in_source")
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert (books.balance.available, books.balance.held) == (5, 0)


@pytest.mark.parametrize(
    "step", steps((transitions, "retry"), (transitions, "_queue_again")), ids=str
)
def test_crash_between_two_attempts_loses_neither_job_nor_tokens(job, monkeypatch, step, request):
    break_swap(monkeypatch, OSError("disk"))
    crash_at(monkeypatch, step)
    with pytest.raises(Killed):
        handlers.run_swap_job(job_id=job.pk)
    request.getfixturevalue("fast_swap")

    run_until_quiet(job.pk)

    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED
    assert factories.books(job).kinds == ("hold", "settle")


@pytest.mark.usefixtures("fast_swap")
def test_worker_that_dies_in_every_attempt_ends_in_a_refund(job, monkeypatch, settings):
    settings.JOB_ATTEMPTS_MAX = 3
    break_swap(monkeypatch, Killed())

    for _attempt in range(3):
        with pytest.raises(Killed):
            handlers.run_swap_job(job_id=job.pk)
        factories.lapse_lease(job.pk)
        handlers.requeue_stale_jobs()

    assert handlers.run_swap_job(job_id=job.pk) is False
    job.refresh_from_db()
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, "worker_lost", 3)
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.usefixtures("fast_swap")
def test_answer_of_the_commit_is_lost_but_the_paid_result_stays(job, monkeypatch, media_root):
    """The worker sees an error although the transaction was committed."""
    real_finish = transitions.finish

    def finish(**kwargs) -> bool:
        real_finish(**kwargs)
        raise ConnectionError("server closed the connection unexpectedly")

    monkeypatch.setattr(transitions, "finish", finish)

    assert handlers.run_swap_job(job_id=job.pk) is False

    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED
    assert factories.books(job).kinds == ("hold", "settle")
    assert (media_root / job.result_key).is_file()
