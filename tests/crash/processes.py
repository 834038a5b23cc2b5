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
    """A real process that does ``work``; it tells each step that it reaches when asked to."""

    def __init__(
        self, work: Work, *, place: Place, kill_before: int | None = None, tells_steps: bool = False
    ) -> None:
        self._ended = Ended()
        self._ear, mouth = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=_run, args=(mouth, work, place, kill_before, tells_steps), daemon=True
        )
        self._process.start()
        # The other end is the child's alone, so that its death is the end of what we hear.
        mouth.close()

    def reach(self, step: int) -> bool:
        """Wait until the process is about to do a step; False when it ended before."""
        return any(number == step for number in self._hear())

    def end(self) -> Ended:
        """Hear everything and wait for the end.

        Raises:
            AssertionError: the work failed for another reason than a lost database.
        """
        for _step in self._hear():
            pass
        self._ear.close()
        self._process.join(END_WAIT_S)
        self._ended.exit_code = self._process.exitcode
        assert self._ended.exit_code is not None, "the process does not end"
        self._process.close()
        assert not self._ended.failure, self._ended.failure
        return self._ended

    def _hear(self) -> Iterator[int]:
        """Take what the process says, up to the end; its steps come out here."""
        while True:
            try:
                kind, content = self._ear.recv()
            except EOFError:
                return
            match kind:
                case "step":
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
    mouth: Connection,
    work: Work,
    place: Place,
    kill_before: int | None,
    tells_steps: bool,  # noqa: FBT001  # positional for the fork server
) -> None:
    connection.settings_dict.update(place.database)

    def before(step: int) -> None:
        if step == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        if tells_steps:
            mouth.send(("step", step))

    with override_settings(**place.settings), counted(before) as steps:
        try:
            mouth.send(("done", work(say=partial(_say, mouth))))
        except Error as error:
            kind = "failed" if connection.is_usable() else "lost"
            mouth.send((kind, "".join(traceback.format_exception(error))))
        except BaseException as error:  # noqa: BLE001  # goes to whoever started the process
            mouth.send(("failed", "".join(traceback.format_exception(error))))
        mouth.send(("steps", tuple(steps.names)))
    connection.close()


def _say(mouth: Connection, content: object) -> None:
    mouth.send(("said", content))
