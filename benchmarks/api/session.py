"""A run from the first account to the last line."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.core.management import call_command
from django.db import connection

from benchmarks.api import people, web
from benchmarks.api.clients import Clients, Load, Work
from benchmarks.api.people import Customer
from benchmarks.reporting import Report, print_table, say

CLIENTS: Final = 8
CUSTOMERS: Final = 48
JOBS_READ: Final = 2
MS: Final = 1000
WARM_UP_S: Final = 0.5
# The product's own answers; production stands behind a proxy that ends TLS.
HEAD: Final = (
    "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"
    "X-Forwarded-For: 192.0.2.7\r\n{more}\r\n{body}"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run takes: rounds of so many seconds for each kind of request."""

    rounds: int
    round_s: float
    quotes_count: int


FULL: Final = Plan(rounds=7, round_s=3.0, quotes_count=160)
QUICK: Final = Plan(rounds=3, round_s=1.0, quotes_count=30)


@dataclass(slots=True)
class Case:
    """One kind of request and what was measured of it.

    Attributes:
        requests: of each client.
        is_once: no request may be sent twice; what was sent is taken away.
    """

    name: str
    port: int
    requests: list[list[bytes]]
    expected: int
    is_once: bool = False
    rates: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)

    def measure(self, clients: Clients, *, seconds: float) -> None:
        """Let all clients send for so long, and keep what they met."""
        loads = clients.run(
            [
                Work(self.port, list(requests), self.expected, seconds, self.is_once)
                for requests in self.requests
            ]
        )
        if self.is_once:
            for requests, load in zip(self.requests, loads, strict=True):
                del requests[: len(load.latencies_s)]
        self.rates.append(sum(map(_rate, loads)))
        for load in loads:
            self.latencies_s += load.latencies_s

    @property
    def rate(self) -> float:
        """Requests a second: the median of the rounds."""
        return statistics.median(self.rates)

    def percentile_ms(self, percent: int) -> float:
        """Milliseconds within which so many percent of all requests were answered."""
        return statistics.quantiles(self.latencies_s, n=100)[percent - 1] * MS


def run(*, folder: Path, is_quick: bool) -> None:
    """Prepare the database, measure, and print.

    Args:
        folder: for the logs of the web servers.
        is_quick: fewer and shorter rounds.
    """
    started = time.monotonic()
    plan = QUICK if is_quick else FULL
    call_command("migrate", interactive=False, verbosity=0)
    say("Registering accounts and drafting quotes.")
    customers = people.customers(count=CUSTOMERS, quotes_count=plan.quotes_count)
    job_ids = {it.user_id: people.submit(it, count=JOBS_READ) for it in customers}
    for customer in customers:
        # One that waits and one that has ended; the pace of these is what estimates are made of.
        people.finish(job_ids[customer.user_id][0], owner_id=customer.user_id)
    connection.close()
    with (
        web.serving(web.PRODUCT, log=folder / "web.log") as port,
        web.serving(web.BARE, log=folder / "bare.log") as bare_port,
        Clients(count=CLIENTS) as clients,
    ):
        cases = [
            Case("bare_view", bare_port, [[_request("GET", "/")]] * CLIENTS, 200),
            Case("health", port, [[_request("GET", "/healthz")]] * CLIENTS, 200),
            Case("balance", port, _shared(customers, _balance), 200),
            Case(
                "get_job",
                port,
                _shared(customers, lambda it: _jobs(it, job_ids[it.user_id])),
                200,
            ),
            Case("create_job", port, _shared(customers, _creates), 202, is_once=True),
        ]
        for case in cases:
            # The first requests of a process load its code and open its connections.
            case.measure(clients, seconds=WARM_UP_S)
            case.rates.clear()
            case.latencies_s.clear()
        for number in range(plan.rounds):
            say(f"Round {number + 1} of {plan.rounds}.")
            for case in cases:
                case.measure(clients, seconds=plan.round_s)
    _print(cases)
    say(f"The run took {time.monotonic() - started:.0f} s.")


def _print(cases: Sequence[Case]) -> None:
    report = Report(bench="api")
    bare = cases[0]
    rows = []
    for case in cases:
        rate = report.add(f"{case.name}_rps", case.rate)
        p50, p99 = (
            report.add(f"{case.name}_p{percent}_ms", case.percentile_ms(percent))
            for percent in (50, 99)
        )
        share = rate / bare.rate
        if case is not bare:
            report.add(f"{case.name}_vs_bare_view", share)
        rows.append([case.name, rate, p50, p99, share, len(case.latencies_s)])
    print_table(
        f"{CLIENTS} clients, {os.cpu_count()} cores, Python {platform.python_version()}",
        ["request", "a second", "p50 ms", "p99 ms", "share of bare view", "requests"],
        rows,
    )
    report.finish()


def _rate(load: Load) -> float:
    return len(load.latencies_s) / load.elapsed_s


def _request(method: str, path: str, *, more: str = "", body: str = "") -> bytes:
    return HEAD.format(method=method, path=path, more=more, body=body).encode()


def _signed(method: str, path: str, customer: Customer, *, more: str = "", body: str = "") -> bytes:
    more = f"Authorization: Bearer {customer.key}\r\n{more}"
    return _request(method, f"/api/v1{path}", more=more, body=body)


def _shared(
    customers: Sequence[Customer], requests_of: Callable[[Customer], list[bytes]]
) -> list[list[bytes]]:
    """For each client the requests of its own customers, in turn."""
    of_clients = [customers[number::CLIENTS] for number in range(CLIENTS)]
    return [
        [request for turn in zip(*map(requests_of, own), strict=True) for request in turn]
        for own in of_clients
    ]


def _balance(customer: Customer) -> list[bytes]:
    return [_signed("GET", "/balance", customer)]


def _jobs(customer: Customer, job_ids: Sequence[uuid.UUID]) -> list[bytes]:
    return [_signed("GET", f"/jobs/{job_id}", customer) for job_id in job_ids]


def _creates(customer: Customer) -> list[bytes]:
    """One request for each quote that is left."""
    requests = []
    for quote_id in customer.quote_ids[JOBS_READ:]:
        body = json.dumps({"quote_id": str(quote_id)})
        more = (
            f"Idempotency-Key: {uuid.uuid4()}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        requests.append(_signed("POST", "/jobs", customer, more=more, body=body))
    return requests
