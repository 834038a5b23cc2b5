"""Accounts to measure with."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import connection

from accounts import services as accounts_services
from accounts.models import User
from accounts.types import Role
from benchmarks.ledger import ways
from tokens.types import RechargeItem

# Every account starts with one lot; holds and settles draw on it.
OPENING_TOKENS: Final = 1_000_000
PREFIX: Final = "bench-"
# A copy of one registered user per number, so that a column added to the table is filled as well.
COPY_USERS_SQL = """
INSERT INTO accounts_user (username, user_ref, {columns})
SELECT %(prefix)s || n, 'usr_' || substr(encode(sha256(n::text::bytea), 'hex'), 1, 22), {columns}
  FROM accounts_user, generate_series(%(first)s::integer, %(last)s::integer) n
 WHERE id = %(pattern)s
"""


def register_operator() -> int:
    """The principal of every recharge of the run; its primary key."""
    operator = accounts_services.register_user(
        username="operator", password=uuid.uuid4().hex, role=Role.OPERATOR
    )
    return operator.pk


def add_accounts(*, first: int, last: int) -> None:
    """Register the accounts with these numbers; their references are in no order."""
    pattern = User.objects.filter(username="pattern").first() or accounts_services.register_user(
        username="pattern", password=uuid.uuid4().hex
    )
    own = {"id", "username", "user_ref"}
    columns = ", ".join(
        f'"{field.column}"'
        for field in User._meta.concrete_fields  # noqa: SLF001  Django documents it
        if field.column not in own
    )
    with connection.cursor() as cursor:
        cursor.execute(
            COPY_USERS_SQL.format(columns=columns),
            {"prefix": PREFIX, "first": first, "last": last, "pattern": pattern.pk},
        )
        cursor.execute("VACUUM ANALYZE accounts_user")


def references(*, limit: int) -> list[str]:
    """References of the first ``limit`` accounts in their own order, which no wallet follows."""
    rows = User.objects.filter(username__startswith=PREFIX).order_by("user_ref")
    return list(rows.values_list("user_ref", flat=True)[:limit])


def owner_ids(*, limit: int) -> list[int]:
    """Primary keys of the first ``limit`` accounts, which were registered in one statement."""
    rows = User.objects.filter(username__startswith=PREFIX).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:limit])


def open_wallets(*, actor_id: int, limit: int) -> None:
    """Give every account its opening tokens, in one recharge through the service."""
    ways.recharge(
        mode=ways.ATOMIC,
        items=[RechargeItem(ref, OPENING_TOKENS) for ref in references(limit=limit)],
        actor_id=actor_id,
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
