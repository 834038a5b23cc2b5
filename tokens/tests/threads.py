"""Real threads with a database connection each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection


def in_threads(*workers: Callable[[], object]) -> list[BaseException]:
    """Run all workers at the same moment; the exceptions they raised, in no order."""
    barrier = Barrier(len(workers))

    def run(worker: Callable[[], object]) -> None:
        try:
            barrier.wait()
            worker()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(workers)) as pool:
        futures = [pool.submit(run, worker) for worker in workers]
    return [error for future in futures if (error := future.exception()) is not None]
