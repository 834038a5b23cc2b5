"""The matrix of an inswapper file, stored beside the model so that nobody parses it again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from inference.pipeline.errors import ModelMismatchError, ModelMissingError
from inference.pipeline.registry.files import sha256_of
from inference.pipeline.registry.imports import read_imports
from inference.pipeline.registry.spec import ModelSpec
from inference.pipeline.types import Floats

EMAP_SHAPE: Final = (512, 512)


def emap_path(spec: ModelSpec, *, model_dir: Path) -> Path:
    """Where the matrix of a model lies."""
    return model_dir / f"{Path(spec.file).stem}.emap.npy"


def write_emap(spec: ModelSpec, *, model_dir: Path, emap: Floats) -> str:
    """Store a (512, 512) float32 matrix in one step; returns the SHA-256 of its file."""
    handle, name = tempfile.mkstemp(dir=model_dir, prefix=f".{spec.file}.emap.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, emap, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        digest = sha256_of(temporary)
        temporary.replace(emap_path(spec, model_dir=model_dir))
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def read_emap(spec: ModelSpec, *, model_dir: Path) -> Floats:
    """The stored matrix, (512, 512) float32.

    Raises:
        ModelMissingError: the model was put there without an import.
        ModelMismatchError: the stored matrix is not the one that was imported.
    """
    path = emap_path(spec, model_dir=model_dir)
    record = read_imports(model_dir).get(spec.key)
    if record is None or not record.emap_sha256 or not path.is_file():
        raise ModelMissingError(
            f"{path} is missing; run 'manage.py models import {spec.key} {model_dir / spec.file}'"
        )
    if sha256_of(path) != record.emap_sha256:
        raise ModelMismatchError(f"{path} has been changed since the import")
    emap = np.load(path, allow_pickle=False)
    if emap.shape != EMAP_SHAPE or emap.dtype != np.float32:
        raise ModelMismatchError(f"{path} is {emap.dtype} {emap.shape}, not float32 {EMAP_SHAPE}")
    return np.asarray(emap, dtype=np.float32)
