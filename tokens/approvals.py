"""Approvals as values: which ones a batch needs, and what a vote says. No database.

A batch reaches a policy when any bound of the policy is met. It then has to satisfy every policy
it reached, so the requirement is the strictest of them: the most approvals, by roles that all of
them accept, within the shortest time.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

MAKER_WINDOW: Final = dt.timedelta(hours=24)
# What a change of a policy is about, in the order of forms.
POLICY_FIELDS: Final = (
    "name",
    "subject",
    "is_active",
    "row_tokens_min",
    "batch_tokens_min",
    "rows_min",
    "maker_day_tokens_min",
    "approvals_required",
    "roles",
    "expires_after_s",
    "is_open_to_keys",
)


class VoteDecision(StrEnum):
    """What a voter says."""

    APPROVE = "approve"
    REJECT = "reject"
    ASK = "ask"


class Obstacle(StrEnum):
    """What keeps a person from deciding a request now."""

    NONE = ""
    DECIDED = "decided"
    EXPIRED = "expired"
    MAKER = "maker"
    VOTED = "voted"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch as its policies see it. Amounts are whole tokens as requested, good lines or bad."""

    rows_count: int
    tokens_total: int
    largest_row: int
    is_reversal: bool = False


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """One policy; a bound of None is not looked at, any other is reached from that value on."""

    id: uuid.UUID
    name: str
    row_tokens_min: int | None
    batch_tokens_min: int | None
    rows_min: int | None
    maker_day_tokens_min: int | None
    approvals_required: int
    roles: frozenset[str]
    expires_after_s: int
    is_open_to_keys: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """What has to happen before the batch may go on. Empty ``roles`` mean that nobody can."""

    policies: tuple[PolicyTerms, ...]
    approvals_required: int
    roles: frozenset[str]
    expires_after_s: int
    is_open_to_keys: bool


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote on one content, named by its SHA-256.

    ``second_factor_at`` is the moment the voter proved the second factor, None when that was not
    asked or not done; ``is_by_key`` says that an API key speaks for the voter.
    """

    decision: VoteDecision
    content_sha256: str
    comment: str = ""
    second_factor_at: dt.datetime | None = None
    is_by_key: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request stands after a vote.

    ``status`` is open, approved or rejected. ``is_closed_now`` is true for exactly one vote of a
    request, the one that decided it: release or refuse the batch then, in the same transaction.
    """

    request_id: uuid.UUID
    batch_id: uuid.UUID
    status: str
    approvals_count: int
    approvals_required: int
    is_closed_now: bool
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What the maker said to a question."""

    author: str
    comment: str
    answered_at: dt.datetime


@dataclass(frozen=True, slots=True)
class VoteView:
    """A vote as readers see it; people by their ``user_ref``, words of the wire in lower case."""

    id: int
    voter: str
    role: str
    decision: str
    comment: str
    content_sha256: str
    second_factor_at: dt.datetime | None
    voted_at: dt.datetime
    answer: AnswerView | None = None

    @property
    def waits_for_answer(self) -> bool:
        """Whether it is a question that the maker has not answered."""
        return self.decision == VoteDecision.ASK and self.answer is None


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A request as one viewer sees it.

    ``status`` is open, blocked_no_approver (open, but too few people are left who may vote),
    approved, rejected, expired or recalled. ``age_s`` stops with the decision.
    """

    id: uuid.UUID
    batch_id: uuid.UUID
    status: str
    is_my_turn: bool
    obstacle: Obstacle
    maker: str
    reason: str
    operator: str
    subject: str
    rows_count: int
    tokens_total: int
    largest_row: int
    maker_day_tokens: int
    content_sha256: str
    approvals_count: int
    approvals_required: int
    roles: tuple[str, ...]
    policies: tuple[str, ...]
    opened_at: dt.datetime
    expires_at: dt.datetime
    decided_at: dt.datetime | None
    age_s: int
    votes: tuple[VoteView, ...]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy as readers see it; a bound of None is not looked at."""

    id: uuid.UUID
    name: str
    subject: str
    is_active: bool
    row_tokens_min: int | None
    batch_tokens_min: int | None
    rows_min: int | None
    maker_day_tokens_min: int | None
    approvals_required: int
    roles: tuple[str, ...]
    expires_after_s: int
    is_open_to_keys: bool
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a policy before and after; None where it was, or will be, not set."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PolicyChangeView:
    """A proposed change as one viewer sees it.

    ``status`` is open, applied, rejected, expired or recalled; ``fields`` are those that differ.
    """

    id: uuid.UUID
    policy_id: uuid.UUID
    policy_name: str
    status: str
    is_my_turn: bool
    obstacle: Obstacle
    is_new: bool
    is_bootstrap: bool
    maker: str
    checker: str | None
    comment: str
    content_sha256: str
    before: dict[str, Any] | None
    after: dict[str, Any]
    fields: tuple[FieldChange, ...]
    opened_at: dt.datetime
    expires_at: dt.datetime
    decided_at: dt.datetime | None


def is_reached(policy: PolicyTerms, *, facts: BatchFacts, maker_day_tokens: int) -> bool:
    """Whether the batch meets any bound of the policy.

    Args:
        policy: the policy asked about.
        facts: the batch.
        maker_day_tokens: tokens of the maker's batches of the last 24 hours, this one included.
    """
    measured = (
        (policy.row_tokens_min, facts.largest_row),
        (policy.batch_tokens_min, facts.tokens_total),
        (policy.rows_min, facts.rows_count),
        (policy.maker_day_tokens_min, maker_day_tokens),
    )
    return any(bound is not None and value >= bound for bound, value in measured)


def requirement(
    *, policies: Iterable[PolicyTerms], facts: BatchFacts, maker_day_tokens: int
) -> Requirement | None:
    """The strictest of the policies that the batch reaches; None when it reaches none."""
    reached = tuple(
        policy
        for policy in sorted(policies, key=lambda policy: policy.name)
        if is_reached(policy, facts=facts, maker_day_tokens=maker_day_tokens)
    )
    if not reached:
        return None
    return Requirement(
        policies=reached,
        approvals_required=max(policy.approvals_required for policy in reached),
        roles=frozenset.intersection(*(policy.roles for policy in reached)),
        expires_after_s=min(policy.expires_after_s for policy in reached),
        is_open_to_keys=all(policy.is_open_to_keys for policy in reached),
    )


def snapshot(policy: PolicyTerms) -> dict[str, Any]:
    """The policy as JSON, for the record."""
    return asdict(policy) | {"id": str(policy.id), "roles": sorted(policy.roles)}
