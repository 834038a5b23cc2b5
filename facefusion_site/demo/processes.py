"""The demo's child processes: started with a log each, watched, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STOP_PATIENCE_S: Final = 20.0
LOG_TAIL_LINES: Final = 25


class ProcessDiedError(Exception):
    """A child ended while it was still needed; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(slots=True)
class Supervisor:
    """Starts children of this Python and ends them all, the last one first.

    Attributes:
        folder: working directory of every child.
        log_dir: one ``<name>.log`` per child.
        environ: the children's environment.
    """

    folder: Path
    log_dir: Path
    environ: Mapping[str, str]
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in reversed(self.children):
            if child.process.poll() is None:
                os.killpg(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_PATIENCE_S
        for child in reversed(self.children):
            try:
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()

    def start(self, name: str, module: str, *arguments: str) -> Child:
        """Run ``python -m module`` in a process group of its own, so that it ends with its forks.

        A Ctrl-C in the terminal then reaches this process alone, which ends the others in order.
        """
        log = self.log_dir / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter, constant arguments
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name=name, process=process, log=log)
        self.children.append(child)
        return child

    def check(self) -> None:
        """Make sure that everybody is still alive.

        Raises:
            ProcessDiedError: a child has ended.
        """
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                lines = child.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
                tail = "\n".join(f"    {line}" for line in lines)
                raise ProcessDiedError(
                    f"{child.name} ended with status {status}. The end of {child.log}:\n{tail}"
                )
