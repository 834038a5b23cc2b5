"""Peak memory of the process that recharges from a file, by number of lines."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.ledger import people, ways
from benchmarks.ledger.children import children
from benchmarks.ledger.server import Server
from benchmarks.ledger.targets import label
from benchmarks.reporting import Report, print_table, say


def measure(*, server: Server, report: Report, actor_id: int, sizes: Sequence[int]) -> None:
    """Recharge from files of these sizes, each in a child process of its own."""
    rows: list[list[object]] = []
    for size in sizes:
        say(f"memory: {size:,} lines")
        path = server.folder / f"{size}.csv"
        with path.open("w") as file:
            file.write("user_ref,amount\n")
            file.writelines(f"{ref},{ways.AMOUNT}\n" for ref in people.references(limit=size))
        with children(count=1, environ=os.environ) as (child,):
            peak = child.call(
                "benchmarks.ledger.clients:recharge_file", path=str(path), actor_id=actor_id
            )
        rows.append([f"{size:,}", report.add(f"peak_mb_{label(size)}", peak)])
    print_table("Peak memory of the client: a CSV file, soft-fail", ["lines", "MiB"], rows)
