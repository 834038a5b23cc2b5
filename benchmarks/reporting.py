"""Figures by name, tables in Markdown, and one line of JSON at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach; it is judged only where it was measured."""

    figure: str
    bound: float
    is_more_better: bool = True

    def is_met(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value >= self.bound if self.is_more_better else value <= self.bound


@dataclass(slots=True)
class Report:
    """What one run has measured.

    Attributes:
        bench: name of the benchmark, as the last line has it.
        targets: what its figures have to reach.
    """

    bench: str
    targets: Sequence[Target] = ()
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float) -> float:
        """Keep a figure, with four significant digits."""
        self.figures[name] = float(f"{value:.4g}")
        return self.figures[name]

    def finish(self) -> None:
        """Print which targets are met, and the line that programs read."""
        rows = [
            [
                target.figure,
                self.figures[target.figure],
                f"{'at least' if target.is_more_better else 'at most'} {target.bound:g}",
                "yes" if target.is_met(self.figures[target.figure]) else "NO",
            ]
            for target in self.targets
            if target.figure in self.figures
        ]
        if rows:
            print_table("Targets", ["figure", "measured", "target", "met"], rows)
        sys.stdout.write(json.dumps({"bench": self.bench, "figures": self.figures}) + "\n")


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    cells = [[_cell(value) for value in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.write(f"\n{title}\n\n" + "\n".join(lines) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell what goes on, beside the results."""
    sys.stderr.write(f"{text}\n")


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
