"""Values that cross the border of the tokens app. Amounts are whole tokens everywhere."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """Work that has a price."""

    IMAGE_SWAP = "image_swap"
    VIDEO_SWAP = "video_swap"


class RechargeMode(StrEnum):
    """What one bad line does to a bulk recharge."""

    ATOMIC = "atomic"
    SOFT_FAIL = "soft_fail"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Work to be priced: ``quantity`` is images for image_swap, milliseconds for video_swap."""

    operation: Operation
    quantity: int


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One priced line: ``units`` images or started seconds at ``unit_price`` tokens each."""

    operation: Operation
    quantity: int
    units: int
    unit_price: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Price:
    """The sum of its lines."""

    tokens: int
    lines: tuple[PriceLine, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet at one moment: free to spend, set aside for running work, and both together."""

    available: int
    held: int

    @property
    def total(self) -> int:
        """Tokens the user owns."""
        return self.available + self.held


@dataclass(frozen=True, slots=True)
class TransferView:
    """One journal row as its owner sees it; ``available_change`` is signed."""

    id: str
    kind: str
    tokens: int
    available_change: int
    recorded_at: dt.datetime
    reference: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A journal row with the balance right after it."""

    transfer: TransferView
    available_after: int
    held_after: int


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Newest lines first; ``next_cursor`` is None on the last page."""

    lines: tuple[StatementLine, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class HoldReceipt:
    """What became of a hold: ``held`` = ``settled`` + ``refunded`` once it is resolved."""

    hold_id: uuid.UUID
    status: str
    held: int
    settled: int
    refunded: int
    transfers: tuple[TransferView, ...]


@dataclass(frozen=True, slots=True)
class RechargeItem:
    """A requested credit: ``user_ref`` is the external id, ``amount`` may still be out of range."""

    user_ref: str
    amount: int


@dataclass(frozen=True, slots=True)
class RechargeRequest:
    """One bulk recharge. ``operator`` is a label of the caller's; the principal is the actor."""

    items: tuple[RechargeItem, ...]
    mode: RechargeMode
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class RechargeLineView:
    """The outcome of one line; ``row_no`` counts from 1 in the order of the request."""

    row_no: int
    user_ref: str
    amount: int
    code: str


@dataclass(frozen=True, slots=True)
class RechargeReceipt:
    """What a bulk recharge did; ``tokens_total`` counts applied lines only."""

    batch_id: uuid.UUID
    mode: str
    status: str
    operator: str
    reason: str
    lines_count: int
    applied_count: int
    tokens_total: int
    created_at: dt.datetime
    failures: tuple[RechargeLineView, ...]
    is_replay: bool

    @property
    def failed_count(self) -> int:
        """Lines that moved nothing."""
        return self.lines_count - self.applied_count
