"""Video jobs: in one piece, in segments, and what every crash and fault on the way leads to.

Frames are only mirrored, so no model is needed; files, cutting, joining and the state are real.
"""

from __future__ import annotations

import datetime as dt
import io
import uuid
from pathlib import Path
from typing import ClassVar

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage
from django.db import IntegrityError, transaction
from django.utils import timezone

from inference import (
    handlers,
    runtime,
    segment_transitions,
    services,
    storage,
    tasks,
    transitions,
    videos,
)
from inference.models import MediaAsset, SwapJob, SwapSegment
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import swap_video as engine_video
from inference.pipeline.video.transcode import transcode
from inference.tests import factories
from inference.tests.pipeline.video.media import (
    Clip,
    Sound,
    make_clip,
    packet_digests,
    read_frames,
)
from inference.types import SegmentOutput, SwapOptions, VideoOptions
from tokens import services as tokens_services
from tokens.types import Operation

pytestmark = pytest.mark.django_db
Status = SwapJob.Status
FRAMES = 200


class RemoteStorage(Storage):
    """Has no paths, like an object storage."""

    objects: ClassVar[dict[str, bytes]] = {}

    def _open(self, name: str, mode: str = "rb") -> File:
        if name not in self.objects:
            raise FileNotFoundError(name)
        return ContentFile(self.objects[name])

    def _save(self, name: str, content: File) -> str:
        self.objects[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.objects


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product catches it."""


class Work:
    """What the engine does in these tests; a test may make it find nothing or break."""

    def __init__(self) -> None:
        self.faces = 1
        self.error: BaseException | None = None
        self.calls = 0

    def swap_video(self, *, paths, options, observer, segment=None, **_):
        self.calls += 1
        if self.error is not None:
            raise self.error
        video = transcode(
            source=paths.target,
            target=paths.result,
            frame_fn=lambda frame: frame.image_bgr[:, ::-1].copy(),
            options=options,
            observer=observer,
            segment=segment,
        )
        if segment is None and not self.faces:
            paths.result.unlink()
            raise pipeline_errors.NoFaceFoundError("target")
        frames = video.frames_out * self.faces
        return engine_video.VideoSwapReport(
            video=video,
            frames_with_faces=frames,
            frames_swapped=frames,
            faces_swapped=frames,
            tracks_count=self.faces,
            track_s=0.0,
            paint_s=0.0,
        )


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()
    monkeypatch.setattr(engine_video, "swap_video", work.swap_video)
    monkeypatch.setattr(runtime.holder, "get", lambda: None)
    return work


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds with sound and a key frame each second."""
    times = range(0, FRAMES * 512, 512)
    made = Clip(times=times, sounds=[Sound(seconds=8.0)], encoder={"g": "25"})
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", made)


@pytest.fixture
def segmented(settings) -> None:
    """Four segments of two seconds each."""
    settings.VIDEO_SEGMENT_S = 2
    settings.JOB_ATTEMPTS_MAX = 3


def make_job(clip: Path, options: VideoOptions | None = None) -> SwapJob:
    owner_id = factories.make_user(tokens=100).pk
    with clip.open("rb") as file:
        target = services.register_media(owner_id=owner_id, file=file, name="clip.mp4")
    quote = services.quote_swap(
        owner_id=owner_id,
        source_asset_id=factories.make_asset(owner_id=owner_id).pk,
        target_asset_id=target.pk,
        operation=Operation.VIDEO_SWAP,
        options=SwapOptions(video=options),
    )
    submitted = services.submit_swap_job(
        owner_id=owner_id, quote_id=quote.pk, idempotency_key=uuid.uuid4().hex
    )
    return SwapJob.objects.get(pk=submitted.job_id)


@pytest.fixture
def job(clip: Path) -> SwapJob:
    return make_job(clip)


def split(job: SwapJob) -> list[int]:
    """Run the job's own message; the numbers of the segments to be sent."""
    assert handlers.run_swap_job(job_id=job.pk) is False
    return [index for _job_id, index in handlers.unsent_segments(job_id=job.pk)]


def take(job: SwapJob, index: int):
    claim = segment_transitions.claim(job_id=job.pk, index=index)
    assert claim is not None
    return claim


def lapse(job: SwapJob, index: int) -> None:
    SwapSegment.objects.filter(job=job, index=index, status="RUNNING").update(
        lease_expires_at=timezone.now() - dt.timedelta(seconds=1)
    )


def run_undisturbed(job: SwapJob) -> None:
    for index in split(job):
        handlers.run_swap_segment(job_id=job.pk, index=index)


def run_all(job: SwapJob) -> None:
    """What workers and beat do until nothing is left."""
    for _round in range(20):
        factories.lapse_lease(job.pk)
        for segment in SwapSegment.objects.filter(job=job):
            lapse(job, segment.index)
        # Messages that a dead worker had are lost.
        SwapSegment.objects.filter(job=job).update(sent_at=None)
        report = handlers.requeue_stale_jobs()
        todo = {index for _id, index in report.segments_to_send}
        todo |= {index for _id, index in handlers.unsent_segments(job_id=job.pk)}
        for index in todo:
            handlers.run_swap_segment(job_id=job.pk, index=index)
        handlers.run_swap_job(job_id=job.pk)
        job.refresh_from_db()
        if job.is_final:
            return
    pytest.fail("the job does not end")


def result_files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "results").rglob("*") if path.is_file())


