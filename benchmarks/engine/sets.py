"""Engines to measure, with a clock on every model."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.stand_ins.build import install_stand_ins
from benchmarks.stand_ins.pixels import StandInOptions
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.engine import BUILT_IN, Engine
from inference.pipeline.job import IdentityPictures, SwapRequest
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.sessions.loading import LoadedModel, SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.sessions.running import Arrays, Feed, Runner
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swappers.catalogue import SwapperOptions
from inference.pipeline.types import Image

HEAVY_SWAPPER: Final = "inswapper_128"
_HEAVY_KEYS: Final = (HEAVY_SWAPPER, "arcface_w600k_r50")


class ModelClock:
    """Adds up the processor time that threads spend inside models."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent_s = 0.0
        self._runs_count = 0

    def add(self, seconds: float) -> None:
        """Count one run."""
        with self._lock:
            self._spent_s += seconds
            self._runs_count += 1

    def read(self) -> tuple[float, int]:
        """Seconds and runs so far."""
        with self._lock:
            return self._spent_s, self._runs_count


class _ClockedRunner:
    """Runs a session and tells how long that took."""

    def __init__(self, runner: Runner, clock: ModelClock, model: LoadedModel) -> None:
        self._runner, self._clock = runner, clock
        # Held, so that the pool sees that the model is in use.
        self._model = model

    def run(self, names: Sequence[str], feed: Feed, *, shrink: bool) -> Arrays:
        """See ``Runner``; a session works in the caller's thread alone, whose clock says it all."""
        started = time.thread_time()
        try:
            return self._runner.run(names, feed, shrink=shrink)
        finally:
            self._clock.add(time.thread_time() - started)


class ClockedPool(SessionPool):
    """A pool whose models are clocked."""

    def __init__(self, *, registry: Registry, model_dir: Path) -> None:
        """Open nothing yet."""
        super().__init__(
            registry=registry,
            model_dir=model_dir,
            policy=LicencePolicy(),
            options=SessionOptions(threads=1),
        )
        self.clock = ModelClock()

    def get(self, key: str) -> LoadedModel:
        """See ``SessionPool.get``."""
        model = super().get(key)
        return dataclasses.replace(model, runner=_ClockedRunner(model.runner, self.clock, model))


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSet:
    """An engine and how to ask it for a swap.

    Attributes:
        name: part of the figures' names.
        swapper: key of the swapper.
        pool: where its models come from.
    """

    name: str
    swapper: str
    pool: ClockedPool

    @property
    def engine(self) -> Engine:
        """An engine on the pool."""
        return Engine(self.pool)

    def request(self, source_bgr: Image) -> SwapRequest:
        """Put one face onto all faces."""
        return SwapRequest(
            spec=SwapSpec(
                selector=SelectorOptions(mode="all"), swapper=SwapperOptions(model=self.swapper)
            ),
            identities=[IdentityPictures(images_bgr=[source_bgr], takes_largest=True)],
        )


def builtin_set(model_dir: Path) -> ModelSet:
    """The built-in models, built into the folder where they are missing."""
    registry = load_registry()
    if not all((model_dir / registry.spec(key).file).exists() for key in BUILT_IN):
        build_builtin_models(registry=registry, model_dir=model_dir, on_done=lambda _report: None)
    pool = ClockedPool(registry=registry, model_dir=model_dir)
    return ModelSet(name="builtin", swapper="mesh_swapper", pool=pool)


def heavy_set(model_dir: Path) -> ModelSet:
    """The built-in detector and landmarks with a heavy swapper and recogniser."""
    builtin_set(model_dir)
    registry = install_stand_ins(
        registry=load_registry(),
        keys=_HEAVY_KEYS,
        model_dir=model_dir,
        options=StandInOptions(heavy=True),
    )
    pool = ClockedPool(registry=registry, model_dir=model_dir)
    return ModelSet(name="heavy", swapper=HEAVY_SWAPPER, pool=pool)
