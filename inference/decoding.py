"""Has untrusted media read by children of another process, which is kept warm.

A child that crashes, hangs or takes too much ends alone. See ``inference.decode_server``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)
# The child's own clock ends it; this is for one that has been taken over.
_GRACE_S: Final = 2.0
_START_WAIT_S: Final = 60.0
_BLOCK_BYTES: Final = 64 * 1024
_TRIES: Final = 2


class ChildDiedError(Exception):
    """The child crashed, or was ended by its limits: the file is to blame."""


class DecoderUnavailableError(Exception):
    """No child could be started: the machine is to blame."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What ends a child.

    Attributes:
        memory_bytes: of address space.
        cpu_s: of processor time.
        wall_s: of time.
        out_bytes: that it may write.
    """

    memory_bytes: int
    cpu_s: int
    wall_s: int
    out_bytes: int = 0


class Decoder:
    """Starts the server on first use, and again when it has died. Threads may share it."""

    def __init__(self, *, environment: dict[str, str] | None = None) -> None:
        """Make a decoder that starts nothing yet.

        Args:
            environment: more variables for the server; tests make children misbehave with it.
        """
        self._environment = environment or {}
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def ask(
        self,
        work: str,
        *,
        order: dict[str, Any],
        limits: ChildLimits,
        file: IO[bytes] | None = None,
        out: IO[bytes] | None = None,
    ) -> dict[str, Any]:
        """Let a child do one piece of work; blocks until it has ended.

        Args:
            work: its name in the server.
            order: its parameters, as JSON.
            limits: what ends the child.
            file: an open file that it reads from its start, if it takes one.
            out: an empty file for what it makes, if it makes any.

        Raises:
            ChildDiedError: it crashed, or reached a limit.
            DecoderUnavailableError: none could be started.
        """
        message = json.dumps({"work": work, "limits": asdict(limits), **order}).encode()
        for _try in range(_TRIES):
            answer = self._try(message, file=file, out=out, limits=limits)
            if answer is not None:
                return answer
        raise DecoderUnavailableError("no process reads media")

    def warm_up(self) -> None:
        """Start the server, so that the first file need not wait for it."""
        with self._lock:
            if self._control is None:
                self._control = self._start()

    def close(self) -> None:
        """End the server; the next order starts another."""
        with self._lock:
            control, self._control = self._control, None
        if control is not None:
            control.close()

    def _try(
        self,
        message: bytes,
        *,
        file: IO[bytes] | None,
        out: IO[bytes] | None,
        limits: ChildLimits,
    ) -> dict[str, Any] | None:
        """The answer; None when the server did not start a child."""
        ours, theirs = socket.socketpair()
        with ours, open(os.devnull, "rb+") as nothing:  # noqa: PTH123 - Path.open() has no plain twin
            descriptors = [
                theirs.fileno(),
                *(f.fileno() for f in (file or nothing, out or nothing)),
            ]
            with theirs:
                if not self._send(descriptors):
                    return None
            ours.settimeout(_START_WAIT_S)
            pid, said = 0, b""
            try:
                ours.sendall(message)
                ours.shutdown(socket.SHUT_WR)
                while block := ours.recv(_BLOCK_BYTES):
                    said += block
                    if not pid and b"\n" in said:
                        pid = int(said.partition(b"\n")[0])
                        ours.settimeout(limits.wall_s + _GRACE_S)
            except TimeoutError as error:
                if pid:
                    self._end(pid)
                    raise ChildDiedError("it does not end by itself") from error
                log.warning("inference.decoding.server_does_not_answer")
            except OSError:
                # The other end closed before it had read all: seen as the end of the channel below.
                log.warning("inference.decoding.channel_broke", pid=pid)
        if not pid:
            self.close()
            return None
        answer = said.partition(b"\n")[2]
        if not answer:
            log.warning("inference.decoding.child_died", pid=pid)
            raise ChildDiedError("it crashed or reached a limit")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def _send(self, descriptors: list[int]) -> bool:
        self.warm_up()
        control = self._control
        if control is None:
            return False
        try:
            # One byte carries them: orders of several threads, or of forked processes, never mix.
            socket.send_fds(control, [b"\0"], descriptors)
        except OSError:
            self.close()
            return False
        return True

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            # Nobody waits for it: it ends when the last copy of our end is closed.
            subprocess.Popen(
                [sys.executable, "-m", "inference.decode_server"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=settings.BASE_DIR,
                # No secrets; and one thread, because each reserves address space.
                env={
                    "PATH": os.defpath,
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **self._environment,
                },
            )
        return ours

    def _end(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


decoder = Decoder()


def spooled() -> IO[bytes]:
    """An empty file without a name, for bytes on their way to a child or from one."""
    return tempfile.TemporaryFile()