def assert_whole(job: SwapJob, clip: Path, media_root: Path) -> None:
    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED, (job.error_code, job.error_detail)
    path = media_root / job.result_key
    assert [time for _, time, _ in read_frames(path)] == [time for _, time, _ in read_frames(clip)]
    assert packet_digests(path, "audio") == packet_digests(clip, "audio")
    assert (job.result_content_type, job.result_duration_ms) == ("video/mp4", 8000)
    assert job.result_size_bytes == path.stat().st_size
    assert (job.frames_done, job.frames_count, job.eta_s) == (FRAMES, FRAMES, None)
    assert (job.report["frames_out"], job.report["faces_swapped"]) == (FRAMES, FRAMES)
    books = factories.books(job)
    assert books.kinds == ("hold", "settle")
    assert (books.balance.available, books.balance.held) == (20, 0)
    assert len(result_files(media_root)) == 2, "the video and its poster, nothing of the way there"


def assert_refunded(job: SwapJob, code: str) -> None:
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, code), job.error_detail
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert (books.balance.available, books.balance.held) == (100, 0)


def test_short_video_runs_in_one_piece(job, clip, media_root, client_of):
    assert handlers.run_swap_job(job_id=job.pk) is False

    assert_whole(job, clip, media_root)
    assert not SwapSegment.objects.exists()
    said = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}").data
    assert said["progress"]["frames"] == said["progress"]["frames_done"] == FRAMES
    assert said["report"]["streams"][0]["outcome"] == "copied"
    assert said["output"]["duration_ms"] == 8000
    part = client_of(job.owner).get(said["output"]["url"], headers={"range": "bytes=4-7"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"ftyp")


def test_only_the_wanted_part_is_swapped_and_paid(clip, media_root):
    job = make_job(clip, VideoOptions(start_ms=2000, end_ms=3000, format="mkv", fps=10))

    handlers.run_swap_job(job_id=job.pk)

    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED, job.error_detail
    assert (job.result_content_type, job.result_key.rpartition(".")[2]) == (
        "video/x-matroska",
        "mkv",
    )
    assert len(read_frames(media_root / job.result_key)) == 10
    assert factories.books(job).balance.available == 90


def test_progress_is_shown_while_it_runs(job, monkeypatch, work):
    seen = []
    real_renew = transitions.renew

    def renew(**kwargs) -> bool:
        done = real_renew(**kwargs)
        row = SwapJob.objects.get(pk=job.pk)
        seen.append((row.stage, row.progress_percent, row.frames_done, row.frames_count))
        return done

    monkeypatch.setattr(transitions, "renew", renew)
    monkeypatch.setattr("inference.observers._INTERVAL_S", 0.0)

    handlers.run_swap_job(job_id=job.pk)

    video = [entry for entry in seen if entry[0] == "video" and entry[2]]
    assert video
    assert {entry[3] for entry in video} == {FRAMES}
    assert [entry[1] for entry in seen] == sorted(entry[1] for entry in seen)
    assert seen[-1][:2] == ("publish", 95)


def test_video_without_faces_is_refunded(job, work, media_root):
    work.faces = 0

    handlers.run_swap_job(job_id=job.pk)

    assert_refunded(job, "no_face_in_target")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_long_video_is_split_and_joined(job, clip, media_root, client_of):
    indexes = split(job)

    assert indexes == [0, 1, 2, 3]
    assert handlers.unsent_segments(job_id=job.pk) == (), "sent once"
    job.refresh_from_db()
    assert (job.status, job.lease_expires_at, job.segments_count) == (Status.RUNNING, None, 4)
    assert handlers.run_swap_job(job_id=job.pk) is False, "a repeated message does nothing"
    for index in (3, 0, 2):
        handlers.run_swap_segment(job_id=job.pk, index=index)
    said = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}").data
    assert said["state"] == "running"
    progress = dict(said["progress"])
    assert progress.pop("eta_s") >= 0
    assert progress == {
        "stage": "video",
        "percent": 5 + 85 * 3 // 4,
        "frames_done": 150,
        "frames": FRAMES,
        "segments_done": 3,
        "segments": 4,
    }
    handlers.run_swap_segment(job_id=job.pk, index=1)

    assert_whole(job, clip, media_root)
    assert job.attempt == 2, "one for the plan, one for the join"
    handlers.run_swap_segment(job_id=job.pk, index=1)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_tasks_send_the_segments(job, clip, media_root, monkeypatch):
    sent = []
    monkeypatch.setattr(
        tasks.run_swap_segment, "apply_async", lambda kwargs, **_: sent.append(kwargs)
    )

    tasks.run_swap_job(job_id=str(job.pk))

    assert sent == [{"job_id": str(job.pk), "index": index} for index in range(4)]
    for message in sent:
        tasks.run_swap_segment(**message)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_segments_without_any_face_are_refunded(job, work, media_root):
    work.faces = 0

    for index in split(job):
        handlers.run_swap_segment(job_id=job.pk, index=index)

    assert_refunded(job, "no_face_in_target")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_segment_is_claimed_once_until_its_lease_lapses(job):
    split(job)
    claim = take(job, 0)

    assert segment_transitions.claim(job_id=job.pk, index=0) is None
    assert segment_transitions.claim(job_id=job.pk, index=9) is None
    lapse(job, 0)
    assert take(job, 0).attempt == 2
    assert not segment_transitions.renew(claim=claim, frames_done=1, is_hold_due=True)
    late = segment_transitions.complete(claim=claim, output=SegmentOutput(key="x", report={}))
    assert not late.is_accepted
    assert not segment_transitions.fail(claim=claim, code="x", detail="x")
    assert segment_transitions.retry(claim=claim, detail="x") is None


