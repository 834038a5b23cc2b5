"""What the benchmark of grants does once Django is set up."""

from __future__ import annotations

import io
import json
import time
from typing import Any, Final

from django.core.management import call_command
from django.db import connection

from benchmarks.ledger import people
from benchmarks.ledger.clients import peak_mib
from tokens.models import PlanRule

# First days of three years, so that every day of the month occurs.
CHOOSE_SQL: Final = """
UPDATE accounts_user
   SET plan = %(plan)s, date_joined = '2023-01-01',
       plan_since = date '2023-01-01' + (id %% 1000)::int
 WHERE username LIKE 'bench-%%'
"""


def fill(*, accounts_count: int) -> None:
    """Register the accounts, and write the rule of subscriptions."""
    call_command("migrate", verbosity=0)
    people.add_accounts(first=1, last=accounts_count)
    PlanRule.objects.create(
        plan="enterprise",
        cadence="CYCLE",
        tokens=100,
        rollover="CAPPED",
        rollover_max=50,
        effective_from="2020-01-01",
        total_max=10**12,
        reason="benchmark",
        created_by_id=people.register_operator(),
    )


def choose(*, plan: str) -> None:
    """Give all accounts a plan."""
    with connection.cursor() as cursor:
        cursor.execute(CHOOSE_SQL, {"plan": plan})
        cursor.execute("VACUUM ANALYZE accounts_user")


def run_command(*, name: str) -> dict[str, Any]:
    """Run a command in this process, which applies its batch by itself.

    Returns:
        Seconds, the process's peak of memory in MiB, and how many accounts were granted.
    """
    output = io.StringIO()
    began = time.perf_counter()
    call_command(name, json=True, stdout=output)
    return {
        "seconds": time.perf_counter() - began,
        "peak_mib": round(peak_mib(), 1),
        "granted": json.loads(output.getvalue())["accounts"],
    }
