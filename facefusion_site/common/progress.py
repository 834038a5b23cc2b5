"""Progress of a command, on the error stream, so that the output stays clean."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.core.management.base import OutputWrapper

WIDTH = 30
_MEGABYTE = 1_000_000
# Drawing for every row of a file would cost more than reading it.
REDRAW_S = 0.1


@dataclass
class Progress:
    """A bar that is drawn over itself on a terminal, and silent elsewhere.

    ``total`` is the number of steps, or None where it is not known.
    """

    stream: OutputWrapper
    total: int | None = None
    done: int = field(default=0, init=False)
    _drawn_at: float = field(default=float("-inf"), init=False)

    def step(self, text: str, count: int = 1) -> None:
        """Say what is being done; ``count`` steps are behind it."""
        self.done += count
        self._draw(f"{self._bar()}{text}")

    def move_to(self, text: str, done: int) -> None:
        """Like ``step``, for many small ones: ``done`` of them are behind it in all."""
        self.done = done
        now = time.monotonic()
        if now - self._drawn_at >= REDRAW_S or done == self.total:
            self._drawn_at = now
            self._draw(f"{self._bar()}{text}")

    def reach(self, done_bytes: int, total_bytes: int, text: str) -> None:
        """Say how many bytes of how many are there (0: not known)."""
        self.total = total_bytes // _MEGABYTE or None
        self.move_to(f"MB {text}", done_bytes // _MEGABYTE)

    def finish(self) -> None:
        """Leave an empty line behind."""
        self._draw("")

    def _draw(self, text: str) -> None:
        if not self.stream.isatty():
            return
        # Without Django's line end, or each step would be a line of its own, and without its red.
        self.stream.write(f"\r\x1b[2K{text}", style_func=_plain, ending="")
        self.stream.flush()

    def _bar(self) -> str:
        if not self.total:
            return f"{self.done:,} "
        filled = min(WIDTH, WIDTH * self.done // self.total)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self.done:,}/{self.total:,} "


def _plain(text: str) -> str:
    return text
