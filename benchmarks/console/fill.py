"""A large database: accounts with tokens, three holds for each, and jobs over 400 days.

One customer, one upload, one quote and one job are made by the services; the rest are copies of
their rows by statements that write a hundred thousand holds at a time, so that a column added to a
table is filled as well. Wallets and lots follow from the journal, so the books balance.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Model

from accounts.models import User
from benchmarks.api import people as customers
from benchmarks.ledger import people, ways
from benchmarks.reporting import say
from inference import job_reports
from inference.models import SwapJob, SwapQuote
from tokens.ledger import rollups, seal
from tokens.types import RechargeItem

DAYS: Final = 400
PER_STATEMENT: Final = 100_000
# Opening tokens came before everything else.
AGE_SQL: Final = """
ALTER TABLE tokens_transfer DISABLE TRIGGER USER;
UPDATE tokens_transfer SET recorded_at = now() - interval '401 days',
                           effective_at = now() - interval '401 days';
ALTER TABLE tokens_transfer ENABLE TRIGGER USER
"""
# Every third hold is that of a job; its quote and job have the id of the hold.
FILL_SQL: Final = """
WITH holds AS (
    INSERT INTO tokens_hold (id, wallet_id, reference, operation, amount, settled, status,
                             expires_at, placed_at, resolved_at)
    SELECT gen_random_uuid(), %(wallet)s + (n::bigint * 7919) %% %(wallets)s,
           'swap_job:bench-' || n,
           CASE WHEN n %% 5 = 0 THEN 'video_swap' ELSE 'image_swap' END, 10, 7, 'SETTLED',
           at + interval '6 hours', at, at + interval '20 seconds'
      FROM (
           SELECT n, now() - interval '400 days' + n * (interval '400 days' / %(total)s) AS at
             FROM generate_series(%(first)s::integer, %(last)s::integer) n
      ) numbers
    RETURNING *, split_part(reference, '-', 2)::integer AS n
), transfers AS (
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id,
                                 recorded_at, effective_at)
    SELECT leg.kind, h.wallet_id, l.id, leg.debit, leg.credit, leg.amount, h.id, leg.at, leg.at
      FROM holds h
      JOIN tokens_creditlot l ON l.wallet_id = h.wallet_id AND l.is_live
     CROSS JOIN LATERAL (VALUES
           ('HOLD', 'WALLET', 'HELD', h.amount, h.placed_at),
           ('SETTLE', 'HELD', 'CONSUMED', h.settled, h.resolved_at),
           ('RELEASE', 'HELD', 'WALLET', h.amount - h.settled, h.resolved_at)
           ) AS leg(kind, debit, credit, amount, at)
     ORDER BY leg.at
), quotes AS (
    INSERT INTO inference_swapquote ({quote_columns})
    SELECT {quote_values}
      FROM holds h JOIN tokens_wallet w ON w.id = h.wallet_id
     CROSS JOIN (SELECT * FROM inference_swapquote WHERE id = %(quote)s) pattern
     WHERE h.n %% 3 = 0
)
INSERT INTO inference_swapjob ({job_columns})
SELECT {job_values}
  FROM holds h JOIN tokens_wallet w ON w.id = h.wallet_id
 CROSS JOIN (SELECT * FROM inference_swapjob WHERE id = %(job)s) pattern
 WHERE h.n %% 3 = 0
