from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import pytest

from inference.pipeline.video.workers import ordered_map


def _numbers(count: int, pulled: list[int] | None = None) -> Generator[int, None, None]:
    for number in range(count):
        if pulled is not None:
            pulled.append(number)
        yield number


def _map(
    items: Generator[int, None, None],
    function: Callable[[int], int],
    *,
    workers: int = 3,
    poll: Callable[[], None] = lambda: None,
) -> Generator[int, None, None]:
    return ordered_map(items, make_worker=lambda: function, workers_count=workers, poll=poll)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("video-")]


def test_results_come_in_order_although_workers_finish_out_of_order():
    def slow_if_even(number: int) -> int:
        time.sleep(0.01 if number % 2 == 0 else 0)
        return number * 10

    assert list(_map(_numbers(40), slow_if_even)) == [number * 10 for number in range(40)]
    assert _threads() == []


def test_workers_really_run_side_by_side():
    together = threading.Barrier(3, timeout=10)

    def meet(number: int) -> int:
        together.wait()
        return number

    assert list(_map(_numbers(6), meet)) == list(range(6))


def test_no_items_give_no_results():
    assert list(_map(_numbers(0), lambda number: number)) == []


def test_the_source_is_never_far_ahead_of_the_consumer():
    pulled: list[int] = []
    results = _map(_numbers(100, pulled), lambda number: number, workers=2)
    for taken in range(20):
        next(results)
        time.sleep(0.005)
        assert len(pulled) <= taken + 1 + 2 * 2 + 1
    results.close()
    assert _threads() == []


def test_an_error_of_a_worker_is_raised_and_ends_every_thread():
    def fail_at_seven(number: int) -> int:
        if number == 7:
            raise ZeroDivisionError("seven")
        return number

    with pytest.raises(ZeroDivisionError, match="seven"):
        list(_map(_numbers(10_000), fail_at_seven))
    assert _threads() == []


def test_an_error_of_the_source_is_raised_and_ends_every_thread():
    def broken() -> Generator[int, None, None]:
        yield from range(5)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(_map(broken(), lambda number: number))
    assert _threads() == []


def test_an_error_while_a_worker_starts_is_raised():
    def refuse() -> Callable[[int], int]:
        raise RuntimeError("no scratch memory")

    results = ordered_map(_numbers(5), make_worker=refuse, workers_count=2, poll=lambda: None)
    with pytest.raises(RuntimeError, match="no scratch memory"):
        list(results)
    assert _threads() == []


def test_poll_is_asked_while_waiting_and_may_end_the_run():
    release = threading.Event()
    asked: list[float] = []

    def poll() -> None:
        asked.append(time.monotonic())
        if len(asked) == 4:
            release.set()
            raise TimeoutError("deadline")

    def hang(number: int) -> int:
        release.wait(20)
        return number

    started_at = time.monotonic()
    with pytest.raises(TimeoutError, match="deadline"):
        list(_map(_numbers(5), hang, poll=poll))
    assert time.monotonic() - started_at < 5
    assert _threads() == []


def test_the_source_is_closed_when_the_consumer_leaves_early():
    closed = threading.Event()

    def source() -> Generator[int, None, None]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    results = _map(source(), lambda number: number)
    next(results)
    results.close()
    assert closed.is_set()
