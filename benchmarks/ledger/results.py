"""What a run has measured: figures by name, and tables of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

BENCH: Final = "ledger"
# Name, the value it must reach, whether more is better; only those that a run measures are judged.
TARGETS: Final = (
    ("bulk_atomic_100k_vs_loop", 5.0, True),
    ("bulk_soft_fail_100k_vs_loop", 5.0, True),
    ("bulk_atomic_100k_vs_sql", 0.6, True),
    ("hold_settle_vs_pgbench", 0.5, True),
    ("hold_p99_ms_during_soft_fail", 60.0, False),
    ("hold_max_ms_during_atomic", 3_000.0, False),
)


@dataclass(slots=True)
class Results:
    """Collects figures while the tables are printed."""

    figures: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float) -> float:
        """Keep a figure, with four significant digits."""
        self.figures[name] = float(f"{value:.4g}")
        return self.figures[name]

    def print_targets(self) -> None:
        """Say of every target that was measured whether it was reached."""
        rows = []
        for name, bound, is_more_better in TARGETS:
            if name in self.figures:
                value = self.figures[name]
                is_met = value >= bound if is_more_better else value <= bound
                relation = "at least" if is_more_better else "at most"
                rows.append([name, value, f"{relation} {bound:g}", "yes" if is_met else "NO"])
        print_table(title="Targets", head=["figure", "measured", "target", "met"], rows=rows)

    def print_json(self) -> None:
        """The last line of the output."""
        sys.stdout.write(json.dumps({"bench": BENCH, "figures": self.figures}) + "\n")


def label(count: int) -> str:
    """A number of lines as it appears in names: 100, 1k, 10k, 100k, 1m."""
    for unit, letter in ((1_000_000, "m"), (1_000, "k")):
        if count >= unit:
            return f"{count // unit}{letter}"
    return str(count)


def print_table(*, title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    cells = [[_cell(value) for value in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.write(f"\n{title}\n\n" + "\n".join(lines) + "\n")


def say(text: str) -> None:
    """Tell what goes on, beside the results."""
    sys.stderr.write(f"{text}\n")


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
