"""Shows one frame of a video."""

from __future__ import annotations

from fractions import Fraction

from inference.pipeline.types import Image
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import FrameReader
from inference.pipeline.video.errors import InvalidTrimError
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import Source, VideoLimits

_CORRUPT_MAX = 25


def preview_frame(source: Source, *, time_s: Fraction, limits: VideoLimits) -> Image:
    """The frame that is shown ``time_s`` after the start: (H, W, 3) uint8 BGR, upright.

    Raises:
        InvalidTrimError: a time before the start or behind the end.
        PipelineError: see ``probe_video`` and ``FrameReader.frame_at``.
    """
    info = probe_video(source, limits=limits)
    if not 0 <= time_s <= info.duration_s:
        raise InvalidTrimError(f"the video lasts {float(info.duration_s):.3f} s")
    reader = FrameReader(source, info=info, limits=limits, corrupt_frames_max=_CORRUPT_MAX)
    shown = reader.frame_at(info.origin_pts + int(time_s // info.time_base))
    image_bgr, _ = FrameConverter(info=info, keep_alpha=False).to_bgr(shown.frame)
    return image_bgr
