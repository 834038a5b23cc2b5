"""Progress of a command, on the error stream, so that the output stays clean."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, Protocol

WIDTH = 30
_MEGABYTE: Final = 1_000_000
_REDRAW_S: Final = 0.1


class Stream(Protocol):
    """What Django's output wrapper and any text file offer."""

    def write(self, text: str, /) -> object:
        """Write the text."""

    def isatty(self) -> bool:
        """True when somebody watches."""


@dataclass
class Progress:
    """A bar that is drawn over itself on a terminal, and silent elsewhere.

    ``total`` is the number of steps, or None where it is not known.
    """

    stream: Stream
    total: int | None = None
    done: int = field(default=0, init=False)
    _drawn_at: float = field(default=0.0, init=False)

    def step(self, text: str, count: int = 1) -> None:
        """Say what is being done; ``count`` steps are behind it."""
        self.done += count
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[2K{self._bar()}{text}")

    def reach(self, done_bytes: int, total_bytes: int, text: str) -> None:
        """Say how many bytes of how many are there (0: not known); drawn ten times a second."""
        now = time.monotonic()
        is_due = now - self._drawn_at >= _REDRAW_S or done_bytes == total_bytes
        if self.stream.isatty() and is_due:
            self._drawn_at = now
            self.done, self.total = done_bytes // _MEGABYTE, total_bytes // _MEGABYTE or None
            self.stream.write(f"\r\x1b[2K{self._bar()}MB {text}")

    def finish(self) -> None:
        """Leave an empty line behind."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[2K")

    def _bar(self) -> str:
        if not self.total:
            return f"{self.done} "
        filled = min(WIDTH, WIDTH * self.done // self.total)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self.done}/{self.total} "
