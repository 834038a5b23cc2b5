"""Takes one model file into the model folder: checked first, then moved there in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from inference.pipeline.errors import (
    ModelMismatchError,
    ModelMissingError,
    ModelNotPinnedError,
)
from inference.pipeline.registry.emap import EMAP_SHAPE, write_emap
from inference.pipeline.registry.files import sha256_of
from inference.pipeline.registry.imports import ImportRecord, read_imports, write_import
from inference.pipeline.registry.spec import ModelSpec
from inference.pipeline.sessions.loading import SessionOptions, open_session
from inference.pipeline.types import Floats

_COPY_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """What the operator vouches for, where models.toml records no checksum.

    Attributes:
        sha256: the checksum the file must have; empty if the operator names none.
        is_first_use: take the file as it is and pin it from now on.
    """

    sha256: str = ""
    is_first_use: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The checksum that a file must have (empty: any), and who says so."""

    sha256: str
    said_by: str


def expected_of(spec: ModelSpec, *, model_dir: Path, trust: Trust) -> Expected:
    """Decide which bytes to accept, before any is fetched or copied.

    A checksum in models.toml cannot be overruled. One that an earlier import recorded can be
    replaced by naming another, but not by trusting a file again.

    Raises:
        ModelMismatchError: the operator names another checksum than models.toml.
        ModelNotPinnedError: no checksum is known and the operator vouches for none.
    """
    if spec.sha256:
        if trust.sha256 not in ("", spec.sha256):
            raise ModelMismatchError(
                f"models.toml records SHA-256 {spec.sha256} for '{spec.key}'; describe other "
                "bytes as a model of your own, in the file that MODELS_EXTRA names"
            )
        return Expected(sha256=spec.sha256, said_by="registry")
    if trust.sha256:
        return Expected(sha256=trust.sha256, said_by="operator")
    record = read_imports(model_dir).get(spec.key)
    if record is not None:
        return Expected(sha256=record.sha256, said_by=record.trust)
    if trust.is_first_use:
        return Expected(sha256="", said_by="first use")
    raise ModelNotPinnedError(
        f"no SHA-256 of '{spec.key}' is known: give the one you trust with --sha256, or pin "
        "whatever comes with --trust-first-use"
    )


def import_file(
    *,
    spec: ModelSpec,
    path: Path,
    model_dir: Path,
    trust: Trust,
    on_bytes: Callable[[int], None],
) -> ImportRecord:
    """Copy a model file given by hand into the folder.

    Args:
        spec: what it is said to be.
        path: the file; it is left alone.
        model_dir: made if it is not there.
        trust: what the operator vouches for.
        on_bytes: hears how many more bytes were copied.

    Raises:
        ModelMissingError: there is no such file.
        ModelMismatchError: other bytes or tensors than described.
        ModelNotPinnedError: no checksum is known and the operator vouches for none.
        OSError: the file or the folder cannot be used.
    """
    if not path.is_file():
        raise ModelMissingError(f"{path} is not a file")
    expected = expected_of(spec, model_dir=model_dir, trust=trust)
    model_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=model_dir, prefix=f".{spec.file}.")
    temporary = Path(name)
    try:
        with path.open("rb") as source, os.fdopen(handle, "wb") as target:
            while chunk := source.read(_COPY_CHUNK_BYTES):
                target.write(chunk)
                on_bytes(len(chunk))
            target.flush()
            os.fsync(target.fileno())
        return adopt(
            spec=spec, path=temporary, model_dir=model_dir, expected=expected, source=str(path)
        )
    finally:
        temporary.unlink(missing_ok=True)


def adopt(
    *, spec: ModelSpec, path: Path, model_dir: Path, expected: Expected, source: str
) -> ImportRecord:
    """Check a complete file that lies in the model folder and move it to its name.

    Raises:
        ModelMismatchError: other bytes or tensors than expected; nothing has been changed.
    """
    size = path.stat().st_size
    if spec.size_bytes and size != spec.size_bytes:
        raise ModelMismatchError(
            f"the file for '{spec.key}' has {size} bytes, {spec.size_bytes} are described"
        )
    found = sha256_of(path)
    if expected.sha256 and found != expected.sha256:
        raise ModelMismatchError(
            f"the file for '{spec.key}' has SHA-256 {found}, expected is {expected.sha256}"
        )
    # A file that does not fit the contract is refused now, not when the first job needs it.
    open_session(spec=spec, path=path, options=SessionOptions())
    emap = extract_emap(path) if spec.has_emap else None
    emap_sha256 = "" if emap is None else write_emap(spec, model_dir=model_dir, emap=emap)
    # Temporary files are private; the model is to be readable by every worker's user.
    path.chmod(0o644)
    path.replace(model_dir / spec.file)
    record = ImportRecord(
        sha256=found,
        size_bytes=size,
        trust=expected.said_by,
        source=source,
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        emap_sha256=emap_sha256,
    )
    write_import(model_dir, key=spec.key, record=record)
    return record


def extract_emap(path: Path) -> Floats:
    """The matrix that inswapper files carry as their last initialiser.

    Taken from the file as published: tools that rewrite a graph may reorder its initialisers.

    Returns:
        (512, 512) float32.

    Raises:
        ModelMismatchError: there is none of that shape.
    """
    constants = onnx.load(str(path)).graph.initializer
    last = numpy_helper.to_array(constants[-1]) if constants else np.empty(0)
    if last.shape != EMAP_SHAPE or last.dtype.kind != "f" or not np.isfinite(last).all():
        raise ModelMismatchError(
            f"the last initialiser has shape {last.shape}, a finite {EMAP_SHAPE} is needed"
        )
    return np.ascontiguousarray(last, dtype=np.float32)
