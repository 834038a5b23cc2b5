"""What Hypothesis draws, and its two readings: for the model and for the services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tokens.tests.model.batches import AMOUNT_MAX, KEY_LENGTH_MAX, Row
from tokens.tests.model.clock import StandingClock
from tokens.types import Category, LotTerms, RechargeItem, RechargeMode, RechargeRequest

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Terms:
    """How granted tokens behave; hours count from the moment of the request."""

    category: Category
    priority: int
    starts_in: int | None
    ends_in: int | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that may have something wrong with it."""

    amount: int
    flaw: str
    terms: Terms | None


MODES = st.sampled_from(["soft_fail", "atomic"])
TERMS = st.builds(
    Terms,
    category=st.sampled_from(Category),
    priority=st.sampled_from([50, 10, 90]),
    starts_in=st.sampled_from([None, None, None, 1, 3]),
    ends_in=st.sampled_from([None, 4, 2, 8, 1]),
)
FLAWS = [
    "nobody",
    "twice",
    "amount 0",
    "amount too large",
    "ended",
    "ends before it starts",
    "same key",
    "long key",
    "long key",
]
# Most rows are good: an atomic batch has to have a chance.
DRAFTS = st.builds(
    Draft,
    amount=st.integers(1, 40),
    flaw=st.sampled_from([""] * 4 * len(FLAWS) + FLAWS),
    terms=st.none() | TERMS,
)


def model_rows(
    drafts: Sequence[Draft], *, refs: Sequence[str], first: int, terms: Terms, now: int
) -> list[Row]:
    """The rows of a request, for one person after the other from ``first`` on."""
    rows: list[Row] = []
    for position, draft in enumerate(drafts):
        own = draft.terms or terms
        starts_at = None if own.starts_in is None else now + own.starts_in
        ends_at = None if own.ends_in is None else now + own.ends_in
        ref, amount, key = refs[(first + position) % len(refs)], draft.amount, f"row {position}"
        match draft.flaw:
            case "nobody":
                ref = NOBODY
            case "twice":
                ref = refs[first % len(refs)]
            case "amount 0":
                amount = 0
            case "amount too large":
                amount = AMOUNT_MAX + 1
            case "ended":
                ends_at = now
            case "ends before it starts":
                starts_at = ends_at = now + 2
            case "same key":
                key = "row 0"
            case "long key":
                key = "k" * (KEY_LENGTH_MAX + 1)
        rows.append(Row(ref, amount, key, own.category.name, own.priority, starts_at, ends_at))
    return rows


def request_items(
    rows: Sequence[Row], *, clock: StandingClock
) -> list[tuple[str, int, str, LotTerms]]:
    """The same rows as the services want them."""
    return [
        (
            row.ref,
            row.amount,
            row.key,
            LotTerms(
                category=Category[row.category],
                priority=row.priority,
                effective_at=None if row.effective_at is None else clock.moment(row.effective_at),
                expires_at=None if row.expires_at is None else clock.moment(row.expires_at),
            ),
        )
        for row in rows
    ]


def request(rows: Sequence[Row], *, mode: str, clock: StandingClock) -> RechargeRequest:
    """All of a request."""
    return RechargeRequest(
        items=tuple(RechargeItem(*item) for item in request_items(rows, clock=clock)),
        mode=RechargeMode(mode),
        operator="model",
        reason="model",
    )
