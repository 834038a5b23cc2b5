"""Child processes with a Django of their own: Python runs one thread at a time per process.

A child is spawned, not forked, so it shares neither connection nor memory with its parent.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any, Final

import django

SPAWN: Final = multiprocessing.get_context("spawn")
END_WAIT_S: Final = 10.0
# Set in a child; there is no other way into functions that are called by name.
_stop: Event | None = None


class Child:
    """One process that calls functions by name, one after the other."""

    def __init__(self, *, environ: Mapping[str, str], stop: Event | None = None) -> None:
        """Start it.

        Args:
            environ: set before its Django is; names the database.
            stop: what ``is_asked_to_stop`` tells the functions.
        """
        self._pipe, theirs = SPAWN.Pipe()
        self._process: BaseProcess = SPAWN.Process(
            target=_serve, args=(theirs, dict(environ), stop), daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, function: str, **arguments: Any) -> None:
        """Ask for a call, such as ``benchmarks.ledger.clients:charge``; does not wait."""
        self._pipe.send((function, arguments))

    def receive(self) -> Any:
        """Wait for what the function returns.

        Raises:
            RuntimeError: it raised; its trace is on standard error.
        """
        try:
            return self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("A client of the benchmark failed; see above.") from error

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function and return what it returns."""
        self.send(function, **arguments)
        return self.receive()

    def end(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(END_WAIT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def children(
    *, count: int, environ: Mapping[str, str], stop: Event | None = None
) -> Iterator[list[Child]]:
    """Start so many children, and end them."""
    started = [Child(environ=environ, stop=stop) for _ in range(count)]
    try:
        yield started
    finally:
        for child in started:
            child.end()


def is_asked_to_stop() -> bool:
    """Whether the parent has set the event that it gave this child."""
    return _stop is not None and _stop.is_set()


def _serve(pipe: Connection, environ: dict[str, str], stop: Event | None) -> None:
    global _stop  # noqa: PLW0603  # the process is the scope
    _stop = stop
    os.environ.update(environ)
    django.setup()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        module, _, name = function.partition(":")
        pipe.send(getattr(importlib.import_module(module), name)(**arguments))
