"""A video job without models, and what workers and beat do with it."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest
from django.utils import timezone

from inference import (
    handlers,
    segment_transitions,
    services,
)
from inference.models import SwapJob, SwapSegment
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import swap_video as engine_video
from inference.pipeline.video.transcode import transcode
from inference.tests import factories
from inference.tests.pipeline.video.media import (
    packet_digests,
    read_frames,
)
from inference.types import SwapOptions, VideoOptions
from tokens.types import Operation

Status = SwapJob.Status
FRAMES = 200


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
