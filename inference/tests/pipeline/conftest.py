from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.stand_ins.build import install_stand_ins
from inference.pipeline.analysis.analyser import AnalysisOptions, FaceAnalyser
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.engine import Engine, EngineConfig
from inference.pipeline.image_io import ImageLimits, decode_image
from inference.pipeline.job import usable
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.types import Face, Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
LIMITS = ImageLimits(pixels_max=40_000_000, side_max_px=12_000)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in models, built once for all tests of the pipeline."""
    folder = tmp_path_factory.mktemp("models")
    build_builtin_models(registry=load_registry(), model_dir=folder, on_done=lambda report: None)
    return folder


@pytest.fixture(scope="session")
def engine(model_dir: Path) -> Engine:
    return Engine.open(EngineConfig(model_dir=model_dir))


@pytest.fixture(scope="session")
def photo() -> Callable[[str], Image]:
    """Loads a sample photograph, (H, W, 3) uint8 BGR."""

    def load(name: str) -> Image:
        return decode_image((SAMPLES / name).read_bytes(), limits=LIMITS)

    return load


@pytest.fixture(scope="session")
def astronaut(photo) -> Image:
    picture: Image = photo("astronaut.png")
    return picture


@pytest.fixture(scope="session")
def hopper(photo) -> Image:
    picture: Image = photo("grace_hopper.jpg")
    return picture


@pytest.fixture(scope="session")
def group(astronaut: Image, hopper: Image) -> Image:
    """Both portraits side by side."""
    beside = cv2.resize(hopper, (437, 512), interpolation=cv2.INTER_AREA)
    return np.hstack([astronaut, beside.astype(np.uint8)])


class Recorder:
    """An observer that writes down what it hears and stops where it is told to."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.heard: list[tuple[str, float]] = []
        self._stop_at = stop_at

    def progress(self, stage: str, fraction: float) -> None:
        self.heard.append((stage, fraction))

    def should_stop(self) -> bool:
        return self._stop_at is not None and any(stage == self._stop_at for stage, _ in self.heard)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def faces_of(engine: Engine, image_bgr: Image) -> list[Face]:
    """The usable faces of a picture, largest first."""
    return usable(FaceAnalyser(engine.pool, AnalysisOptions()).find(image_bgr), where="target")


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> SessionPool:
    """A pool with a stand-in for every published model that works on pictures of faces."""
    registry, folder = load_registry(), tmp_path_factory.mktemp("stand_ins")
    keys = [spec.key for spec in registry.models.values() if spec.origin is None]
    return SessionPool(
        registry=install_stand_ins(registry=registry, keys=keys, model_dir=folder),
        model_dir=folder,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )
