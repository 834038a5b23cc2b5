"""A run from the empty database to the last line."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from typing import Final

from django.core.management import call_command
from django.db import connection
from django.test.utils import setup_test_environment

from benchmarks.console import fill, pages
from benchmarks.console.pages import Page
from benchmarks.reporting import Report, Target, print_table, say

TARGETS: Final = (
    Target("scans_of_large_tables", 0, is_more_better=False),
    Target("slowest_page_ms", 1_000, is_more_better=False),
    Target("most_queries", 60, is_more_better=False),
)
TABLES: Final = ("accounts_user", "tokens_transfer", "tokens_hold", "inference_swapjob")


def run(*, steps: Sequence[str], is_quick: bool) -> None:
    """Fill the database, or measure the pages over it, or both; and print.

    Args:
        steps: ``fill`` and ``measure``, or one of them.
        is_quick: fewer rows.
    """
    started = time.monotonic()
    call_command("migrate", interactive=False, verbosity=0)
    if "fill" in steps:
        fill.fill(size=fill.QUICK if is_quick else fill.FULL)
        say(f"Filled in {time.monotonic() - started:.0f} s.")
    if "measure" in steps:
        setup_test_environment()
        _print(pages.measure(), report=Report(bench="console", targets=TARGETS))


def _print(measured: Sequence[Page], *, report: Report) -> None:
    rows = [
        [page.name, page.queries, page.median_ms, ", ".join(sorted(page.scans)), page.status]
        for page in measured
    ]
    print_table(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {_sizes()}",
        ["page", "queries", "ms", "sequential scans of large tables", "status"],
        rows,
    )
    for page in measured:
        report.add(f"{_name(page)}_ms", page.median_ms)
        report.add(f"{_name(page)}_queries", page.queries)
    report.add("pages", len(measured))
    report.add("scans_of_large_tables", sum(len(page.scans) for page in measured))
    report.add("slowest_page_ms", max(page.median_ms for page in measured))
    report.add("most_queries", max(page.queries for page in measured))
    report.finish()


def _sizes() -> str:
    with connection.cursor() as cursor:
        counts = []
        for table in TABLES:
            cursor.execute(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table]
            )
            counts.append(f"{cursor.fetchone()[0]:,} {table}")
    return ", ".join(counts)


def _name(page: Page) -> str:
    return re.sub(r"[^a-z0-9]+", "_", page.name.lower()).strip("_")
