"""The pipeline's engine, opened once per worker process and closed at its end.

This is the only door to OpenCV and ONNX Runtime on the Django side. They are imported on first
use: the web process imports this module's users at start-up and must stay small.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from inference.pipeline.types import Image, Observer
from inference.types import SwapOptions

if TYPE_CHECKING:
    from inference.pipeline.engine import Engine, EngineConfig
    from inference.pipeline.types import SwapResult

log = structlog.get_logger(__name__)


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
    *, source_bgr: Image, target_bgr: Image, options: SwapOptions, observer: Observer
) -> SwapResult:
    """Swap on this process' engine; pictures are (H, W, 3) uint8 BGR.

    Raises:
        PipelineError: see ``inference.pipeline.errors``.
    """
    # Loading OpenCV and ONNX Runtime takes seconds and a hundred megabytes: workers only.
    from inference.pipeline.job import IdentityPictures, SwapRequest  # noqa: PLC0415
    from inference.pipeline.selection.options import SelectorOptions  # noqa: PLC0415
    from inference.pipeline.spec import SwapSpec  # noqa: PLC0415
    from inference.pipeline.swap import swap_image  # noqa: PLC0415

    return swap_image(
        engine=holder.get(),
        request=SwapRequest(
            spec=SwapSpec(selector=SelectorOptions(mode=options.target_faces.value)),
            identities=[IdentityPictures(images_bgr=[source_bgr])],
        ),
        target_bgr=target_bgr,
        observer=observer,
    )


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
    from inference.pipeline.engine import Engine  # noqa: PLC0415 - see swap()

    engine = Engine.open(engine_config())
    opened = engine.pool.report()
    log.info(
        "inference.engine.opened",
        policy=settings.MODEL_POLICY,
        models=[model.key for model in opened],
        providers=sorted({name for model in opened for name in model.providers}),
    )
    return engine