@pytest.mark.usefixtures("segmented")
def test_renewing_keeps_segment_and_tokens(job, settings):
    split(job)
    claim = take(job, 0)
    lapse(job, 0)
    settings.HOLD_TTL_S = 100_000

    assert segment_transitions.renew(claim=claim, frames_done=25, is_hold_due=True)

    assert segment_transitions.lapsed(limit=10) == []
    job.refresh_from_db()
    assert (job.frames_done, job.progress_percent) == (25, 15)
    assert job.hold is not None
    assert job.hold.expires_at > timezone.now() + dt.timedelta(seconds=90_000)


@pytest.mark.usefixtures("segmented")
def test_fault_of_the_input_in_one_segment_ends_all(job, work, media_root):
    first, second, *_ = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=first)
    running = take(job, 3)
    work.error = pipeline_errors.SeveralFacesError("target", 2)

    again = handlers.run_swap_segment(job_id=job.pk, index=second)

    assert (again.job, again.segment) == (False, False)
    assert_refunded(job, "several_faces_in_target")
    statuses = list(SwapSegment.objects.order_by("index").values_list("status", flat=True))
    assert statuses == ["DONE", "STOPPED", "STOPPED", "STOPPED"]
    assert not segment_transitions.renew(claim=running, frames_done=1, is_hold_due=True)
    assert segment_transitions.claim(job_id=job.pk, index=2) is None
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_fault_of_ours_is_tried_again_then_refunded(job, work):
    index, *_ = split(job)
    work.error = OSError("disk")

    outcomes = [handlers.run_swap_segment(job_id=job.pk, index=index).segment for _ in range(3)]

    assert outcomes == [True, True, False]
    assert_refunded(job, "internal_error")
    assert "Segment 0" in job.error_detail


