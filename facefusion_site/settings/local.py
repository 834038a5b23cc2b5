"""Secrets of a developer's machine: made once per clone, so no two installations share one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def secret(folder: Path, *, name: str) -> str:
    """Return the named secret of this clone; the first call makes it, readable by its owner alone.

    Several processes may call this at once: they all get the same value.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        fresh = folder / f"{name}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(48))
        # A link never replaces a file: the first of several writers wins.
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text(encoding="utf-8")
