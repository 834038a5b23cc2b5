"""Counts what a process asks of the database, and lets something happen right before a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import connection

BeforeStep = Callable[[int], None]


class Steps:
    """The statements and commits of this process, in order.

    A commit is two steps, because it is no statement to Django: the first is right before it is
    sent, the second right after it was confirmed and before anybody hears of it.
    """

    def __init__(self, before: BeforeStep) -> None:
        self._before = before
        self.names: list[str] = []

    def _reach(self, name: str) -> None:
        self.names.append(name)
        self._before(len(self.names))

    def statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001  # Django's order of arguments
        """Django calls this instead of each statement."""
        self._reach(" ".join(str(sql).split())[:70])
        return execute(sql, params, many, context)

    def commit(self, execute: Callable[[], None]) -> None:
        """Stands for the connection's commit."""
        self._reach("before COMMIT")
        execute()
        self._reach("after COMMIT")


@contextmanager
def counted(before: BeforeStep) -> Iterator[Steps]:
    """Count the steps of this process's connection; ``before`` gets the number of the next one."""
    steps = Steps(before)
    # Atomic blocks end with this method; it has no hook of its own.
    commit = connection.commit
    connection.commit = partial(steps.commit, commit)  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(steps.statement):
            yield steps
    finally:
        del connection.commit
