"""Measure scheduled grants: time and memory of one run over very many accounts.

``python -m benchmarks.grants --accounts 1000000`` starts throw-away servers that keep their data
through a power cut, registers the accounts, runs ``grant_vip`` and ``grant_plan_cycle`` for all of
them, each as a process of its own, runs both again, and prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Final

import django

from benchmarks.ledger import server as servers
from benchmarks.ledger.children import children
from benchmarks.reporting import Report, print_table, say

SETTINGS: Final = "facefusion_site.settings.test"
RUNS: Final = (("vip", "grant_vip"), ("enterprise", "grant_plan_cycle"))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    accounts_count: int = parser.parse_args().accounts
    report = Report("grants")
    rows: list[list[object]] = []
    with servers.throwaway() as server:
        os.environ.update(server.environ, DJANGO_SETTINGS_MODULE=SETTINGS)
        os.environ["VIP_GRANT_TOTAL_MAX"] = str(10**12)
        django.setup()
        # Imported late: models need the settings.
        granting = importlib.import_module("benchmarks.granting")
        say(f"{accounts_count:,} accounts")
        granting.fill(accounts_count=accounts_count)
        for plan, command in RUNS:
            granting.choose(plan=plan)
            for run in ("first", "again"):
                say(f"{command}: {run}")
                with children(count=1, environ=os.environ) as (child,):
                    done = child.call("benchmarks.granting:run_command", name=command)
                seconds = report.add(f"{command}_{run}_s", done["seconds"])
                peak = report.add(f"{command}_{run}_mib", done["peak_mib"])
                rows.append([command, run, f"{done['granted']:,}", seconds, peak])
    print_table("Grants", ["command", "run", "accounts granted", "s", "MiB"], rows)
    report.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
