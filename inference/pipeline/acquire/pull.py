"""Downloads model files: mirrors in order, resumed where possible, checked before use."""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inference.pipeline.acquire.http import Fetcher, SourceError, Transfer
from inference.pipeline.acquire.importing import Expected, Trust, adopt, expected_of
from inference.pipeline.errors import ModelDownloadError, ModelMismatchError
from inference.pipeline.registry.files import file_state
from inference.pipeline.registry.imports import ImportRecord, read_imports
from inference.pipeline.registry.spec import ModelSpec

#: Told the bytes that are there and those there will be (0: not known).
OnProgress = Callable[[int, int], None]
_READ_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How to download.

    Attributes:
        is_offline: use no network at all.
        timeout_s: a source that is silent for so long has failed.
        attempts: connections to one source; a later one goes on where the last was cut.
        pause_s: wait before the second attempt, doubled before each further one.
    """

    is_offline: bool = False
    timeout_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0


def pull_model(
    *,
    spec: ModelSpec,
    model_dir: Path,
    trust: Trust,
    options: PullOptions,
    on_progress: OnProgress,
) -> ImportRecord | None:
    """Bring the file of a model into the folder, unless the right one is there already.

    What was received stays in a hidden file beside the target when the download breaks off, and
    the next call goes on from there. Two calls at once do not disturb each other.

    Returns:
        The record of the import; None if nothing had to be done.

    Raises:
        ModelDownloadError: offline, nothing to download from, or every source failed.
        ModelMismatchError: what arrived does not fit the description.
        ModelNotPinnedError: no checksum is known and the operator vouches for none.
        OSError: the folder cannot be written.
    """
    if file_state(spec, model_dir=model_dir) == "ok":
        return None
    expected = expected_of(spec, model_dir=model_dir, trust=trust)
    _check_possible(spec, model_dir=model_dir, options=options)
    model_dir.mkdir(parents=True, exist_ok=True)
    with _alone(model_dir / f".{spec.file}.lock"):
        if file_state(spec, model_dir=model_dir) == "ok":
            return read_imports(model_dir).get(spec.key)
        failures = []
        for url in spec.sources:
            transfer = Transfer(url=url, part=model_dir / f".{spec.file}.part")

            def take(transfer: Transfer = transfer) -> ImportRecord:
                _receive(spec, transfer, expected, options, on_progress)
                record = adopt(
                    spec=spec,
                    path=transfer.part,
                    model_dir=model_dir,
                    expected=expected,
                    source=transfer.url,
                )
                transfer.discard()
                return record

            try:
                return _take_again_if_stale(take, transfer)
            except (SourceError, ModelMismatchError) as error:
                failures.append(f"{url}: {error}")
        raise ModelDownloadError(f"'{spec.key}' could not be downloaded; " + "; ".join(failures))


def _take_again_if_stale(take: Callable[[], ImportRecord], transfer: Transfer) -> ImportRecord:
    """Take a file; wrong bytes that began with those of an earlier download get a second try."""
    try:
        return take()
    except ModelMismatchError:
        was_resumed = transfer.was_resumed
        transfer.discard()
        if not was_resumed:
            raise
    try:
        return take()
    except ModelMismatchError:
        transfer.discard()
        raise


def _check_possible(spec: ModelSpec, *, model_dir: Path, options: PullOptions) -> None:
    if spec.origin is not None:
        raise ModelDownloadError(f"'{spec.key}' is built in; run 'manage.py models build'")
    by_hand = (
        f"copy {spec.file} to this machine and run 'manage.py models import {spec.key} FILE' "
        f"(it goes to {model_dir})"
    )
    if not spec.sources:
        raise ModelDownloadError(f"'{spec.key}' has no download address; {by_hand}")
    if options.is_offline:
        raise ModelDownloadError(f"MODELS_OFFLINE forbids the network; {by_hand}")


def _receive(
    spec: ModelSpec,
    transfer: Transfer,
    expected: Expected,
    options: PullOptions,
    on_progress: OnProgress,
) -> None:
    """Fill the part file from one source.

    Raises:
        SourceError: the source does not have the file, or failed in every attempt.
    """
    # Bytes of another mirror are only continued where a checksum decides at the end.
    transfer.prepare(may_mix_sources=bool(expected.sha256))
    fetcher = Fetcher(timeout_s=options.timeout_s, size_bytes=spec.size_bytes)
    pause_s = options.pause_s
    for attempt in range(1, options.attempts + 1):
        try:
            fetcher.fetch(transfer, on_progress=on_progress)
            break
        except SourceError as error:
            if error.is_final or attempt == options.attempts:
                raise
        time.sleep(pause_s)
        pause_s *= 2
    if spec.has_crc32 and not expected.sha256:
        listed = fetcher.listed_crc32(transfer.url)
        if listed is not None and listed != _crc32_of(transfer.part):
            transfer.discard()
            raise SourceError("the file is damaged: its CRC32 is not the listed one", is_final=True)


def _crc32_of(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_READ_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return value


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process or thread downloads the same file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
