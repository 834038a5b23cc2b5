"""All sessions of one process, opened and checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.sessions.loading import LoadedModel, SessionOptions
from inference.pipeline.sessions.pool import SessionPool

_DETECTOR: Final = "face_detector_yunet"
_LANDMARKER: Final = "face_mesh_468"
_RECOGNISER: Final = "face_recogniser_sface"
_SWAPPERS: Final = ("mesh_swapper_256", "mesh_swapper_512")
# A crop may be this much smaller than the face it is pasted back onto before the next size pays.
_ENLARGEMENT_MAX: Final = 1.5


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How to open an engine.

    Attributes:
        model_dir: folder with the model files.
        policy: which licences are allowed.
        sessions: where and how models run.
        memory_budget_bytes: for all open models together; 0 sets no limit.
        extra_models: a deployment's own registry file, or None.
    """

    model_dir: Path
    policy: LicencePolicy = field(default_factory=LicencePolicy)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    memory_budget_bytes: int = 0
    extra_models: Path | None = None


class Engine:
    """Open sessions. Holds nothing of any job, so threads may share one engine."""

    def __init__(self, models: dict[str, LoadedModel]) -> None:
        self._models = models

    @classmethod
    def open(cls, config: EngineConfig) -> Engine:
        """Check licence and SHA-256 of every model, open the sessions and run each once.

        Raises:
            ModelMissingError: a file is not there.
            ModelMismatchError: other bytes, tensors or execution providers than described.
            ModelNotAllowedError: refused by the licence policy.
        """
        pool = SessionPool(
            registry=load_registry(extra=config.extra_models),
            model_dir=config.model_dir,
            policy=config.policy,
            options=config.sessions,
            memory_budget_bytes=config.memory_budget_bytes,
        )
        keys = (_DETECTOR, _LANDMARKER, _RECOGNISER, *_SWAPPERS)
        return cls({key: pool.get(key) for key in keys})

    def close(self) -> None:
        """Let go of the sessions; their memory is freed when no run uses them any more."""
        self._models = {}

    @property
    def detector(self) -> LoadedModel:
        """Finds face boxes."""
        return self._model(_DETECTOR)

    @property
    def landmarker(self) -> LoadedModel:
        """Fits the face mesh."""
        return self._model(_LANDMARKER)

    @property
    def recogniser(self) -> LoadedModel:
        """Tells identities apart."""
        return self._model(_RECOGNISER)

    def swapper(self, *, crop_side_px: float) -> LoadedModel:
        """The smallest swapper that does not blur a face with a crop of this side."""
        swappers = sorted(
            (self._model(key) for key in _SWAPPERS), key=lambda model: model.spec.crop_size_px
        )
        for model in swappers:
            if model.spec.crop_size_px * _ENLARGEMENT_MAX >= crop_side_px:
                return model
        return swappers[-1]

    def _model(self, key: str) -> LoadedModel:
        try:
            return self._models[key]
        except KeyError:
            raise RuntimeError("the engine is closed") from None
