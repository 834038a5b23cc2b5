"""Recharges in preparation as values. Amounts are whole tokens."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from tokens.types import Category, Funding, RechargeMode

# A row that was granted the same amount so lately may be a second click.
SAME_AMOUNT_WINDOW = dt.timedelta(hours=24)
HABIT_WINDOW = dt.timedelta(days=90)
TOP_ROWS = 10


@dataclass(frozen=True, slots=True)
class DraftTerms:
    """What applies to all rows; ``amount`` is for rows without one of their own."""

    mode: RechargeMode
    amount: int | None
    category: Category
    expires_at: dt.datetime | None
    reason: str
    funding: Funding
    ticket: str = ""
    priority: int = 50


@dataclass(frozen=True, slots=True)
class SegmentFilter:
    """Conditions of a segment; empty ones do not count, and all others must hold."""

    role: str = ""
    plan: str = ""
    user_ref_prefix: str = ""
    joined_after: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class DraftRowView:
    """A row with its verdict: ``ok``, ``warn`` or ``error``.

    ``available`` is the balance at the check, None without a wallet; ``habit`` the largest recharge
    of 90 days, None without any.
    """

    row_no: int
    user_ref: str
    amount: int
    verdict: str
    code: str
    available: int | None
    habit: int | None

    @property
    def available_after(self) -> int:
        """The balance that the row would leave."""
        return (self.available or 0) + self.amount


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """Rows and tokens of one category that would be granted."""

    category: str
    rows: int
    tokens: int


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How many rows have one code."""

    code: str
    rows: int


@dataclass(frozen=True, slots=True)
class DraftFigures:
    """What a preview shows; all of it is of the moment of the check.

    ``balance_before`` adds up the wallets that would be credited; ``liability_before`` every
    wallet of a person.
    """

    categories: tuple[CategoryTotal, ...]
    codes: tuple[CodeCount, ...]
    top: tuple[DraftRowView, ...]
    outliers: tuple[DraftRowView, ...]
    balance_before: int
    liability_before: int


@dataclass(frozen=True, slots=True)
class SameFile:
    """An earlier draft of the same content, by anybody, and the batch it became."""

    sent_at: dt.datetime
    maker: str
    batch_id: uuid.UUID