"""
QUOTE_VALUES: Final = {
    "id": "h.id",
    "owner_id": "w.owner_id",
    "operation": "upper(h.operation)",
    "created_at": "h.placed_at",
    "expires_at": "h.placed_at + interval '15 minutes'",
}
# One job in twenty failed.
FAILED: Final = "h.n %% 60 = 0"
JOB_VALUES: Final = {
    "id": "h.id",
    "owner_id": "w.owner_id",
    "idempotency_key": "h.reference",
    "quote_id": "h.id",
    "hold_id": "h.id",
    "created_at": "h.placed_at",
    "queued_at": "h.placed_at",
    "sent_at": "h.placed_at",
    "started_at": "h.placed_at + interval '2 seconds'",
    "finished_at": "h.resolved_at",
    "status": f"CASE WHEN {FAILED} THEN 'FAILED' ELSE pattern.status END",
    "error_code": f"CASE WHEN {FAILED} THEN 'no_face_found' ELSE '' END",
    "result_key": f"CASE WHEN {FAILED} THEN '' ELSE pattern.result_key END",
    "result_sha256": f"CASE WHEN {FAILED} THEN '' ELSE pattern.result_sha256 END",
}
SPEND_SQL: Final = """
WITH spent AS (
    SELECT wallet_id, sum(settled) AS tokens FROM tokens_hold
     WHERE reference LIKE 'swap_job:bench-%%' GROUP BY wallet_id
), wallets AS (
    UPDATE tokens_wallet w SET available = w.available - spent.tokens
      FROM spent WHERE w.id = spent.wallet_id
)
UPDATE tokens_creditlot l SET available = l.available - spent.tokens
  FROM spent WHERE l.wallet_id = spent.wallet_id
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many accounts and holds; a hold makes three transfers, every account has one more."""

    accounts: int
    holds: int


FULL: Final = Size(accounts=1_000_000, holds=3_000_000)
QUICK: Final = Size(accounts=20_000, holds=60_000)


def fill(*, size: Size) -> None:
    """Write everything, seal it, and add it up for the reports."""
    say("One customer by the services")
    pattern = customers.customers(count=1, quotes_count=1)[0]
    (job_id,) = customers.submit(pattern, count=1)
    customers.finish(job_id, owner_id=pattern.user_id)
    say(f"{size.accounts:,} accounts with tokens")
    people.add_accounts(first=1, last=size.accounts)
    _open_wallets(size)
    say(f"{size.holds:,} holds with their transfers, every third with its job")
    _spend(size, job_id=job_id)
    say("Vacuum and statistics")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    say("Seals")
    seal.seal_all(progress=lambda count: say(f"  {count.transfers:,} transfers sealed"))
    say("Reports")
    rollups.fold_all()
    job_reports.count_days()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _open_wallets(size: Size) -> None:
    actor_id = User.objects.get(username="operator").pk
    refs = people.references(limit=size.accounts)
    for start in range(0, len(refs), PER_STATEMENT):
        items = [
            RechargeItem(ref, people.OPENING_TOKENS) for ref in refs[start : start + PER_STATEMENT]
        ]
        ways.recharge(mode=ways.ATOMIC, items=items, actor_id=actor_id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(AGE_SQL)


def _spend(size: Size, *, job_id: uuid.UUID) -> None:
    quote_id = SwapJob.objects.values_list("quote_id", flat=True).get(pk=job_id)
    quote_columns, quote_values = _copied(SwapQuote, QUOTE_VALUES)
    job_columns, job_values = _copied(SwapJob, JOB_VALUES)
    statement = FILL_SQL.format(
        quote_columns=quote_columns,
        quote_values=quote_values,
        job_columns=job_columns,
        job_values=job_values,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(w.id), count(*) FROM tokens_wallet w JOIN accounts_user u"
            " ON u.id = w.owner_id WHERE u.username LIKE %s",
            [f"{people.PREFIX}%"],
        )
        wallet, wallets = cursor.fetchone()
    fixed = {
        "wallet": wallet,
        "wallets": wallets,
        "total": size.holds,
        "quote": quote_id,
        "job": job_id,
    }
    for first, last in _ranges(size.holds):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, {**fixed, "first": first, "last": last})
        say(f"  {last:,} holds")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SPEND_SQL, {})


def _ranges(count: int) -> Iterator[tuple[int, int]]:
    for first in range(1, count + 1, PER_STATEMENT):
        yield first, min(first + PER_STATEMENT - 1, count)


def _copied(model: type[Model], values: Mapping[str, str]) -> tuple[str, str]:
    """Columns of a table, and what a copy has in them: its own value, or that of the pattern."""
    columns = [
        str(field.column)
        for field in model._meta.concrete_fields  # noqa: SLF001  Django documents it
        if not field.generated
    ]
    expressions: list[Any] = [values.get(column, f'pattern."{column}"') for column in columns]
    return ", ".join(f'"{column}"' for column in columns), ", ".join(expressions)
