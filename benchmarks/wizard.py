"""Measure the recharge wizard: how long each step of a file of many rows takes.

``python -m benchmarks.wizard --rows 50000`` starts throw-away servers that keep their data through
a power cut, registers the accounts, and goes from the file to the result as a maker does: upload,
check, preview, rows, submit, apply. Pages are asked for in this process, without a network.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Final

import django

from benchmarks.ledger import server as servers
from benchmarks.reporting import Report, Target, print_table, say

SETTINGS: Final = "facefusion_site.settings.test"
TARGETS: Final = (
    Target("slowest_page_ms", 1_000, is_more_better=False),
    Target("submit_s", 10, is_more_better=False),
)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    rows_count: int = parser.parse_args().rows
    report = Report("wizard", TARGETS)
    with servers.throwaway() as server:
        os.environ.update(server.environ, DJANGO_SETTINGS_MODULE=SETTINGS)
        django.setup()
        # Imported late: models need the settings.
        steps = importlib.import_module("benchmarks.wizard_steps")
        say(f"{rows_count:,} rows")
        measured = steps.measure(rows_count=rows_count)
    for name, seconds in measured.items():
        is_page = name.endswith("_page")
        report.add(f"{name}_ms" if is_page else f"{name}_s", seconds * (1_000 if is_page else 1))
    pages = [seconds for name, seconds in measured.items() if name.endswith("_page")]
    report.add("slowest_page_ms", max(pages) * 1_000)
    table = [[name.replace("_", " "), f"{seconds:.3f}"] for name, seconds in measured.items()]
    print_table(f"A recharge of {rows_count:,} rows in the console", ["step", "s"], table)
    report.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
