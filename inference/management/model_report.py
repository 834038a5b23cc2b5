"""What ``manage.py models`` prints: states, tables and timings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from inference.inventory import ModelRow
from inference.pipeline.sessions.loading import noise_feed
from inference.pipeline.sessions.pool import SessionPool

HEADINGS: Final = ("MODEL", "TASK", "LICENCE", "ALLOWED", "SIZE", "STATE")
_BENCH_HEADINGS: Final = ("MODEL", "MEDIAN", "P95", "LOAD", "PROVIDERS")
_PERCENTILE: Final = 95


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast one model runs on noise of its own size."""

    key: str
    runs: int
    median_ms: float
    p95_ms: float
    load_s: float
    providers: tuple[str, ...]
    nodes: dict[str, int]

    def cells(self) -> tuple[str, ...]:
        """The timing as text."""
        where = ", ".join(
            f"{name} ({self.nodes[name]} nodes)" if name in self.nodes else name
            for name in self.providers
        )
        times = (f"{self.median_ms:.2f} ms", f"{self.p95_ms:.2f} ms", f"{self.load_s:.2f} s")
        return (self.key, *times, where)


def time_model(key: str, *, pool: SessionPool, runs: int) -> Timing:
    """Open a model and run it ``runs`` times.

    Raises:
        PipelineError: it cannot be opened.
    """
    started_at = time.perf_counter()
    model = pool.get(key)
    load_s = time.perf_counter() - started_at
    feed = noise_feed(model)
    times_ms = []
    for _ in range(runs):
        started_at = time.perf_counter()
        model.run(feed)
        times_ms.append((time.perf_counter() - started_at) * 1000)
    times_ms.sort()
    # The nearest rank: with few runs the slowest one, never a value that was not measured.
    rank = -(-len(times_ms) * _PERCENTILE // 100)
    return Timing(
        key=model.spec.key,
        runs=runs,
        median_ms=statistics.median(times_ms),
        p95_ms=times_ms[rank - 1],
        load_s=load_s,
        providers=model.providers,
        nodes=dict(model.node_counts),
    )


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of equal length as aligned lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def models_table(rows: Sequence[ModelRow]) -> list[str]:
    """The list of models."""
    return table([HEADINGS, *(row.cells() for row in rows)])


def timings_table(timings: Sequence[Timing]) -> list[str]:
    """The result of a benchmark."""
    return table([_BENCH_HEADINGS, *(timing.cells() for timing in timings)])


def as_json(rows: Sequence[ModelRow] | Sequence[Timing]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [asdict(row) for row in rows]
