"""Opening pages as an administrator: queries, milliseconds, and scans of large tables."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import services as accounts_services
from accounts.models import User
from accounts.types import Role
from benchmarks.reporting import say
from inference.models import SwapJob
from tokens.models import Hold, Transfer

MS: Final = 1000
ROUNDS: Final = 5
LARGE_ROWS: Final = 10_000
READS: Final = ("SELECT", "WITH")


@dataclass(slots=True)
class Page:
    """One address and what opening it took; ``scans`` names large tables that were read through."""

    name: str
    url: str
    queries: int = 0
    status: int = 0
    times_s: list[float] = field(default_factory=list)
    scans: set[str] = field(default_factory=set)

    @property
    def median_ms(self) -> float:
        """Milliseconds: the median of the rounds."""
        return statistics.median(self.times_s) * MS


def measure(*, rounds: int = ROUNDS) -> list[Page]:
    """Open every page so often, and once more to look at its queries."""
    client = Client()
    client.force_login(_administrator())
    large = _large_tables()
    pages = list(_pages())
    for page in pages:
        say(page.name)
        with CaptureQueriesContext(connection) as queries:
            page.status = client.get(page.url).status_code
        page.queries = len(queries)
        for query in queries.captured_queries:
            page.scans |= _scans(query["sql"], large)
        for _ in range(rounds):
            started = time.perf_counter()
            client.get(page.url)
            page.times_s.append(time.perf_counter() - started)
    return pages


def _pages() -> Iterator[Page]:
    yield Page("overview", reverse("admin:index"))
    for model in sorted(admin.site._registry, key=lambda it: it._meta.label):  # noqa: SLF001
        label = f"{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001  documented
        yield Page(f"list of {label}", reverse(f"admin:{label}_changelist"))
    user = User.objects.filter(username__startswith="bench-").latest("pk")
    transfer, hold = Transfer.objects.latest("pk"), Hold.objects.latest("placed_at")
    job = SwapJob.objects.latest("created_at")
    for label, row in (
        ("accounts_user", user),
        ("tokens_transfer", transfer),
        ("tokens_hold", hold),
        ("inference_swapjob", job),
    ):
        yield Page(f"one {label}", reverse(f"admin:{label}_change", args=[row.pk]))
    for label, text in (
        ("accounts_user", user.user_ref),
        ("tokens_wallet", user.user_ref),
        ("tokens_transfer", str(transfer.pk)),
        ("tokens_hold", hold.reference),
        ("inference_swapjob", str(job.pk)),
    ):
        yield Page(f"search {label}", reverse(f"admin:{label}_changelist") + f"?q={text}")
    yield from _filtered()
    yield from _finance(user)


def _filtered() -> Iterator[Page]:
    for label, query in (
        ("tokens_hold", "status__exact=PENDING"),
        ("tokens_transfer", "kind__exact=SETTLE"),
        ("inference_swapjob", "status__exact=FAILED"),
        ("accounts_user", "plan__exact=vip"),
    ):
        yield Page(f"filter {label}", reverse(f"admin:{label}_changelist") + f"?{query}")


def _finance(user: User) -> Iterator[Page]:
    for name in ("reconciliation", "consumption", "liability", "months"):
        yield Page(f"finance {name}", reverse(f"admin:finance_{name}"))
    consumption = reverse("admin:finance_consumption")
    year = "first=2025-12-01&last=2026-11-24"
    yield Page("finance consumption, a year", f"{consumption}?{year}")
    yield Page("finance consumption, one account", f"{consumption}?{year}&user={user.user_ref}")
    year_of_days = reverse("admin:finance_reconciliation")
    yield Page("finance reconciliation, a year", f"{year_of_days}?{year}")


def _administrator() -> User:
    found = User.objects.filter(username="ada").first()
    return found or accounts_services.register_user(username="ada", password=None, role=Role.ADMIN)


def _large_tables() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s", [LARGE_ROWS]
        )
        return {name for (name,) in cursor.fetchall()}


def _scans(statement: str, large: set[str]) -> set[str]:
    """Large tables that the planner would read through for a query."""
    if not statement.lstrip().upper().startswith(READS):
        return set()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.replace('%', '%%')}", {})
            (plan,) = cursor.fetchone()
    except DatabaseError as error:
        say(f"  cannot be explained: {error}")
        return set()
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    return {name for name in _scanned(parsed[0]["Plan"]) if name in large}


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for child in node.get("Plans", []):
        yield from _scanned(child)
