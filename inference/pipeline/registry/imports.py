"""imported.toml in the model folder: what was imported there, from where, with which checksum."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from inference.pipeline.errors import ModelMismatchError

IMPORTS_FILE: Final = "imported.toml"
_LOCK_FILE: Final = ".imported.lock"
_HEADER: Final = "# Written by 'manage.py models'. It pins the files of this folder: do not edit.\n"


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One imported model.

    Attributes:
        sha256: of the model file.
        size_bytes: of the model file.
        trust: who vouched for the checksum: ``registry``, ``operator`` or ``first use``.
        source: address or path the file came from.
        imported_at: ISO 8601, UTC.
        emap_sha256: of the matrix stored beside the model; empty where it has none.
    """

    sha256: str
    size_bytes: int
    trust: str
    source: str
    imported_at: str
    emap_sha256: str = ""


def read_imports(model_dir: Path) -> Mapping[str, ImportRecord]:
    """All records of a folder by model key; empty for a folder without any.

    Raises:
        ModelMismatchError: the file is damaged.
    """
    path = model_dir / IMPORTS_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return {key: ImportRecord(**table) for key, table in tomllib.loads(text).items()}
    except (tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
        raise ModelMismatchError(f"{path} is damaged: {error}") from error


def write_import(model_dir: Path, *, key: str, record: ImportRecord) -> None:
    """Add or replace one record; safe against other processes that do the same."""
    with _locked(model_dir):
        records = {**read_imports(model_dir), key: record}
        text = _HEADER + "".join(_table(name, records[name]) for name in sorted(records))
        handle, name = tempfile.mkstemp(dir=model_dir, prefix=f".{IMPORTS_FILE}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(model_dir / IMPORTS_FILE)
        finally:
            temporary.unlink(missing_ok=True)


def _table(key: str, record: ImportRecord) -> str:
    # A JSON string without non-ASCII characters is a TOML string, and so is a JSON number.
    lines = [f"{name} = {json.dumps(value)}" for name, value in asdict(record).items()]
    return "\n".join([f"\n[{json.dumps(key)}]", *lines, ""])


@contextmanager
def _locked(model_dir: Path) -> Iterator[None]:
    with (model_dir / _LOCK_FILE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
