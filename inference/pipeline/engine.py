"""What a worker process keeps open: the sessions, and nothing of any job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.safety.check import SafetyCheck, SafetyPolicy
from inference.pipeline.sessions.loading import LoadedModel, SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers import mesh

DETECTOR: Final = "face_detector_yunet"
LANDMARKER: Final = "face_mesh_468"
RECOGNISER: Final = "face_recogniser_sface"
BUILT_IN: Final = (DETECTOR, LANDMARKER, RECOGNISER, *mesh.KEYS)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How to open an engine.

    Attributes:
        model_dir: folder with the model files.
        policy: which licences are allowed.
        sessions: where and how models run.
        memory_budget_bytes: for all open models together; 0 sets no limit.
        extra_models: a deployment's own registry file, or None.
        safety: what content is refused.
    """

    model_dir: Path
    policy: LicencePolicy = field(default_factory=LicencePolicy)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    memory_budget_bytes: int = 0
    extra_models: Path | None = None
    safety: SafetyPolicy = field(default_factory=SafetyPolicy)


class Engine:
    """The open sessions of a process. Threads and jobs may share one engine."""

    def __init__(self, pool: SessionPool, *, safety: SafetyPolicy | None = None) -> None:
        """Use the sessions of a pool.

        Raises:
            SafetyUnavailableError: content has to be checked and a classifier cannot be opened.
        """
        self._pool = pool
        self._safety = SafetyCheck(pool, safety or SafetyPolicy())

    @classmethod
    def open(cls, config: EngineConfig) -> Engine:
        """Check and open the built-in models, run each once; others open when a job names them.

        Raises:
            ModelMissingError: a file is not there.
            ModelMismatchError: other bytes, tensors or execution providers than described.
            ModelNotAllowedError: refused by the licence policy.
            SafetyUnavailableError: content has to be checked and a classifier cannot be opened.
        """
        pool = SessionPool(
            registry=load_registry(extra=config.extra_models),
            model_dir=config.model_dir,
            policy=config.policy,
            options=config.sessions,
            memory_budget_bytes=config.memory_budget_bytes,
        )
        for key in BUILT_IN:
            pool.get(key)
        return cls(pool, safety=config.safety)

    @property
    def pool(self) -> SessionPool:
        """Where the stages get their models."""
        return self._pool

    @property
    def safety(self) -> SafetyCheck:
        """Checks content as the deployment demands."""
        return self._safety

    def model(self, key: str) -> LoadedModel:
        """An open model; see ``SessionPool.get``."""
        return self._pool.get(key)

    def close(self) -> None:
        """Let go of the sessions; their memory is freed when no run uses them any more."""
        self._pool.close()
