"""What the API answers with. Amounts are whole tokens, moments carry their time zone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

from facefusion_platform_client.errors import JobEndedError

SUCCEEDED: Final = "succeeded"
ENDED: Final = frozenset({SUCCEEDED, "failed", "blocked", "canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Asset:
    """An uploaded picture or video; sides in pixels of the upright picture."""

    id: str
    kind: str
    name: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str
    created_at: dt.datetime
    state: str = "ready"
    duration_ms: int | None = None
    fps: float | None = None
    frames: int | None = None
    has_audio: bool | None = None


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of a price."""

    operation: str
    quantity: int
    units: int
    unit_price: int
    multiplier: float
    total: int


@dataclass(frozen=True, slots=True)
class PriceOrigin:
    """What a price was made of: ordinary prices times a multiplier, and why that one."""

    rate_card_version: int
    multiplier: float
    reason: str
    reason_text: str


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """The ordinary price of one operation; plan ``default`` is every plan that is not listed."""

    operation: str
    plan: str
    unit: str
    unit_tokens: int


@dataclass(frozen=True, slots=True)
class Pricing:
    """The price of this moment; ``multiplier`` stays between floor and cap, 10,000 bp being 1."""

    rate_card_version: int
    multiplier: float
    reason: str
    reason_text: str
    floor_bp: int
    cap_bp: int
    time_zone: str
    prices: list[UnitPrice]
    measured_every_s: int
    effective_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A moment from which on another multiplier was asked."""

    at: dt.datetime
    rate_card_version: int
    multiplier: float
    cap_bp: int
    reason: str
    reason_text: str


@dataclass(frozen=True, slots=True)
class QuoteBalance:
    """The wallet now, and after the job."""

    available: int
    after: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that is promised until ``expires_at`` and pays for one job."""

    id: str
    operation: str
    source_asset_id: str
    target_asset_id: str
    tokens: int
    lines: list[PriceLine]
    balance: QuoteBalance
    affordable: bool
    state: str
    created_at: dt.datetime
    expires_at: dt.datetime
    price: PriceOrigin
    job_id: str | None = None
    eta_s: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; frames and segments are of videos."""

    stage: str | None
    percent: int
    frames_done: int | None = None
    frames: int | None = None
    eta_s: int | None = None
    queue_position: int | None = None
    segments_done: int | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job ended without a result."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Output:
    """The result of a job."""

    url: str
    sha256: str
    width: int
    height: int
    bytes: int
    content_type: str
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row of the journal."""

    id: str
    kind: str
    tokens: int
    available_change: int
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a job's tokens: once it has ended, ``held == settled + refunded``."""

    quoted: int
    held: int
    settled: int
    refunded: int
    price: PriceOrigin
    transfers: list[Transfer]


@dataclass(frozen=True, slots=True)
class Job:
    """A swap with its progress, its outcome and its receipt."""

    id: str
    state: str
    operation: str
    quote_id: str
    source_asset_id: str
    target_asset_id: str
    attempt: int
    progress: Progress
    receipt: Receipt
    created_at: dt.datetime
    error: JobFailure | None = None
    output: Output | None = None
    retry_of: str | None = None
    batch_id: str | None = None
    batch_row: int | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    faces: list[dict[str, Any]] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in ENDED

    def require_success(self) -> Job:
        """This job.

        Raises:
            JobEndedError: it has ended without a result.
        """
        if self.has_ended and self.state != SUCCEEDED:
            raise JobEndedError(
                job_id=self.id,
                state=self.state,
                code=self.error.code if self.error else None,
                detail=self.error.detail if self.error else "",
            )
        return self


@dataclass(frozen=True, slots=True)
class CancelPreview:
    """What canceling a job would do with its tokens: ``held == settled + refunded``."""

    held: int
    settled: int
    refunded: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A change of a job, as its event stream tells it."""

    id: str
    job_id: str
    state: str
    progress: Progress

    @property
    def is_last(self) -> bool:
        """Whether the job has ended with it."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What became of one row of a batch of jobs: ``accepted``, or the code of the error."""

    row: int
    code: str
    job_id: str | None
    tokens: int | None
    detail: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """What became of the tokens of all jobs of a batch."""

    quoted: int
    held: int
    settled: int
    refunded: int


@dataclass(frozen=True, slots=True)
class JobBatch:
    """Many jobs of one request; ``states`` counts them."""

    id: str
    mode: str
    rows_count: int
    accepted_count: int
    refused_count: int
    tokens: int
    states: dict[str, int]
    receipt: BatchReceipt
    rows: list[BatchRow]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet: free to spend, set aside for jobs, and both."""

    available: int
    held: int
    total: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One row of the journal with the balance right after it."""

    id: str
    kind: str
    tokens: int
    available_change: int
    reference: str
    recorded_at: dt.datetime
    available_after: int
    held_after: int


@dataclass(frozen=True, slots=True)
class RechargeLine:
    """The outcome of one line of a recharge; ``code`` is ``applied`` or says why not."""

    row_no: int
    key: str
    user: str
    amount: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RechargePreview:
    """What a recharge would do at this moment."""

    mode: str
    status: str
    lines_count: int
    applied_count: int
    failed_count: int
    tokens_total: int
    outcomes: dict[str, int]
    failed_users: list[str]
    failures: list[RechargeLine]


@dataclass(frozen=True, slots=True)
class RechargeBatch:
    """A bulk recharge; ``failures`` are the first of the lines that failed."""

    id: str
    mode: str
    status: str
    operator: str
    reason: str
    lines_count: int
    done_count: int
    applied_count: int
    failed_count: int
    tokens_total: int
    created_at: dt.datetime
    finished_at: dt.datetime | None = None
    failed_users: list[str] = field(default_factory=list)
    failures: list[RechargeLine] = field(default_factory=list)
    retry_of: str | None = None
    reversal_of: str | None = None
    funding: str = ""
    ticket: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether no line of it will change any more."""
        return self.finished_at is not None
