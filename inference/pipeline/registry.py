"""models.toml: what every model file is, where it comes from and who may use it."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from inference.pipeline.errors import (
    ModelMismatchError,
    ModelMissingError,
    ModelNotAllowedError,
)

REGISTRY_FILE: Final = Path(__file__).parent / "models.toml"
POLICIES: Final = ("commercial", "any")

FileState = Literal["ok", "missing", "wrong size", "wrong checksum"]
_READ_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, ONNX element type and shape of one input or output; a string is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """The file inside an installed Python distribution that a model is built from.

    ``sha256`` and ``path`` are empty for a model that carries no learned weights.
    """

    distribution: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model file as models.toml describes it.

    Attributes:
        task: what it does: ``detector``, ``landmarker``, ``recogniser`` or ``swapper``.
        crop_size_px: side of the square crop it takes; 0 means any size.
        colour: channel order of its image input, ``RGB`` or ``BGR``.
        scale: pixel values are divided by this before mean and std.
        template: name of the alignment template of its crop, ``none`` for whole pictures.
    """

    key: str
    file: str
    task: str
    size_bytes: int
    sha256: str
    vendor: str
    licence: str
    licence_source: str
    commercial_ok: bool
    origin: ModelOrigin
    crop_size_px: int
    colour: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    template: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """All described models by key."""

    models: dict[str, ModelSpec]

    def spec(self, key: str) -> ModelSpec:
        """The description of one model.

        Raises:
            ModelMissingError: models.toml does not describe it.
        """
        try:
            return self.models[key]
        except KeyError:
            raise ModelMissingError(f"models.toml does not describe '{key}'") from None

    def by_task(self, task: str) -> tuple[ModelSpec, ...]:
        """All models of one task, in the order of models.toml."""
        return tuple(spec for spec in self.models.values() if spec.task == task)

    def check_policy(self, spec: ModelSpec, *, policy: str) -> None:
        """Refuse a model that the deployment's licence policy does not clear.

        Raises:
            ModelNotAllowedError: names the cleared models for the same task.
            ValueError: an unknown policy.
        """
        if policy not in POLICIES:
            raise ValueError(f"MODEL_POLICY is '{policy}', it must be one of {', '.join(POLICIES)}")
        if policy == "any" or spec.commercial_ok:
            return
        cleared = [other.key for other in self.by_task(spec.task) if other.commercial_ok]
        advice = f"use {' or '.join(cleared)}" if cleared else "no model is cleared for this task"
        raise ModelNotAllowedError(
            f"'{spec.key}' ({spec.licence}) is not cleared for commercial use; {advice}"
        )

    def resolve(self, key: str, *, model_dir: Path, policy: str) -> Path:
        """Path of a model file that is allowed, present and exactly the described bytes.

        Raises:
            ModelMissingError: not described or not there.
            ModelMismatchError: other size or SHA-256.
            ModelNotAllowedError: refused by the licence policy.
        """
        spec = self.spec(key)
        self.check_policy(spec, policy=policy)
        path = model_dir / spec.file
        state = file_state(spec, model_dir=model_dir)
        if state == "missing":
            raise ModelMissingError(f"{path} is missing; run 'manage.py models build'")
        if state != "ok":
            raise ModelMismatchError(f"{path} has the {state}; run 'manage.py models build'")
        return path


def load_registry(path: Path = REGISTRY_FILE) -> Registry:
    """Read models.toml.

    Raises:
        KeyError, TypeError, ValueError: the file is not a registry.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["models"]
    return Registry(models={key: _parse_spec(key, table) for key, table in tables.items()})


def file_state(spec: ModelSpec, *, model_dir: Path) -> FileState:
    """Compare a model file with its description, cheapest check first."""
    path = model_dir / spec.file
    if not path.is_file():
        return "missing"
    if path.stat().st_size != spec.size_bytes:
        return "wrong size"
    return "ok" if sha256_of(path) == spec.sha256 else "wrong checksum"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _parse_spec(key: str, table: dict[str, Any]) -> ModelSpec:
    known = dict(table)
    known["origin"] = ModelOrigin(**known["origin"])
    known["mean"], known["std"] = tuple(known["mean"]), tuple(known["std"])
    for side in ("inputs", "outputs"):
        known[side] = tuple(_parse_tensor(tensor) for tensor in known[side])
    return ModelSpec(key=key, **known)


def _parse_tensor(table: dict[str, Any]) -> TensorSpec:
    return TensorSpec(name=table["name"], dtype=table["dtype"], shape=tuple(table["shape"]))
