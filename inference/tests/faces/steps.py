"""What the tests of faces do again and again, over HTTP and in the place of a worker."""

from __future__ import annotations

import io
import uuid
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from inference import face_handlers, handlers, services
from inference.models import FaceSearch, MediaAsset, SwapJob
from inference.tests import real_engine
from inference.tests.pipeline.video.media import Clip, Sound
from inference.tests.pipeline.video.media import make_clip as write_clip

ASSETS = "/api/v1/assets"
QUOTES = "/api/v1/quotes"
FPS = 10
SECONDS = 4


def make_clip(path: Path) -> Path:
    """Hopper on the left in every frame, the astronaut on the right from the middle on."""
    portraits = {}
    for name in ("grace_hopper.jpg", "astronaut.png"):
        with Image.open(real_engine.SAMPLES / name) as picture:
            portraits[name] = picture.convert("RGB").resize((320, 360))

    def paint(number: int, size: tuple[int, int]) -> np.ndarray:
        frame = Image.new("RGB", size, (70, 90, 110))
        frame.paste(portraits["grace_hopper.jpg"], (0, 0))
        if number >= FPS * SECONDS // 2:
            frame.paste(portraits["astronaut.png"], (320, 0))
        return np.asarray(frame)[:, :, ::-1].copy()

    return write_clip(
        path,
        Clip(
            size=(640, 360),
            times=range(0, SECONDS * FPS * 512, 512),
            tick_s=Fraction(1, FPS * 512),
            fps=Fraction(FPS),
            encoder={"g": str(FPS * 2), "preset": "veryfast"},
            sounds=[Sound(seconds=float(SECONDS))],
            paint=paint,
        ),
    )


def upload(user, data: bytes | Path) -> MediaAsset:
    file = io.BytesIO(data if isinstance(data, bytes) else data.read_bytes())
    return services.register_media(owner_id=user.pk, file=file, name="upload")


def find(client, asset: MediaAsset) -> Any:
    """Ask, have a worker look, and read the answer."""
    asked = client.post(f"{ASSETS}/{asset.pk}/faces")
    assert asked.status_code in {200, 202}, asked.data
    for search in FaceSearch.objects.filter(asset=asset, status="QUEUED"):
        assert face_handlers.find_faces(search_id=search.pk) is False
    return client.get(f"{ASSETS}/{asset.pk}/faces").data


def from_left(faces: list[Any]) -> list[Any]:
    return sorted(faces, key=lambda face: face["box_xyxy"][0])


def quote(client, source, target, **options):
    kind = "video_swap" if target.kind == MediaAsset.Kind.VIDEO else "image_swap"
    body = {
        "operation": kind,
        "source_asset_id": str(source.pk),
        "target_asset_id": str(target.pk),
        "options": options,
    }
    return client.post(QUOTES, body, format="json")


def run(user, quoted) -> SwapJob:
    """Pay for a quote and do the work of the workers."""
    assert quoted.status_code == 201, quoted.data
    job_id = services.submit_swap_job(
        owner_id=user.pk,
        quote_id=uuid.UUID(quoted.data["id"]),
        idempotency_key=uuid.uuid4().hex,
    ).job_id
    handlers.run_swap_job(job_id=job_id)
    for _job_id, index in handlers.unsent_segments(job_id=job_id):
        handlers.run_swap_segment(job_id=job_id, index=index)
    return SwapJob.objects.get(pk=job_id)


def pair(source_face: Any, target_face: Any) -> dict[str, str]:
    return {"source_face_id": source_face["id"], "target_face_id": target_face["id"]}


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


def frame_at(path: Path, *, number: int) -> np.ndarray:
    """One decoded frame of a video, RGB."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return next(islice(frames, number, None)).to_ndarray(format="rgb24").astype(np.int16)


def change(before: np.ndarray, after: np.ndarray, box: list[float]) -> float:
    """Mean difference in levels inside a box."""
    left, top, right, bottom = (round(value) for value in box)
    return float(np.abs(after - before)[top:bottom, left:right].mean())
