"""Grants that a rule makes, as values that cross the border of the tokens app. No database."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tokens.types import Category, RechargePreview, RechargeReceipt

USERS = "{users}"
SAME_FOR_ALL_SQL = f"""
SELECT u.id, u.user_ref, %(period)s::date AS period, %(amount)s::bigint AS amount,
       %(expires_at)s::timestamptz AS expires_at
  FROM ({USERS}) u
"""  # noqa: S608  # made of a constant of this module


@dataclass(frozen=True, slots=True)
class DueAccounts:
    """Whom a rule is for, and what each account gets.

    ``sql`` is a SELECT of ``id``, ``user_ref``, ``period`` (a date), ``amount`` (whole tokens, 1
    or more) and ``expires_at`` (or NULL), one row per account; ``parameters`` are its named ones.
    """

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def named(sql: str, values: Sequence[Any], *, prefix: str = "u") -> tuple[str, dict[str, Any]]:
    """A statement whose parameters have names instead of places.

    Args:
        sql: a statement with a ``%s`` for each value, as the ORM writes it.
        values: the values in the order of their places.
        prefix: what the names begin with.
    """
    numbers = count()
    parts = sql.split("%s")
    assert len(parts) == len(values) + 1, "one value for each place"
    text = parts[0] + "".join(f"%({prefix}{next(numbers)})s{part}" for part in parts[1:])
    return text, {f"{prefix}{number}": value for number, value in enumerate(values)}


def same_for_all(
    users: tuple[str, Sequence[Any]],
    *,
    period: dt.date,
    amount: int,
    expires_at: dt.datetime | None,
) -> DueAccounts:
    """Every account of a SELECT of ``user_ref`` and ``id`` gets the same for the same period."""
    users_sql, parameters = named(*users)
    return DueAccounts(
        SAME_FOR_ALL_SQL.replace(USERS, users_sql),
        {**parameters, "period": period, "amount": amount, "expires_at": expires_at},
    )


@dataclass(frozen=True, slots=True)
class GrantOrder:
    """One run of a rule that grants tokens.

    Attributes:
        rule: what claims are told apart by: an account has one of a rule and period, for ever.
        period: name of the day or period that the run is for; batches of a rule go by it.
        due: whom it is for, and what each account gets.
        reason: what the batch and the statements of the accounts say.
        operator: the command or endpoint that runs it.
        category: what kind of tokens they are.
        expires_at: when they end, where that is the same for all accounts.
        months_apart: an account's periods begin at least so many months after each other; 0 where
            periods are the same for all accounts.
        total_max: what all batches of the period may come to; None for no limit.
        limit: at most this many accounts in this run, never more than a batch may have.
        actor_id: who is on record; None for the platform itself.
        needs_approval: whether policies may hold the batch up; False where the rule itself is
            what approves it.
        lock: what runs queue at; by default the rule and period.
        before: called under the lock; may raise to refuse the run.
        spend: called with the tokens claimed; may raise to refuse the run.
    """

    rule: str
    period: str
    due: DueAccounts
    reason: str
    operator: str
    category: Category
    expires_at: dt.datetime | None = None
    months_apart: int = 0
    total_max: int | None = None
    limit: int | None = None
    actor_id: int | None = None
    needs_approval: bool = False
    lock: str = ""
    before: Callable[[], None] | None = None
    spend: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class GrantRun:
    """What a run did.

    ``receipt`` is that of the batch that the run created, None when every account had its tokens;
    ``unfinished`` names the batches of the period that a worker has still to apply, those of
    earlier runs included. ``remaining_count`` accounts were over the limit: another run is for
    them.
    """

    receipt: RechargeReceipt | None
    remaining_count: int
    unfinished: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class GrantRunPreview:
    """What a run would do at this moment; ``preview`` is None when nobody is due."""

    due_count: int
    due_tokens: int
    preview: RechargePreview | None


@dataclass(frozen=True, slots=True)
class DailyClaim:
    """Where an account stands with the tokens that it may claim once a day.

    Attributes:
        tokens: what one claim gives; 0 where the plan has no such tokens.
        time_zone: where the account's days begin.
        is_available: whether they can be claimed now.
        available_at: when they can be claimed next; None where never.
        expires_at: when what is claimed at ``available_at`` ends.
        claimed: tokens that this request has credited.
    """

    tokens: int
    time_zone: str
    is_available: bool = False
    available_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    claimed: int = 0
