"""Shows a few frames spread over a video, for what has to be known before it is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inference.pipeline.types import Image
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import FrameReader, trim_range
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import Trim, VideoLimits

_CORRUPT_MAX = 25


def sample_frames(
    source: Path, *, count: int, limits: VideoLimits, trim: Trim | None = None
) -> Iterator[Image]:
    """Up to ``count`` frames in order, (H, W, 3) uint8 BGR; always the same ones.

    They are the key frames before evenly spread places, each once: a video with a single key frame
    shows just that one. So a sample costs one decoded frame, however long the video is.

    Args:
        source: a local file.
        count: places to look at.
        limits: as for ``probe_video``.
        trim: spread over this part only.

    Raises:
        PipelineError: see ``probe_video``, ``trim_range`` and ``FrameReader.key_frames``.
    """
    info = probe_video(source, limits=limits)
    trim = trim or Trim()
    part = trim_range(info, start_s=trim.start_s, end_s=trim.end_s)
    start = info.first_pts if part.start_pts is None else part.start_pts
    end = info.first_pts + int(info.duration_s / info.time_base)
    if part.end_pts is not None:
        end = min(end, part.end_pts)
    places = [start + (end - start) * place // count for place in range(count)]
    reader = FrameReader(source, info=info, limits=limits, corrupt_frames_max=_CORRUPT_MAX)
    converter = FrameConverter(info=info, keep_alpha=False)
    for shown in reader.key_frames(places):
        yield converter.to_bgr(shown.frame)[0]
