"""``pgbench``, the yardstick that everybody knows, on the same server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.ledger.server import Server, create_empty

DATABASE: Final = "pgbench"
# One branch per client that the target is about; below that, clients wait for each other's branch.
SCALE: Final = 8
THREADS: Final = 2


def prepare(*, server: Server) -> None:
    """Create and fill pgbench's tables.

    Raises:
        CalledProcessError: pgbench failed; its words are on standard error.
    """
    create_empty(server=server, name=DATABASE)
    _pgbench(server, "--initialize", "--quiet", f"--scale={SCALE}")


def rate(*, server: Server, clients: int, seconds: float) -> float:
    """Transactions per second of its TPC-B-like script.

    Raises:
        CalledProcessError: pgbench failed; its words are on standard error.
    """
    output = _pgbench(
        server,
        "--builtin=tpcb-like",
        "--no-vacuum",
        f"--client={clients}",
        f"--jobs={min(clients, THREADS)}",
        f"--time={max(1, round(seconds))}",
    )
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None, "pgbench ends with its rate"
    return float(found[1])


def _pgbench(server: Server, *options: str) -> str:
    command: list[str | Path] = [
        server.bin_dir / "pgbench",
        *options,
        server.url(database=DATABASE),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(  # noqa: S603  # the server's own program
        command, capture_output=True, text=True, check=True, env=environ
    )
    return str(done.stdout)
