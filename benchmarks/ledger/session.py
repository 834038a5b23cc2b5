"""A run from the first account to the last line."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Final

from django.core.management import call_command

from benchmarks.ledger import bulk, charging, costs, memory, people
from benchmarks.ledger.server import Server, describe
from benchmarks.ledger.targets import TARGETS
from benchmarks.reporting import Report, print_table, say

SIZES: Final = (100, 1_000, 10_000, 100_000)
QUICK_SIZES: Final = (100, 1_000, 10_000)
MEMORY_SIZES: Final = (10_000, 1_000_000)
QUICK_MEMORY_SIZES: Final = (10_000, 50_000)


def run(*, server: Server, is_quick: bool, is_about_costs: bool) -> None:
    """Prepare the database, measure what was asked for, and print it.

    Args:
        server: a server nobody else uses; it is left full of what was written.
        is_quick: fewer accounts and shorter streams.
        is_about_costs: measure the variants of the tables instead.
    """
    started = time.monotonic()
    report = Report(bench="ledger", targets=TARGETS)
    sizes = QUICK_SIZES if is_quick else SIZES
    accounts_count = max(sizes)
    say(f"preparing {accounts_count:,} accounts")
    call_command("migrate", interactive=False, verbosity=0)
    _print_machine()
    actor_id = people.register_operator()
    people.add_accounts(first=1, last=accounts_count)
    people.open_wallets(actor_id=actor_id, limit=accounts_count)
    if is_about_costs:
        costs.measure(
            server=server, report=report, actor_id=actor_id, size=accounts_count, rounds=3
        )
    else:
        rounds = 1 if is_quick else 3
        charging.measure_rates(
            server=server, report=report, seconds=2 if is_quick else 5, rounds=rounds
        )
        bulk.measure(server=server, report=report, actor_id=actor_id, sizes=sizes, rounds=rounds)
        charging.measure_stalls(
            server=server, report=report, actor_id=actor_id, size=accounts_count, rounds=rounds
        )
        memory_sizes = QUICK_MEMORY_SIZES if is_quick else MEMORY_SIZES
        people.add_accounts(first=accounts_count + 1, last=max(memory_sizes))
        memory.measure(server=server, report=report, actor_id=actor_id, sizes=memory_sizes)
    report.add("run_s", time.monotonic() - started)
    report.finish()


def _print_machine() -> None:
    rows: list[list[object]] = [
        ["processors", os.cpu_count()],
        ["processor", _processor()],
        ["system", platform.platform()],
        ["Python", platform.python_version()],
    ]
    rows += [[name, value] for name, value in describe().items()]
    print_table("Where", ["", ""], rows)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
