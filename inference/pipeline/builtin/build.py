"""Builds, checks and writes the built-in models."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
from onnx import helper

from inference.pipeline.builtin.face_mesh import build_face_mesh
from inference.pipeline.builtin.mesh_swapper import build_mesh_swapper
from inference.pipeline.builtin.onnx_edit import build_sface, build_yunet
from inference.pipeline.builtin.weights import read_weights
from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.registry.files import file_state, sha256_of
from inference.pipeline.registry.spec import ModelSpec, Registry

_PRODUCER: Final = "inference.pipeline.builtin"
_FROM_WEIGHTS: Final[dict[str, Callable[[bytes], onnx.ModelProto]]] = {
    "face_detector_yunet": build_yunet,
    "face_recogniser_sface": build_sface,
    "face_mesh_468": build_face_mesh,
}
_FROM_TABLES: Final[dict[str, int]] = {"mesh_swapper_256": 256, "mesh_swapper_512": 512}


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What happened to one model: ``is_new`` is false when the right file was there already."""

    spec: ModelSpec
    path: Path
    is_new: bool


def builtin_keys() -> tuple[str, ...]:
    """Keys of all models that can be built here."""
    return (*_FROM_WEIGHTS, *_FROM_TABLES)


def build_builtin_models(
    *, registry: Registry, model_dir: Path, on_done: Callable[[BuildReport], None]
) -> tuple[BuildReport, ...]:
    """Make sure that every built-in model is in ``model_dir``, byte for byte as recorded.

    A file that is already right is left alone. Files appear by one rename, so readers and other
    builders never see a half-written one.

    Raises:
        ModelMissingError: a weight package is not installed.
        ModelMismatchError: weights or results differ from what models.toml records.
        OSError: the folder cannot be written.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    reports = []
    for key in builtin_keys():
        report = _ensure(registry.spec(key), model_dir)
        on_done(report)
        reports.append(report)
    return tuple(reports)


def build_bytes(spec: ModelSpec) -> bytes:
    """The serialised ONNX file of one built-in model, the same on every machine."""
    if spec.key in _FROM_WEIGHTS:
        assert spec.origin is not None
        model = _FROM_WEIGHTS[spec.key](read_weights(spec.origin))
    else:
        model = build_mesh_swapper(_FROM_TABLES[spec.key])
    model.producer_name = _PRODUCER
    helper.set_model_props(model, {"licence": spec.licence, "vendor": spec.vendor})
    return bytes(model.SerializeToString(deterministic=True))


def _ensure(spec: ModelSpec, model_dir: Path) -> BuildReport:
    path = model_dir / spec.file
    if file_state(spec, model_dir=model_dir) == "ok":
        return BuildReport(spec=spec, path=path, is_new=False)
    data = build_bytes(spec)
    handle, name = tempfile.mkstemp(dir=model_dir, prefix=f".{spec.file}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        found = sha256_of(temporary)
        if found != spec.sha256:
            raise ModelMismatchError(
                f"{spec.file} came out with SHA-256 {found} and {len(data)} bytes, recorded are "
                f"{spec.sha256} and {spec.size_bytes}"
            )
        # mkstemp makes private files; the model is to be readable by every worker's user.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return BuildReport(spec=spec, path=path, is_new=True)
