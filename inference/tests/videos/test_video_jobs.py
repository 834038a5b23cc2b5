"""Video jobs in one piece, their rows, and their files. Frames are only mirrored."""

from __future__ import annotations

import datetime as dt
import io
from typing import ClassVar

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage
from django.db import IntegrityError, transaction

from inference import (
    handlers,
    labelling,
    storage,
    transitions,
)
from inference.models import MediaAsset, ReleasedFile, SwapJob, SwapSegment
from inference.pipeline.labels.reading import read_labels
from inference.tests import factories
from inference.tests.pipeline.video.media import (
    read_frames,
)
from inference.tests.videos.steps import (
    FRAMES,
    Killed,
    assert_refunded,
    assert_whole,
    make_job,
    result_files,
)
from inference.types import VideoOptions

pytestmark = pytest.mark.django_db
Status = SwapJob.Status


class RemoteStorage(Storage):
    """Has no paths, like an object storage."""

    objects: ClassVar[dict[str, bytes]] = {}

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if name not in self.objects:
            raise FileNotFoundError(name)
        return ContentFile(self.objects[name])

    def _save(self, name: str, content: File[bytes]) -> str:
        self.objects[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.objects


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


@pytest.mark.parametrize(
    ("container", "kinds"),
    [
        ("mp4", ("c2pa", "iptc", "aigc")),
        ("mov", ("c2pa", "iptc", "aigc")),
        ("mkv", ("iptc", "aigc")),
        ("webm", ("iptc", "aigc")),
    ],
)
def test_a_downloaded_video_of_each_format_carries_its_labels(clip, client_of, container, kinds):
    job = make_job(clip, VideoOptions(end_ms=1000, format=container))
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    answer = client_of(job.owner).get(f"/api/v1/jobs/{job.pk}/result")
    data = io.BytesIO(b"".join(answer.streaming_content))
    trust = labelling.signer().trust()
    found = read_labels(data, content_type=job.result_content_type, trust=trust)
    assert found.kinds == kinds
    assert found.signature == ("ours" if "c2pa" in kinds else "none")
    released = ReleasedFile.objects.get(sha256=job.result_sha256)
    assert (str(released.produce_id), released.made_on) == (found.produce_id, found.aigc_day)


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


def test_worker_that_dies_on_the_whole_video_every_time_ends_in_a_refund(job, work, settings):
    settings.JOB_ATTEMPTS_MAX = 3
    work.error = Killed()

    for _attempt in range(3):
        with pytest.raises(Killed):
            handlers.run_swap_job(job_id=job.pk)
        factories.lapse_lease(job.pk)
        handlers.requeue_stale_jobs()

    assert_refunded(job, "worker_lost")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "RUNNING"},
        {"status": "DONE"},
        {"result_key": "x"},
        {"lease_expires_at": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)},
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
        "default": {"BACKEND": "inference.tests.videos.test_video_jobs.RemoteStorage"},
    }
    digest = storage.write_stream(key="a/b.mp4", file=io.BytesIO(b"bytes"))

    with storage.local_file("a/b.mp4") as path:
        assert (path.name, path.read_bytes()) == ("b.mp4", b"bytes")
    assert digest == storage.sha256_of("a/b.mp4")
    with pytest.raises(RuntimeError), storage.new_file("a/c.mp4") as path:
        raise RuntimeError
    assert not default_storage.exists("a/c.mp4")
