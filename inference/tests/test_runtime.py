"""The engine of a worker process: opened once, closed at the end."""

from __future__ import annotations

import threading
import time

import pytest

from inference import runtime, tasks


class FakeEngine:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def opened(monkeypatch) -> list[FakeEngine]:
    engines: list[FakeEngine] = []

    def open_slowly() -> FakeEngine:
        time.sleep(0.05)
        engines.append(FakeEngine())
        return engines[-1]

    monkeypatch.setattr(runtime, "_open_engine", open_slowly)
    return engines


def test_many_threads_open_one_engine(opened):
    holder = runtime.EngineHolder()
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(holder.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(opened) == 1
    assert got == [opened[0]] * 8


def test_failed_opening_is_tried_again(monkeypatch, opened):
    holder = runtime.EngineHolder()
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "_open_engine", lambda: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            holder.get()

    assert holder.get() is opened[0]


def test_end_of_the_worker_closes_the_engine(monkeypatch, opened):
    monkeypatch.setattr(runtime, "holder", runtime.EngineHolder())
    engine = runtime.holder.get()

    tasks.close_engine()
    tasks.close_engine()

    assert opened[0].is_closed
    assert runtime.holder.get() is not engine
