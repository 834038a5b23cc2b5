"""The pipeline's engine, opened once per worker process and closed at its end.

This is the only door to OpenCV and ONNX Runtime on the Django side. They are imported on first
use: the web process imports this module's users at start-up and must stay small.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings

from inference import castings
from inference.pipeline import image_io
from inference.pipeline.types import Image, Observer
from inference.pipeline.video.types import (
    OutputOptions,
    Overlay,
    Segment,
    TranscodeOptions,
    Trim,
    VideoLimits,
    VideoReport,
)
from inference.specs import to_spec
from inference.types import SwapOptions, VideoFormat, VideoOptions

if TYPE_CHECKING:
    from inference.castings import Casting
    from inference.pipeline.engine import Engine, EngineConfig
    from inference.pipeline.find_faces import FacesFound, FindLimits
    from inference.pipeline.types import SwapResult

log = structlog.get_logger(__name__)
BUILT_IN_SWAPPER: Final = "mesh_swapper"
# Frames before a segment that the tracker sees: after so many it follows the faces as if it had
# seen the whole video. They are decoded anyway and not swapped, so they cost little.
_LEAD_IN_FRAMES: Final = 25


class EngineHolder:
    """Opens the engine on first use, once, however many threads ask at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def get(self) -> Engine:
        """The engine of this process.

        Raises:
            PipelineError: a model is missing, altered, or its licence is not allowed here.
        """
        with self._lock:
            if self._engine is None:
                self._engine = _open_engine()
            return self._engine

    def close(self) -> None:
        """Free the sessions; the next ``get`` opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


holder = EngineHolder()


def swap(
    *, casting: Casting, target_bgr: Image, options: SwapOptions, observer: Observer
) -> SwapResult:
    """Swap on this process' engine; the target is (H, W, 3) uint8 BGR.

    Raises:
        PipelineError: see ``inference.pipeline.errors``.
    """
    # Loading OpenCV and ONNX Runtime takes seconds and a hundred megabytes: workers only.
    from inference.pipeline.swap import swap_image  # noqa: PLC0415

    return swap_image(
        engine=holder.get(),
        request=castings.to_request(
            casting, spec=to_spec(options), pixels_max=settings.IMAGE_PIXELS_MAX
        ),
        target_bgr=target_bgr,
        observer=observer,
    )


@dataclass(frozen=True, slots=True)
class SegmentOrder:
    """A segment to be rendered: its plan, and the container of the joined result."""

    plan: Mapping[str, Any]
    format: VideoFormat


@dataclass(frozen=True, slots=True)
class VideoOrder:
    """How a video is made.

    Attributes:
        options: what was asked for.
        overlay: drawn onto every frame; None where the frames are there already.
        tags: written into the file.
    """

    options: SwapOptions
    overlay: Overlay | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def plan_video(*, target: Path, options: SwapOptions, segment_s: float) -> list[dict[str, Any]]:
    """Cut the wanted part of a video into segments, as plain values in order.

    Raises:
        PipelineError: the video cannot be read, or the part has no frames.
    """
    from inference.pipeline.video.segments import plan_segments  # noqa: PLC0415 - see swap()

    segments = plan_segments(
        target, target_s=segment_s, limits=video_limits(), trim=_trim(options.video)
    )
    return [asdict(segment) for segment in segments]


def swap_video(
    *,
    casting: Casting,
    target: Path,
    result: Path,
    order: VideoOrder,
    observer: Observer,
    segment: SegmentOrder | None = None,
) -> dict[str, Any]:
    """Swap a video, or one segment of it, from file to file.

    Args:
        casting: whose faces go onto whom.
        target: the video.
        result: where to write; its suffix names the container.
        order: how.
        observer: a ``FrameObserver`` also gets frame numbers.
        segment: only this part, for ``join_video``.

    Returns:
        What was done, as plain values.

    Raises:
        PipelineError: see ``inference.pipeline.swap_video``.
    """
    # See swap() for why these are imported here.
    from inference.pipeline.swap_video import VideoPaths, swap_video  # noqa: PLC0415

    done = swap_video(
        engine=holder.get(),
        request=castings.to_request(casting, spec=to_spec(order.options)),
        paths=VideoPaths(target=target, result=result),
        options=_transcode_options(order, segment=segment),
        observer=observer,
        segment=None if segment is None else Segment(**segment.plan),
    )
    return {
        **_video_report(done.video),
        "frames_with_faces": done.frames_with_faces,
        "frames_swapped": done.frames_swapped,
        "faces_swapped": done.faces_swapped,
        "tracks_count": done.tracks_count,
        "frames_by_person": list(done.frames_by_person),
    }


def find_faces_in_image(*, image_bgr: Image) -> FacesFound:
    """The faces of a picture, (H, W, 3) uint8 BGR."""
    from inference.pipeline.find_faces import find_in_image  # noqa: PLC0415 - see swap()

    return find_in_image(engine=holder.get(), image_bgr=image_bgr, limits=_find_limits())


def find_faces_in_video(*, path: Path, observer: Observer) -> FacesFound:
    """The people of a video.

    Raises:
        PipelineError: the video cannot be read.
        StoppedError: the observer asked to stop.
    """
    from inference.pipeline.find_faces import find_in_video  # noqa: PLC0415 - see swap()

    return find_in_video(
        engine=holder.get(),
        path=path,
        video=video_limits(),
        limits=_find_limits(),
        observer=observer,
    )


def _find_limits() -> FindLimits:
    from inference.pipeline.find_faces import FindLimits  # noqa: PLC0415 - see swap()

    return FindLimits(faces_max=settings.FACES_MAX, samples_max=settings.FACE_SAMPLES_MAX)


def join_video(
    *,
    parts: Sequence[Path],
    plans: Sequence[Mapping[str, Any]],
    target: Path,
    result: Path,
    order: VideoOrder,
    observer: Observer,
) -> dict[str, Any]:
    """Put rendered segments together, with the sound and everything else of the target.

    Raises:
        PipelineError: see ``inference.pipeline.video.join``.
    """
    from inference.pipeline.video.join import join_segments  # noqa: PLC0415 - see swap()

    report = join_segments(
        parts,
        segments=[Segment(**plan) for plan in plans],
        source=target,
        target=result,
        options=_transcode_options(order, segment=None),
        observer=observer,
    )
    return _video_report(report)


def poster(path: Path, *, side_px: int) -> bytes:
    """The first picture of a video of ours as a small JPEG.

    Raises:
        PipelineError: the video cannot be read.
    """
    from inference.pipeline.video.preview import preview_frame  # noqa: PLC0415 - see swap()

    image_bgr = preview_frame(path, time_s=Fraction(0), limits=video_limits())
    return image_io.thumbnail(image_bgr, side_px=side_px)


def video_limits() -> VideoLimits:
    """What the settings allow of a video."""
    return VideoLimits(
        bytes_max=settings.VIDEO_BYTES_MAX,
        pixels_max=settings.VIDEO_PIXELS_MAX,
        side_max_px=settings.VIDEO_SIDE_MAX_PX,
        duration_max_s=settings.VIDEO_DURATION_MAX_S,
        frames_max=settings.VIDEO_FRAMES_MAX,
        fps_max=settings.VIDEO_FPS_MAX,
    )


def _transcode_options(order: VideoOrder, *, segment: SegmentOrder | None) -> TranscodeOptions:
    video = order.options.video or VideoOptions()
    return TranscodeOptions(
        limits=video_limits(),
        output=OutputOptions(
            # The suffix of the result says it, except for a segment's own.
            container=None if segment is None else segment.format,
            quality=video.quality,
            fps=None if video.fps is None else Fraction(video.fps).limit_denominator(1001),
            metadata=order.tags,
            tags="public",
        ),
        trim=_trim(video),
        workers_count=settings.VIDEO_THREADS,
        lead_in_frames=0 if segment is None else _LEAD_IN_FRAMES,
        overlay=order.overlay,
    )


def _trim(video: VideoOptions | None) -> Trim | None:
    if video is None or (video.start_ms == 0 and video.end_ms is None):
        return None
    end_s = None if video.end_ms is None else Fraction(video.end_ms, 1000)
    return Trim(start_s=Fraction(video.start_ms, 1000), end_s=end_s)


def _video_report(report: VideoReport) -> dict[str, Any]:
    return {
        "frames_out": report.frames_out,
        "width_px": report.width,
        "height_px": report.height,
        "duration_ms": round(report.duration_s * 1000),
        "concealed_count": report.concealed_count,
        "corrupt_packets_count": report.corrupt_packets_count,
        "streams": [
            {
                "kind": outcome.stream.kind,
                "codec": outcome.stream.codec,
                "outcome": outcome.outcome,
                "reason": outcome.reason,
            }
            for outcome in report.streams
        ],
    }


def engine_config() -> EngineConfig:
    """What the settings say about models and where they run.

    Raises:
        ValueError: an unknown policy or execution provider.
    """
    # See swap() for why these are imported here.
    from inference.pipeline.engine import EngineConfig  # noqa: PLC0415
    from inference.pipeline.registry.policy import LicencePolicy  # noqa: PLC0415
    from inference.pipeline.safety.check import SafetyPolicy  # noqa: PLC0415
    from inference.pipeline.sessions.loading import SessionOptions  # noqa: PLC0415
    from inference.pipeline.sessions.providers import (  # noqa: PLC0415
        DeviceOptions,
        providers_from,
    )

    device = DeviceOptions(
        device_id=settings.ORT_DEVICE_ID,
        memory_max_bytes=settings.ORT_GPU_MEMORY_MAX_BYTES,
        cache_dir=settings.ORT_CACHE_DIR,
    )
    return EngineConfig(
        model_dir=Path(settings.MODELS_DIR),
        policy=LicencePolicy(
            name=settings.MODEL_POLICY, licensed=frozenset(settings.MODELS_LICENSED)
        ),
        sessions=SessionOptions(
            providers=providers_from(
                settings.ORT_PROVIDERS, device=device, overrides=settings.ORT_PROVIDER_OPTIONS
            ),
            threads=settings.ORT_THREADS,
            prefer_fp16=settings.ORT_PREFER_HALF,
        ),
        memory_budget_bytes=settings.MODELS_MEMORY_MAX_BYTES,
        extra_models=Path(settings.MODELS_EXTRA) if settings.MODELS_EXTRA else None,
        safety=SafetyPolicy(
            models=tuple(settings.SAFETY_MODELS),
            votes_min=settings.SAFETY_VOTES_MIN,
            video_share_max=settings.SAFETY_VIDEO_SHARE_MAX,
        ),
    )


def _open_engine() -> Engine:
    import cv2  # noqa: PLC0415 - see swap()

    from inference.pipeline.engine import Engine  # noqa: PLC0415 - see swap()

    # Frames run in parallel; the library's own threads would fight over the same cores.
    cv2.setNumThreads(1)
    engine = Engine.open(engine_config())
    opened = engine.pool.report()
    log.info(
        "inference.engine.opened",
        policy=settings.MODEL_POLICY,
        models=[model.key for model in opened],
        providers=sorted({name for model in opened for name in model.providers}),
    )
    return engine
