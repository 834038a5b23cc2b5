"""Progress of a command, on the error stream, so that the output stays clean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

WIDTH = 30


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

    def step(self, text: str, count: int = 1) -> None:
        """Say what is being done; ``count`` steps are behind it."""
        self.done += count
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[2K{self._bar()}{text}")

    def finish(self) -> None:
        """Leave an empty line behind."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[2K")

    def _bar(self) -> str:
        if not self.total:
            return f"{self.done} "
        filled = min(WIDTH, WIDTH * self.done // self.total)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self.done}/{self.total} "
