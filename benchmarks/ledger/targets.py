"""What the ledger has to reach, and how sizes are named."""

from __future__ import annotations

from typing import Final

from benchmarks.reporting import Target

TARGETS: Final = (
    Target("bulk_atomic_100k_vs_loop", 5.0),
    Target("bulk_soft_fail_100k_vs_loop", 5.0),
    Target("bulk_atomic_100k_vs_sql", 0.6),
    Target("hold_settle_vs_pgbench", 0.5),
    Target("hold_p99_ms_during_soft_fail", 60.0, is_more_better=False),
    Target("hold_max_ms_during_atomic", 3_000.0, is_more_better=False),
)


def label(count: int) -> str:
    """A number of lines as it appears in names: 100, 1k, 10k, 100k, 1m."""
    for unit, letter in ((1_000_000, "m"), (1_000, "k")):
        if count >= unit:
            return f"{count // unit}{letter}"
    return str(count)
