"""The process that looks into one uploaded video, under limits that end it and nothing else.

It knows neither settings nor secrets: what it needs comes as JSON on its standard input, and what
it found goes as JSON to its standard output.
"""

from __future__ import annotations

import base64
import json
import math
import os
import resource
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any


def main() -> None:
    """Read one order, answer it."""
    order: dict[str, Any] = json.load(sys.stdin)
    _limit_resources(memory_bytes=order["memory_bytes"], cpu_s=order["cpu_s"])
    # Decoders of damaged files talk; the answer must stay alone on its channel.
    answer_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with os.fdopen(answer_fd, "w", encoding="utf-8") as out:
        json.dump(_look_into(order), out)


def _limit_resources(*, memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # It has no business writing files.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _look_into(order: dict[str, Any]) -> dict[str, Any]:
    # Imported under the limits: loading the decoders counts too.
    from inference.pipeline import image_io  # noqa: PLC0415
    from inference.pipeline.errors import PipelineError  # noqa: PLC0415
    from inference.pipeline.video.preview import preview_frame  # noqa: PLC0415
    from inference.pipeline.video.probe import probe_video  # noqa: PLC0415
    from inference.pipeline.video.types import VideoLimits  # noqa: PLC0415

    limits = VideoLimits(**order["limits"])
    path = Path(order["path"])
    try:
        info = probe_video(path, limits=limits)
        poster_bgr = preview_frame(path, time_s=Fraction(0), limits=limits)
    except PipelineError as error:
        return {"error": error.code, "detail": str(error)}
    return {
        "duration_ms": max(1, math.ceil(info.duration_s * 1000)),
        "fps": float(info.fps),
        "frames_count": info.frames_count,
        "has_audio": any(stream.kind == "audio" for stream in info.streams),
        "width_px": info.width,
        "height_px": info.height,
        "poster": base64.b64encode(
            image_io.thumbnail(poster_bgr, side_px=order["poster_side_px"])
        ).decode(),
    }


if __name__ == "__main__":
    main()
