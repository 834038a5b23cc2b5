"""Looks into uploaded videos in a process of its own: a hostile file ends that, not the server."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings

from inference import runtime
from inference.pipeline.errors import PipelineError
from inference.pipeline.video import errors as video_errors
from inference.types import VideoFacts

log = structlog.get_logger(__name__)
_HEAD_BYTES: Final = 64
# Brands of still pictures in the same container.
_PICTURE_BRANDS: Final = frozenset(
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"]
)
_MOVIE_ATOMS: Final = frozenset([b"moov", b"mdat", b"wide"])
_EBML: Final = b"\x1aE\xdf\xa3"
_ERRORS: Final[dict[str, type[PipelineError]]] = {
    error.code: error
    for error in (
        video_errors.UnsupportedVideoError,
        video_errors.UnreadableVideoError,
        video_errors.NoVideoStreamError,
        video_errors.EncryptedVideoError,
        video_errors.VideoTooLargeError,
        video_errors.VideoTooLongError,
    )
}


def video_type_of(head: bytes) -> str | None:
    """The content type of a video by its first bytes; None when they are no video's.

    Args:
        head: at least the first 64 bytes, fewer only if the file has fewer.
    """
    head = head[:_HEAD_BYTES]
    kind, brand = head[4:8], head[8:12]
    if kind == b"ftyp" and brand not in _PICTURE_BRANDS:
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if kind in _MOVIE_ATOMS:
        return "video/quicktime"
    if head.startswith(_EBML):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return None


def look_into(path: Path, *, poster_side_px: int) -> VideoFacts:
    """What a video holds, with its first picture in small.

    Raises:
        UnsupportedVideoError: no container or codec that we read.
        UnreadableVideoError: damaged, or it broke the process that read it.
        NoVideoStreamError: nothing that moves.
        EncryptedVideoError: there is no key.
        VideoTooLargeError: too many bytes or pixels.
        VideoTooLongError: too many seconds, frames, or frames in a second.
    """
    order = {
        "path": str(path),
        "limits": dataclasses.asdict(runtime.video_limits()),
        "poster_side_px": poster_side_px,
        "memory_bytes": settings.VIDEO_PROBE_MEMORY_BYTES,
        "cpu_s": math.ceil(settings.VIDEO_PROBE_TIMEOUT_S),
    }
    answer = _ask_child(order)
    if "error" in answer:
        raise _ERRORS.get(answer["error"], video_errors.UnreadableVideoError)(answer["detail"])
    poster = base64.b64decode(answer.pop("poster"))
    return VideoFacts(**answer, poster=poster)


def _ask_child(order: dict[str, Any]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "inference.probe_child"],
            input=json.dumps(order).encode(),
            capture_output=True,
            cwd=settings.BASE_DIR,
            # No secrets; and one thread, because each reserves address space.
            env={"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=settings.VIDEO_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        log.warning("inference.probe.timed_out")
        raise video_errors.UnreadableVideoError("it takes too long to read") from error
    if done.returncode:
        log.warning(
            "inference.probe.died",
            returncode=done.returncode,
            stderr=done.stderr[-2000:].decode(errors="replace"),
        )
        raise video_errors.UnreadableVideoError("it cannot be read within the limits")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
