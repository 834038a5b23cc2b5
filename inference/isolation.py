"""A process of a worker's own for work that may crash, kept warm. See ``inference.work_child``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)
_LOOK_INTERVAL_S: Final = 5.0
_END_WAIT_S: Final = 20.0
# What the system ends a process with whose own instructions went wrong.
_FAULTS: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS}
)


class ProcessCrashedError(Exception):
    """The process went wrong by itself: another try with the same media would end the same."""


class WorkFailedError(Exception):
    """The work raised an exception, which the process has logged."""


class ProcessLostError(Exception):
    """The process was ended from outside, did not start, or stood still."""


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    line: socket.socket
    life: int
    owner_pid: int
    said: bytes = b""


class IsolatedProcess:
    """Started at the first piece of work, and again after it has ended. One piece at a time."""

    def __init__(self, *, module: str = "inference.work_child", **environment: str) -> None:
        """Make one that starts nothing yet.

        Args:
            module: the program; tests have one that misbehaves.
            **environment: further variables of the process.
        """
        self._module = module
        self._environment = environment
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def do(self, work: str, *, is_stalled: Callable[[], bool], **ids: str | int) -> Any:
        """Have one piece of work done, and wait for it.

        Args:
            work: its name in the process.
            is_stalled: asked now and then; True ends the process.
            **ids: what it is about.

        Raises:
            ProcessCrashedError: the work broke the process.
            ProcessLostError: the process went away, or was ended because it stood still.
            WorkFailedError: the work raised an exception.
        """
        order = {"work": work, "ids": ids, "context": structlog.contextvars.get_contextvars()}
        with self._lock:
            running = self._start()
            try:
                running.line.sendall(json.dumps(order, default=str).encode() + b"\n")
                answer = self._wait(running, is_stalled=is_stalled)
            except OSError:
                answer = None
            if answer is None:
                self._running = None
                raise self._ended(running)
        parsed = json.loads(answer)
        if "error" in parsed:
            raise WorkFailedError(parsed["error"])
        return parsed["value"]

    def close(self) -> None:
        """End the process between two pieces of work; the next one starts another."""
        with self._lock:
            running, self._running = self._running, None
        if running is None or running.owner_pid != os.getpid():
            return
        running.line.close()
        try:
            running.process.wait(timeout=_END_WAIT_S)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
        os.close(running.life)

    def _start(self) -> _Running:
        running = self._running
        # Another owner: this process was forked from one that had it.
        if running is not None and running.owner_pid == os.getpid():
            if running.process.poll() is None:
                return running
            running.line.close()
            os.close(running.life)
        ours, theirs = socket.socketpair()
        life_end, life = os.pipe()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - a program of ours
                [sys.executable, "-m", self._module, str(theirs.fileno()), str(life_end)],
                cwd=settings.BASE_DIR,
                env={**os.environ, **self._environment},
                pass_fds=(theirs.fileno(), life_end),
                # Signals of a terminal or a service manager are for the worker, which ends it.
                start_new_session=True,
            )
        os.close(life_end)
        self._running = _Running(process=process, line=ours, life=life, owner_pid=os.getpid())
        return self._running

    def _wait(self, running: _Running, *, is_stalled: Callable[[], bool]) -> bytes | None:
        """The next line; None when the process is gone."""
        running.line.settimeout(_LOOK_INTERVAL_S)
        look_at = time.monotonic() + _LOOK_INTERVAL_S
        while b"\n" not in running.said:
            try:
                block = running.line.recv(65536)
            except TimeoutError:
                block = None
            if block == b"":
                return None
            running.said += block or b""
            if time.monotonic() >= look_at:
                if is_stalled():
                    log.error("inference.work.stalled", pid=running.process.pid)
                    running.process.kill()
                look_at = time.monotonic() + _LOOK_INTERVAL_S
        answer, _newline, running.said = running.said.partition(b"\n")
        return answer

    def _ended(self, running: _Running) -> Exception:
        running.line.close()
        os.close(running.life)
        code = running.process.wait()
        log.error("inference.work.process_ended", pid=running.process.pid, returncode=code)
        if code < 0 and -code in _FAULTS:
            return ProcessCrashedError(signal.Signals(-code).name)
        return ProcessLostError(f"the process ended with {code}")
