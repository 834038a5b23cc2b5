"""Threads that do things at the same moment, each with a connection of its own."""

from __future__ import annotations

import threading
from typing import Any

from django.db import connection


def in_parallel(count: int, work) -> list[Any]:
    """Run ``work(i)`` in threads that start together; returns results or exceptions."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(index: int) -> None:
        try:
            barrier.wait(timeout=30)
            results[index] = work(index)
        except Exception as error:  # noqa: BLE001 - a thread's failure is its result
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results