@pytest.mark.usefixtures("segmented")
def test_operator_stops_all_segments(job, work, media_root, monkeypatch):
    index, *_ = split(job)
    real_swap = work.swap_video

    def stopping(**kwargs):
        services.stop_swap_job(job_id=job.pk, actor_id=1)
        return real_swap(**kwargs)

    monkeypatch.setattr(engine_video, "swap_video", stopping)
    handlers.run_swap_segment(job_id=job.pk, index=index)

    assert_refunded(job, "stopped_by_operator")
    assert result_files(media_root) == []


@pytest.mark.usefixtures("segmented")
def test_operator_gives_the_rest_to_new_workers(job, clip, media_root):
    indexes = split(job)
    handlers.run_swap_segment(job_id=job.pk, index=indexes[0])
    stuck = take(job, 1)

    services.requeue_swap_job(job_id=job.pk, actor_id=1)

    assert [index for _id, index in handlers.unsent_segments(job_id=job.pk)] == [1, 2, 3]
    assert not segment_transitions.renew(claim=stuck, frames_done=1, is_hold_due=False)
    for index in (1, 2, 3):
        handlers.run_swap_segment(job_id=job.pk, index=index)
    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_sweep_finds_lost_segments_and_messages(job, settings):
    split(job)
    take(job, 0)
    lapse(job, 0)
    long_ago = timezone.now() - dt.timedelta(seconds=settings.JOB_LEASE_S * 3)
    SwapSegment.objects.filter(job=job, index=1).update(sent_at=long_ago)
    SwapSegment.objects.filter(job=job, index=2).update(sent_at=None)

    report = handlers.requeue_stale_jobs()

    assert (report.to_send, report.failed) == ((), ())
    assert set(report.segments_to_send) == {(job.pk, 0), (job.pk, 1), (job.pk, 2)}
    assert handlers.requeue_stale_jobs().segments_to_send == (), "sent once"


@pytest.mark.usefixtures("segmented")
def test_worker_that_dies_on_a_segment_every_time_ends_in_a_refund(job, work, media_root):
    """As when a file crashes the decoder, and with it the process."""
    index, *_ = split(job)
    work.error = Killed()

    for _attempt in range(3):
        with pytest.raises(Killed):
            handlers.run_swap_segment(job_id=job.pk, index=index)
        lapse(job, index)
        handlers.requeue_stale_jobs()

    assert_refunded(job, "worker_lost")
    assert result_files(media_root) == []


def test_worker_that_dies_on_the_whole_video_every_time_ends_in_a_refund(job, work, settings):
    settings.JOB_ATTEMPTS_MAX = 3
    work.error = Killed()

    for _attempt in range(3):
        with pytest.raises(Killed):
            handlers.run_swap_job(job_id=job.pk)
        factories.lapse_lease(job.pk)
        handlers.requeue_stale_jobs()

    assert_refunded(job, "worker_lost")


