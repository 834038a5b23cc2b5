"""``pgbench``, the yardstick that everybody knows, on the same server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.ledger.server import Server, create_empty

DATABASE: Final = "pgbench"
# One branch per client that the target is about; below that, clients wait for each other's branch.
SCALE: Final = 8
THREADS: Final = 2
CHARGE: Final = Path(__file__).with_name("hold_settle.pgbench")


def prepare(*, server: Server) -> None:
    """Create and fill pgbench's tables.

    Raises:
        CalledProcessError: pgbench failed; its words are on standard error.
    """
    create_empty(server=server, name=DATABASE)
    _pgbench(server, DATABASE, ["--initialize", "--quiet", f"--scale={SCALE}"])


def tpcb_rate(*, server: Server, clients: int, seconds: float) -> float:
    """Transactions per second of its TPC-B-like script.

    Raises:
        CalledProcessError: pgbench failed; its words are on standard error.
    """
    return _rate(server, DATABASE, ["--builtin=tpcb-like"], clients=clients, seconds=seconds)


def charge_rate(
    *, server: Server, database: str, owner_ids: Sequence[int], clients: int, seconds: float
) -> float:
    """Charges per second when pgbench calls the functions that the services call.

    What is missing to the rate of the services is the price of their client, which runs on the
    same processors as the server.

    Args:
        server: the server.
        database: one with the product's tables.
        owner_ids: whom to charge; without gaps.
        clients: connections.
        seconds: how long.

    Raises:
        CalledProcessError: pgbench failed; its words are on standard error.
    """
    options = [
        f"--file={CHARGE}",
        f"--define=first={min(owner_ids)}",
        f"--define=last={max(owner_ids)}",
    ]
    return _rate(server, database, options, clients=clients, seconds=seconds)


def _rate(
    server: Server, database: str, options: Sequence[str], *, clients: int, seconds: float
) -> float:
    output = _pgbench(
        server,
        database,
        [
            *options,
            "--no-vacuum",
            f"--client={clients}",
            f"--jobs={min(clients, THREADS)}",
            f"--time={max(1, round(seconds))}",
        ],
    )
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None, "pgbench ends with its rate"
    return float(found[1])


def _pgbench(server: Server, database: str, options: Sequence[str]) -> str:
    command: list[str | Path] = [
        server.bin_dir / "pgbench",
        *options,
        server.url(database=database),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(  # noqa: S603  # the server's own program
        command, capture_output=True, text=True, check=True, env=environ
    )
    return str(done.stdout)
