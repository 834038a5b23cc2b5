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
    """One priced line: ``units`` images or started seconds at ``unit_price`` tokens each.

    ``tokens`` is that times the multiplier in basis points (10,000 is 1), rounded up.
    """

    operation: Operation
    quantity: int
    units: int
    unit_price: int
    multiplier_bp: int
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
class HoldOrder:
    """A hold to be placed among others: its id is chosen by whoever asks for it."""

    hold_id: uuid.UUID
    amount: int
    reference: str
    operation: Operation


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


class RechargeSource(StrEnum):
    """How the rows of a batch arrived."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    XLSX = "xlsx"
    FILTER = "filter"
    SCHEDULE = "schedule"
    LIST = "list"


class Funding(StrEnum):
    """Who pays for recharged tokens."""

    PAYMENT = "payment"
    CONTRACT = "contract"
    CAMPAIGN = "campaign"
    COMPENSATION = "compensation"
    INTERNAL = "internal"


class ReversalPolicy(StrEnum):
    """What a reversal does where tokens were already used."""

    REFUSE = "refuse"
    UNUSED_PART = "unused_part"


@dataclass(frozen=True, slots=True)
class RechargeOrder:
    """What applies to all rows of a recharge.

    ``fingerprint`` is the SHA-256 of the request as it was sent, in hex: a repeat of its key must
    bring the same.
    """

    mode: RechargeMode
    reason: str
    fingerprint: str
    operator: str = ""
    terms: LotTerms = LotTerms()
    source: RechargeSource = RechargeSource.JSON
    funding: Funding | None = None
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class ReversalOrder:
    """What to take back from a recharge; ``row_nos`` None means every applied row."""

    mode: RechargeMode
    policy: ReversalPolicy
    reason: str
    operator: str = ""
    row_nos: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which active users a recharge is for; every condition that is set must hold."""

    role: str | None = None
    user_ref_prefix: str | None = None
    user_refs: tuple[str, ...] | None = None
    joined_after: dt.datetime | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class RechargeLineView:
    """The outcome of one line; ``row_no`` counts from 1 in the order of the request."""

    row_no: int
    key: str
    user_ref: str
    amount: int
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class RechargePreview:
    """What a recharge would do at this moment; nothing was written.

    ``outcomes`` counts the lines by code; ``failures`` lists the first of those that would fail.
    """

    mode: str
    status: str
    lines_count: int
    applied_count: int
    tokens_total: int
    outcomes: dict[str, int]
    failures: tuple[RechargeLineView, ...]
    content_sha256: str

    @property
    def failed_count(self) -> int:
        """Lines that would move nothing."""
        return self.lines_count - self.applied_count


@dataclass(frozen=True, slots=True)
class RechargeReceipt:
    """What a bulk recharge did so far; ``tokens_total`` counts applied lines only.

    ``failures`` lists the first failed lines, as many as the setting allows; ``failed_count``
    counts all that failed so far. ``rows_per_s`` and ``eta_s`` are None unless a worker is at it.
    """

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
    source: str = "json"
    done_count: int = 0
    tokens_requested: int = 0
    content_sha256: str = ""
    finished_at: dt.datetime | None = None
    rows_per_s: float | None = None
    eta_s: int | None = None
    retry_of: uuid.UUID | None = None
    reversal_of: uuid.UUID | None = None
    reversal_policy: str = ""
    retries: tuple[uuid.UUID, ...] = ()
    reversals: tuple[uuid.UUID, ...] = ()
    funding: str = ""
    ticket: str = ""

    @property
    def failed_count(self) -> int:
        """Lines that have ended and moved nothing."""
        return self.done_count - self.applied_count

    @property
    def is_finished(self) -> bool:
        """Whether nothing will happen any more."""
        return self.finished_at is not None


@dataclass(frozen=True, slots=True)
class GrantReceipt:
    """What a run of a scheduled grant did for one day.

    ``receipt`` is that of the batch that the run created, None when every account had its tokens;
    ``unfinished`` names the batches of the day that a worker has still to apply, those of earlier
    runs included. ``remaining_count`` accounts were over the limit: another run is for them.
    """

    day: dt.date
    amount: int
    expires_at: dt.datetime | None
    receipt: RechargeReceipt | None
    remaining_count: int
    unfinished: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class GrantPreview:
    """What a run would do at this moment; ``preview`` is None when nobody is due."""

    day: dt.date
    amount: int
    expires_at: dt.datetime | None
    due_count: int
    preview: RechargePreview | None