@pytest.mark.usefixtures("segmented")
def test_split_job_that_nobody_works_on_is_refunded(job, settings):
    split(job)
    long_ago = timezone.now() - dt.timedelta(seconds=settings.HOLD_TTL_S + 1)
    SwapSegment.objects.filter(job=job).update(queued_at=long_ago)
    claim = take(job, 0)
    assert handlers.requeue_stale_jobs().failed == (), "one is at work"
    segment_transitions.retry(claim=claim, detail="x")
    assert handlers.requeue_stale_jobs().failed == (), "one was, a moment ago"
    SwapSegment.objects.filter(job=job).update(queued_at=long_ago)

    assert handlers.requeue_stale_jobs().failed == (job.pk,)

    assert_refunded(job, "queue_timeout")


@pytest.mark.usefixtures("segmented")
def test_tokens_that_were_given_back_end_the_job_at_the_next_segment(job):
    split(job)
    assert job.hold_id is not None
    with transaction.atomic():
        tokens_services.void_hold(hold_id=job.hold_id)

    assert segment_transitions.claim(job_id=job.pk, index=0) is None

    assert_refunded(job, "hold_expired")


CRASHES = [
    (runtime, "plan_video"),
    (segment_transitions, "split"),
    (segment_transitions, "mark_sent"),
    (segment_transitions, "claim"),
    (videos, "swap_segment"),
    (segment_transitions, "complete"),
    (runtime, "join_video"),
    (runtime, "poster"),
    (storage, "sha256_of"),
    (transitions, "finish"),
    (handlers, "discard_results"),
]


@pytest.mark.usefixtures("segmented")
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", CRASHES, ids=lambda place: place[1])
def test_crash_anywhere_ends_in_one_paid_result(job, clip, media_root, monkeypatch, place, is_done):
    module, name = place
    real = getattr(module, name)
    happened: list[str] = []

    def dying(*args, **kwargs):
        if happened:
            return real(*args, **kwargs)
        happened.append(name)
        if is_done:
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(module, name, dying)
    with pytest.raises(Killed):
        run_undisturbed(job)
    assert factories.books(job).kinds in {("hold",), ("hold", "settle")}

    if not SwapJob.objects.get(pk=job.pk).is_final:
        run_all(job)
    # The broker repeats the message of the worker that died.
    handlers.run_swap_segment(job_id=job.pk, index=3)

    assert_whole(job, clip, media_root)


@pytest.mark.usefixtures("segmented")
def test_join_that_breaks_is_tried_again_and_then_refunded(job, monkeypatch):
    def broken(**_):
        raise OSError("disk")

    indexes = split(job)
    monkeypatch.setattr(runtime, "join_video", broken)
    again = [handlers.run_swap_segment(job_id=job.pk, index=index).job for index in indexes]

    assert again == [False, False, False, True]
    job.refresh_from_db()
    assert (job.status, job.progress_percent) == (Status.QUEUED, 90)
    assert [handlers.run_swap_job(job_id=job.pk) for _ in range(2)] == [True, False]
    assert_refunded(job, "internal_error")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "RUNNING"},
        {"status": "DONE"},
        {"result_key": "x"},
        {"lease_expires_at": timezone.now()},
    ],
    ids=str,
)
def test_database_refuses_impossible_segments(job, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        SwapSegment.objects.create(
            **{"job": job, "index": 0, "plan": {}, "frames_count": 1} | wrong
        )


def test_database_refuses_a_picture_with_a_length(job):
    with pytest.raises(IntegrityError), transaction.atomic():
        MediaAsset.objects.filter(kind="IMAGE").update(duration_ms=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        MediaAsset.objects.filter(kind="VIDEO").update(duration_ms=None)


def test_remote_storage_gets_whole_files(settings, tmp_path, media_root):
    """A storage without local paths, as object storages are."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "inference.tests.test_video_jobs.RemoteStorage"},
    }
    digest = storage.write_stream(key="a/b.mp4", file=io.BytesIO(b"bytes"))

    with storage.local_file("a/b.mp4") as path:
        assert (path.name, path.read_bytes()) == ("b.mp4", b"bytes")
    assert digest == storage.sha256_of("a/b.mp4")
    with pytest.raises(RuntimeError), storage.new_file("a/c.mp4") as path:
        raise RuntimeError
    assert not default_storage.exists("a/c.mp4")
