"""Compares the files in the model folder with their descriptions."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from inference.pipeline.errors import ModelMismatchError, ModelMissingError
from inference.pipeline.registry.imports import read_imports
from inference.pipeline.registry.policy import LicencePolicy, check_licence
from inference.pipeline.registry.spec import ModelSpec, Registry

#: ``not pinned``: a file lies there whose right checksum nobody has recorded.
FileState = Literal["ok", "missing", "wrong size", "wrong checksum", "not pinned"]
_READ_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Pin:
    """What the bytes of a file must be; ``size_bytes`` 0 means that only the checksum counts."""

    sha256: str
    size_bytes: int


class VerifiedFiles:
    """Remembers which files were verified, so that each is read in full only once per process.

    A file counts as unchanged while inode, size and modification time stay the same. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[Path, str], tuple[int, int, int]] = {}

    def is_known(self, path: Path, *, sha256: str) -> bool:
        """Whether this very file has been seen with this checksum."""
        with self._lock:
            return self._seen.get((path, sha256)) == _identity(path)

    def remember(self, path: Path, *, sha256: str, identity: tuple[int, int, int]) -> None:
        """Note that the file with this identity has this checksum."""
        with self._lock:
            self._seen[path, sha256] = identity


def resolve(
    *,
    registry: Registry,
    key: str,
    model_dir: Path,
    policy: LicencePolicy,
    verified: VerifiedFiles | None = None,
) -> Path:
    """Path of a model file that is allowed, present and exactly the recorded bytes.

    Raises:
        ModelMissingError: not described or not there.
        ModelMismatchError: other size or SHA-256, or a file that nobody has pinned.
        ModelNotAllowedError: refused by the licence policy.
    """
    spec = registry.spec(key)
    check_licence(registry=registry, spec=spec, policy=policy)
    path = model_dir / spec.file
    state = file_state(spec, model_dir=model_dir, verified=verified)
    if state == "missing":
        raise ModelMissingError(f"{path} is missing; {how_to_get(spec)}")
    if state == "not pinned":
        raise ModelMismatchError(f"{path} was not imported; {how_to_get(spec)}")
    if state != "ok":
        raise ModelMismatchError(f"{path} has the {state}; {how_to_get(spec)}")
    return path


def file_state(
    spec: ModelSpec, *, model_dir: Path, verified: VerifiedFiles | None = None
) -> FileState:
    """Compare a model file with its description, cheapest check first."""
    path = model_dir / spec.file
    if not path.is_file():
        return "missing"
    pin = pin_of(spec, model_dir=model_dir)
    if pin is None:
        return "not pinned"
    if pin.size_bytes and path.stat().st_size != pin.size_bytes:
        return "wrong size"
    if verified is not None and verified.is_known(path, sha256=pin.sha256):
        return "ok"
    identity = _identity(path)
    if sha256_of(path) != pin.sha256:
        return "wrong checksum"
    if verified is not None:
        verified.remember(path, sha256=pin.sha256, identity=identity)
    return "ok"


def first_missing(*, registry: Registry, spec: ModelSpec, model_dir: Path) -> ModelSpec | None:
    """The model itself, or the first one it needs, that has to be installed and is not there.

    At a glance: no file is read, so a damaged one is found only by whoever opens it. Built-in
    models count as there, because nothing runs without them.
    """
    if spec.origin is None and not (model_dir / spec.file).is_file():
        return spec
    for key in spec.requires:
        lacking = first_missing(registry=registry, spec=registry.spec(key), model_dir=model_dir)
        if lacking is not None:
            return lacking
    return None


def pin_of(spec: ModelSpec, *, model_dir: Path) -> Pin | None:
    """The recorded bytes of a model: from models.toml, else from this folder's imports."""
    if spec.sha256:
        return Pin(sha256=spec.sha256, size_bytes=spec.size_bytes)
    record = read_imports(model_dir).get(spec.key)
    return Pin(sha256=record.sha256, size_bytes=record.size_bytes) if record else None


def how_to_get(spec: ModelSpec) -> str:
    """The command that brings the file of a model."""
    if spec.origin is not None:
        return "run 'manage.py models build'"
    if spec.sources:
        return f"run 'manage.py models pull {spec.key}'"
    return f"run 'manage.py models import {spec.key} FILE'"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _identity(path: Path) -> tuple[int, int, int]:
    status: os.stat_result = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
