"""Holds and settlements: how many, and how late during a bulk recharge."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypedDict

from benchmarks.ledger import people, pgbench
from benchmarks.ledger.children import SPAWN, Child, children
from benchmarks.ledger.clients import Held
from benchmarks.ledger.server import Server, copy_of_base
from benchmarks.reporting import Report, print_table, say

ACCOUNTS: Final = 1_000
CLIENTS: Final = (1, 8, 32)
# The figure with a target is taken at so many clients.
CLIENTS_COMPARED: Final = 8
STEADY_CLIENTS: Final = 8
CHARGES_PER_S: Final = 100
MODULE: Final = "benchmarks.ledger.clients"


class Span(TypedDict):
    """What every measurement by pgbench is given."""

    server: Server
    clients: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stalls:
    """How late holds were placed while something else ran, in milliseconds."""

    count: int
    p50: float
    p99: float
    worst: float


def measure_rates(*, server: Server, report: Report, seconds: float, rounds: int) -> None:
    """Charges per second on one account and on a thousand, beside ``pgbench`` in turn."""
    pgbench.prepare(server=server)
    with (
        copy_of_base(server=server, name="rates") as database,
        children(count=max(CLIENTS), environ=os.environ) as clients,
    ):
        owner_ids = people.owner_ids(limit=ACCOUNTS)
        for client in clients:
            client.call(f"{MODULE}:use_database", name=database)
        rates: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
        for count in CLIENTS:
            say(f"charging: {count} clients")
            for _ in range(rounds):
                span: Span = {"server": server, "clients": count, "seconds": seconds}
                taken = {
                    "hot": _rate(clients[:count], owner_ids=owner_ids[:1], seconds=seconds),
                    "spread": _rate(clients[:count], owner_ids=owner_ids, seconds=seconds),
                    "joined": _rate(
                        clients[:count], owner_ids=owner_ids, seconds=seconds, is_joined=True
                    ),
                    "tpcb": pgbench.tpcb_rate(**span),
                    "calls": pgbench.charge_rate(database=database, owner_ids=owner_ids, **span),
                }
                for name, rate in taken.items():
                    rates[count, name].append(rate)
    _report_rates(report=report, rates={key: median(taken) for key, taken in rates.items()})


def _report_rates(*, report: Report, rates: Mapping[tuple[int, str], float]) -> None:
    rows: list[list[object]] = []
    for count in CLIENTS:
        tpcb = rates[count, "tpcb"]
        ratio = rates[count, "spread"] / tpcb
        joined_ratio = rates[count, "joined"] / tpcb
        if count == CLIENTS_COMPARED:
            report.add("hold_settle_vs_pgbench", ratio)
        rows.append(
            [
                count,
                report.add(f"hold_settle_hot_{count}_per_s", rates[count, "hot"]),
                report.add(f"hold_settle_{ACCOUNTS}_{count}_per_s", rates[count, "spread"]),
                report.add(f"hold_settle_joined_{count}_per_s", rates[count, "joined"]),
                report.add(f"hold_settle_calls_{count}_per_s", rates[count, "calls"]),
                report.add(f"pgbench_{count}_per_s", tpcb),
                report.add(f"hold_settle_{count}_vs_pgbench", ratio),
                report.add(f"hold_settle_joined_{count}_vs_pgbench", joined_ratio),
                report.add(f"hold_settle_calls_{count}_vs_pgbench", rates[count, "calls"] / tpcb),
            ]
        )
    print_table(
        "Holds with their settlements per second (medians; 1,000 accounts but for the first)",
        [
            "clients",
            "services, one account",
            "services",
            "services, joined",
            "the same calls from pgbench",
            "pgbench TPC-B",
            "services : TPC-B",
            "joined : TPC-B",
            "calls : TPC-B",
        ],
        rows,
    )


def measure_stalls(
    *, server: Server, report: Report, actor_id: int, size: int, rounds: int
) -> None:
    """How late holds on the accounts of a batch are while it is applied."""
    refs, owner_ids = people.references(limit=size), people.owner_ids(limit=size)
    rows: list[list[object]] = []
    for mode in (None, "soft_fail", "atomic"):
        say(f"stalls: {mode or 'no batch'}")
        taken = [
            _stalls(server=server, mode=mode, refs=refs, owner_ids=owner_ids, actor_id=actor_id)
            for _ in range(rounds)
        ]
        name = f"during_{mode}" if mode else "alone"
        rows.append(
            [
                f"{size:,} lines, {mode}" if mode else "no batch",
                sum(stalls.count for stalls in taken),
                report.add(f"hold_p50_ms_{name}", median(stalls.p50 for stalls in taken)),
                report.add(f"hold_p99_ms_{name}", median(stalls.p99 for stalls in taken)),
                report.add(f"hold_max_ms_{name}", max(stalls.worst for stalls in taken)),
            ]
        )
    print_table(
        f"A hold among {CHARGES_PER_S} charges per second (p50, p99: medians of runs)",
        ["beside", "holds", "p50 ms", "p99 ms", "worst ms"],
        rows,
    )


def _rate(
    clients: Sequence[Child],
    *,
    owner_ids: Sequence[int],
    seconds: float,
    is_joined: bool = False,
) -> float:
    for client in clients:
        client.send(
            f"{MODULE}:charge", owner_ids=list(owner_ids), seconds=seconds, is_joined=is_joined
        )
    counts: list[int] = [client.receive() for client in clients]
    return sum(counts) / seconds


def _stalls(
    *,
    server: Server,
    mode: str | None,
    refs: Sequence[str],
    owner_ids: Sequence[int],
    actor_id: int,
) -> Stalls:
    stop = SPAWN.Event()
    with (
        copy_of_base(server=server, name="stalls") as database,
        children(count=1, environ=os.environ) as workers,
        children(count=STEADY_CLIENTS, environ=os.environ, stop=stop) as clients,
    ):
        for child in [*workers, *clients]:
            child.call(f"{MODULE}:use_database", name=database)
        for client in clients:
            client.send(
                f"{MODULE}:charge_steadily",
                owner_ids=list(owner_ids),
                every_s=STEADY_CLIENTS / CHARGES_PER_S,
            )
        # Every client has its connection and its plans before the batch begins.
        time.sleep(1.0)
        if mode is None:
            start = time.monotonic()
            time.sleep(3.0)
            end = time.monotonic()
        else:
            start, end = workers[0].call(
                f"{MODULE}:recharge", mode=mode, refs=list(refs), actor_id=actor_id
            )
        stop.set()
        held: list[Held] = [one for client in clients for one in client.receive()]
    waits = [one.seconds * 1_000 for one in held if start <= one.due_at <= end]
    return Stalls(len(waits), *(_at(waits, share) for share in (0.5, 0.99, 1.0)))


def _at(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
