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
    """A wallet at one moment.

    ``available`` may be spent now, ``held`` is set aside for running work, ``pending`` becomes
    effective later. Expired tokens count nowhere, swept or not.
    """

    available: int
    held: int
    pending: int = 0

    @property
    def total(self) -> int:
        """Tokens the user owns."""
        return self.available + self.held + self.pending


@dataclass(frozen=True, slots=True)
class LotView:
    """One grant of tokens and what is left of it; lots are listed in burn order."""

    id: str
    category: str
    granted: int
    available: int
    held: int
    priority: int
    effective_at: dt.datetime
    expires_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class TransferView:
    """One journal row as its owner sees it; ``available_change`` is signed."""

    id: str
    kind: str
    tokens: int
    available_change: int
    recorded_at: dt.datetime
    reference: str
    lot: str


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
    """What became of a hold.

    Once it is resolved, ``settled`` is what the user paid for good (an over-run included) and
    ``refunded`` is what came back, at the end of the work or later.
    """

    hold_id: uuid.UUID
    status: str
    held: int
    settled: int
    refunded: int
    transfers: tuple[TransferView, ...]


class Category(StrEnum):
    """Where recharged tokens come from."""

    PAID = "paid"
    PROMO = "promo"
    REWARD = "reward"
    PLAN = "plan"


class OverrunPolicy(StrEnum):
    """What happens when work costs more than was held."""

    REFUSE = "refuse"
    CHARGE = "charge"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class LotTerms:
    """How granted tokens behave: 0 burns first, 100 last; None means at once, or never."""

    category: Category = Category.PAID
    priority: int = 50
    effective_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class RechargeItem:
    """A requested credit: ``user_ref`` is the external id, ``amount`` may still be out of range.

    ``key`` is the client's own name for the line; ``terms`` replaces those of the request.
    """

    user_ref: str
    amount: int
    key: str = ""
    terms: LotTerms | None = None


@dataclass(frozen=True, slots=True)
class RechargeRequest:
    """One bulk recharge. ``operator`` is a label of the caller's; the principal is the actor."""

    items: tuple[RechargeItem, ...]
    mode: RechargeMode
    operator: str
    reason: str
    terms: LotTerms = LotTerms()


@dataclass(frozen=True, slots=True)
class RechargeLineView:
    """The outcome of one line; ``row_no`` counts from 1 in the order of the request."""

    row_no: int
    key: str
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
