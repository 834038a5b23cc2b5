"""Processes that do one piece of work on a database and may die on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from django.db import Error, connection
from django.test import override_settings

from tests.crash.steps import counted

# Forked from a process that has loaded the product and holds no connection.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", "tests.crash.preload"])
END_WAIT_S = 60

Say = Callable[[object], None]
Work = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process works: a database, and settings of the product that differ there."""

    database: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Ended:
    """How a process ended, and what it said until then."""

    said: list[Any] = field(default_factory=list)
    value: Any = None
    steps: tuple[str, ...] = ()
    is_done: bool = False
    lost_database: str = ""
    failure: str = ""
    exit_code: int | None = None

    @property
    def is_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.exit_code == -signal.SIGKILL


class Process:
    """A real process that does ``work``; it dies, or waits for ``go_on``, before a step."""

    def __init__(
        self,
        work: Work,
        *,
        place: Place,
        kill_before: int | None = None,
        wait_before: int | None = None,
    ) -> None:
        self._ended = Ended()
        self._line, line = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_run, args=(line, work, place, kill_before, wait_before), daemon=True
        )
        self._process.start()
        # The other end is the child's alone, so that its death is the end of what we hear.
        line.close()

    def is_waiting(self) -> bool:
        """Come back when the process waits before its step; False when it ended instead."""
        return any(True for _step in self._hear())

    def go_on(self) -> None:
        """Let the process that waits do its step, and all that follow."""
        self._line.send("go on")

    def end(self) -> Ended:
        """Hear everything and wait for the end.

        Raises:
            AssertionError: the work failed for another reason than a lost database.
        """
        for _step in self._hear():
            pass
        self._line.close()
        self._process.join(END_WAIT_S)
        self._ended.exit_code = self._process.exitcode
        assert self._ended.exit_code is not None, "the process does not end"
        self._process.close()
        assert not self._ended.failure, self._ended.failure
        return self._ended

    def _hear(self) -> Iterator[int]:
        """Take what the process says, up to the end; the step that it waits before comes out."""
        while True:
            try:
                kind, content = self._line.recv()
            except (EOFError, ConnectionResetError):
                return
            match kind:
                case "waits":
                    yield content
                case "said":
                    self._ended.said.append(content)
                case "steps":
                    self._ended.steps = content
                case "done":
                    self._ended.is_done, self._ended.value = True, content
                case "lost":
                    self._ended.lost_database = content
                case _:
                    self._ended.failure = content


def run(work: Work, *, place: Place, kill_before: int | None = None) -> Ended:
    """Do ``work`` in a process of its own, up to its end or to the step before which it dies."""
    return Process(work, place=place, kill_before=kill_before).end()


def _run(
    line: Connection,
    work: Work,
    place: Place,
    kill_before: int | None,
    wait_before: int | None,
) -> None:
    connection.settings_dict.update(place.database)

    def before(step: int) -> None:
        if step == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == wait_before:
            line.send(("waits", step))
            line.recv()

    with override_settings(**place.settings), counted(before) as steps:
        try:
            line.send(("done", work(say=partial(_say, line))))
        except Error as error:
            kind = "failed" if connection.is_usable() else "lost"
            line.send((kind, "".join(traceback.format_exception(error))))
        except BaseException as error:  # noqa: BLE001  # goes to whoever started the process
            line.send(("failed", "".join(traceback.format_exception(error))))
        line.send(("steps", tuple(steps.names)))
    connection.close()


def _say(line: Connection, content: object) -> None:
    line.send(("said", content))
