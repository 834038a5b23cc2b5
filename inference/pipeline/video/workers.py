"""Runs a function over a stream of items on several threads; results keep their order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import Final, Generic, TypeVar

InT = TypeVar("InT")
OutT = TypeVar("OutT")

_POLL_S: Final = 0.1


def ordered_map(
    items: Generator[InT, None, None],
    *,
    make_worker: Callable[[], Callable[[InT], OutT]],
    workers_count: int,
    poll: Callable[[], None],
) -> Generator[OutT, None, None]:
    """Yield the results of all items in the items' order.

    Items are pulled by a thread of their own and processed by ``workers_count`` others. At most
    ``2 * workers_count + 1`` items are between source and consumer, whoever is slowest. The first
    error of any thread ends all of them and is raised here; so does leaving the iterator early.

    Args:
        items: closed in its own thread at the end.
        make_worker: called once in each worker thread.
        workers_count: threads that process items.
        poll: called in the consumer's thread at least every 0.1 s while it waits; may raise.
    """
    run: _Run[InT, OutT] = _Run(items, make_worker, workers_count)
    run.start()
    try:
        while True:
            poll()
            if run.wait():
                if run.is_finished:
                    return
                yield run.take()
    finally:
        run.stop()


class _Run(Generic[InT, OutT]):
    def __init__(
        self,
        items: Generator[InT, None, None],
        make_worker: Callable[[], Callable[[InT], OutT]],
        workers_count: int,
    ) -> None:
        self._items = items
        self._make_worker = make_worker
        self._tasks: queue.SimpleQueue[tuple[int, InT] | None] = queue.SimpleQueue()
        self._permits = threading.Semaphore(2 * workers_count)
        self._changed = threading.Condition()
        self._results: dict[int, OutT] = {}
        self._next = 0
        self._items_count: int | None = None
        self._error: BaseException | None = None
        self._is_stopped = False
        self._threads = [threading.Thread(target=self._pull, name="video-decode", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"video-worker-{number}", daemon=True)
            for number in range(workers_count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads; each finishes the item it is at."""
        self._is_stopped = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def wait(self) -> bool:
        """Wait a moment; True if the next result is there or all are taken. Raises errors."""
        with self._changed:
            if not self._is_ready():
                self._changed.wait(_POLL_S)
            if self._error is not None:
                raise self._error
            return self._is_ready()

    @property
    def is_finished(self) -> bool:
        return self._items_count is not None and self._next >= self._items_count

    def take(self) -> OutT:
        with self._changed:
            result = self._results.pop(self._next)
            self._next += 1
        self._permits.release()
        return result

    def _is_ready(self) -> bool:
        return self._error is not None or self._next in self._results or self.is_finished

    def _pull(self) -> None:
        try:
            count = 0
            for item in self._items:
                while not self._permits.acquire(timeout=_POLL_S):
                    if self._is_stopped:
                        return
                if self._is_stopped:
                    return
                self._tasks.put((count, item))
                count += 1
            with self._changed:
                self._items_count = count
                self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self._fail(error)
        finally:
            self._items.close()

    def _work(self) -> None:
        try:
            process = self._make_worker()
            while (task := self._tasks.get()) is not None and not self._is_stopped:
                result = process(task[1])
                with self._changed:
                    self._results[task[0]] = result
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._is_stopped = True
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()
