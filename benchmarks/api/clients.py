"""Client processes: one connection each, one request after the other.

They speak HTTP by hand, because a library would take more time than the view it is to measure.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

SPAWN: Final = multiprocessing.get_context("spawn")
PATIENCE_S: Final = 30.0
END: Final = b"\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
BLOCK: Final = 65536


@dataclass(frozen=True, slots=True)
class Work:
    """What one client is to send to a port of this machine, and for how long.

    Attributes:
        requests: whole requests; each is sent once if ``is_once``, else again and again.
        expected: the status that every answer has to have.
    """

    port: int
    requests: Sequence[bytes]
    expected: int
    seconds: float
    is_once: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What one client met: seconds of each request, and seconds from the first to the last."""

    latencies_s: list[float]
    elapsed_s: float


class Clients:
    """So many processes that send what they are given, all at the same time."""

    def __init__(self, *, count: int) -> None:
        self._stack = ExitStack()
        self._pipes = [self._start() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, works: Sequence[Work]) -> list[Load]:
        """Let each client do its work, and wait for all.

        Raises:
            RuntimeError: a client met another answer than it had to; it says so on standard error.
        """
        for pipe, work in zip(self._pipes, works, strict=True):
            pipe.send(work)
        try:
            return [pipe.recv() for pipe in self._pipes]
        except EOFError as error:
            raise RuntimeError("A client of the benchmark failed; see above.") from error

    def _start(self) -> Connection:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._stack.callback(process.join, PATIENCE_S)
        self._stack.callback(ours.close)
        return ours


def _serve(pipe: Connection) -> None:
    while True:
        try:
            work: Work = pipe.recv()
        except EOFError:
            return
        pipe.send(_send_all(work))


def _send_all(work: Work) -> Load:
    latencies_s: list[float] = []
    peer: socket.socket | None = None
    started = time.perf_counter()
    end = started + work.seconds
    while time.perf_counter() < end:
        index = len(latencies_s)
        if work.is_once and index == len(work.requests):
            break
        before = time.perf_counter()
        if peer is None:
            peer = socket.create_connection(("127.0.0.1", work.port), timeout=PATIENCE_S)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(work.requests[index % len(work.requests)])
        if _is_closed_after(peer, work.expected):
            peer.close()
            peer = None
        latencies_s.append(time.perf_counter() - before)
    elapsed_s = time.perf_counter() - started
    if peer is not None:
        peer.close()
    return Load(latencies_s, elapsed_s)


def _is_closed_after(peer: socket.socket, expected: int) -> bool:
    """Read one answer; whether the server closes the connection after it.

    Raises:
        RuntimeError: the answer has another status.
    """
    data = b""
    while END not in data:
        block = peer.recv(BLOCK)
        if not block:
            raise RuntimeError("The server closed the connection.")
        data += block
    head, _end, body = data.partition(END)
    lines = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        while not body.endswith(LAST_CHUNK):
            body += peer.recv(BLOCK)
    else:
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += peer.recv(BLOCK)
    status = int(lines[0].split(b" ")[1])
    if status != expected:
        raise RuntimeError(f"{expected} was expected: {head.decode()}\n{body.decode()}")
    return b"connection: close" in lines
