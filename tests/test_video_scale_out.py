"""A long video is shared by two real workers; one is killed on the way, the result is whole."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from accounts import services as accounts_services
from inference.models import SwapJob, SwapSegment
from inference.tests import factories, real_engine
from inference.tests.pipeline.video.media import (
    packet_digests,
    packet_times,
    video_duration,
)
from tests.workers import Workers, empty_queues, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
SCOPES = ("media:write", "media:read", "jobs:write", "jobs:read")
SECONDS = 60
FPS = 12
SIZE = (320, 180)
SEGMENT_S = 10
PRICE = SECONDS * 10


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


class Customer:
    """Talks HTTP only, with an API key."""

    def __init__(self) -> None:
        self.user = factories.make_user(tokens=PRICE + 50)
        key = accounts_services.issue_api_key(user_id=self.user.pk, name="test", scopes=SCOPES).key
        self.http = APIClient()
        self.http.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")

    def post(self, url: str, body: dict[str, object], **headers: str):
        answer = self.http.post(f"/api/v1/{url}", body, format="json", headers=headers)
        assert answer.status_code in {201, 202}, answer.data
        return answer.data

    def upload(self, data: bytes):
        file = SimpleUploadedFile("file", data)
        answer = self.http.post("/api/v1/assets", {"file": file}, format="multipart")
        assert answer.status_code == 201, answer.data
        return answer.data


def test_killed_worker_s_segments_are_redone_and_the_video_comes_back_whole(workers, tmp_path):
    customer = Customer()
    original = tmp_path / "original.mp4"
    target = customer.upload(
        real_engine.film(original, seconds=SECONDS, fps=FPS, size=SIZE).read_bytes()
    )
    assert (target["duration_ms"], target["frames"]) == (SECONDS * 1000, SECONDS * FPS)
    source = customer.upload(real_engine.sample("astronaut.png"))
    quote = customer.post(
        "quotes",
        {
            "operation": "video_swap",
            "source_asset_id": source["id"],
            "target_asset_id": target["id"],
            "options": {"target_faces": "largest", "video": {"quality": 70}},
        },
    )
    assert quote["tokens"] == PRICE
    first = workers.start(with_beat=False)
    second = workers.start(with_beat=True)
    accepted = customer.post(
        "jobs", {"quote_id": quote["id"]}, **{"idempotency-key": uuid.uuid4().hex}
    )
    job = SwapJob.objects.get(pk=accepted["id"])
    segments = SwapSegment.objects.filter(job=job)

    # Both are at work and no segment is done: whatever the killed one had begun gets lost.
    wait_until(
        lambda: segments.filter(status="RUNNING", frames_done__gt=0).count() == 2,
        timeout_s=180,
        pause_s=0.05,
        hint=workers.logs,
    )
    first.kill()
    first.wait(timeout=30)
    said = customer.http.get(f"/api/v1/jobs/{job.pk}").data
    assert (said["state"], said["progress"]["segments"]) == ("running", SECONDS // SEGMENT_S)
    assert said["progress"]["frames"] == SECONDS * FPS
    assert second.poll() is None
    wait_until(
        lambda: SwapJob.objects.get(pk=job.pk).is_final,
        timeout_s=400,
        pause_s=0.2,
        hint=workers.logs,
    )

    said = customer.http.get(f"/api/v1/jobs/{job.pk}").data
    assert said["state"] == "succeeded", (said["error"], workers.logs())
    assert segments.filter(attempt=2).count() == 1, "only what was lost is redone"
    assert segments.filter(attempt=1).count() == SECONDS // SEGMENT_S - 1
    answer = customer.http.get(said["output"]["url"])
    result = tmp_path / "result.mp4"
    result.write_bytes(answer.getvalue())
    assert hashlib.sha256(result.read_bytes()).hexdigest() == said["output"]["sha256"]
    assert packet_digests(result, "audio") == packet_digests(original, "audio")
    assert packet_times(result, "audio") == packet_times(original, "audio")
    assert sorted(packet_times(result, "video")) == sorted(packet_times(original, "video"))
    assert video_duration(result) == video_duration(original) == SECONDS
    assert said["report"]["frames_out"] == SECONDS * FPS
    assert said["report"]["frames_swapped"] > SECONDS * FPS * 0.95
    receipt = said["receipt"]
    assert (receipt["held"], receipt["settled"], receipt["refunded"]) == (PRICE, PRICE, 0)
    assert [line["kind"] for line in receipt["transfers"]] == ["hold", "settle"]
    books = factories.books(SwapJob.objects.get(pk=job.pk))
    assert (books.balance.available, books.balance.held) == (50, 0)
    poster = customer.http.get(f"/api/v1/jobs/{job.pk}/thumbnail")
    with Image.open(io.BytesIO(poster.getvalue())) as picture:
        assert picture.size == SIZE
    kept = [path.name for path in (tmp_path / "media" / "results").rglob("*") if path.is_file()]
    assert len(kept) == 2, "the video and its poster; nothing of the segments"
