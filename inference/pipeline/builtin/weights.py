"""Reads the learned weights out of installed distributions, without importing their code."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from inference.pipeline.errors import ModelMismatchError, ModelMissingError
from inference.pipeline.registry.spec import ModelOrigin


def read_weights(origin: ModelOrigin) -> bytes:
    """The bytes of one weight file, checked against its recorded version and SHA-256.

    Raises:
        ModelMissingError: the distribution or the file inside it is not installed.
        ModelMismatchError: other version or other bytes than recorded.
    """
    try:
        distribution = importlib.metadata.distribution(origin.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ModelMissingError(
            f"{origin.distribution}=={origin.version} is not installed; "
            "install requirements-models.txt with --no-deps"
        ) from None
    if distribution.version != origin.version:
        raise ModelMismatchError(
            f"{origin.distribution} is {distribution.version}, {origin.version} is needed"
        )
    path = Path(str(distribution.locate_file(origin.path)))
    if not path.is_file():
        raise ModelMissingError(f"{origin.distribution} has no file {origin.path}")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != origin.sha256:
        raise ModelMismatchError(f"{origin.path} has SHA-256 {found}, recorded is {origin.sha256}")
    return data
