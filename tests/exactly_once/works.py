"""What processes of the test do in the site's database: register a customer, read the books."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from accounts import services as accounts_services
from accounts.types import ROLE_SCOPES, Role
from inference.models import SwapJob
from inference.tests import factories
from tokens import audit
from tokens import selectors as tokens_selectors


@dataclass(frozen=True, slots=True)
class Account:
    """A customer and its key."""

    owner_id: int
    key: str


@dataclass(frozen=True, slots=True)
class JobBooks:
    """A job and everything that was ever booked for it."""

    job_id: uuid.UUID
    key: str
    status: str
    attempt: int
    quoted: int
    transfers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Books:
    """An account at the end."""

    available: int
    held: int
    jobs: tuple[JobBooks, ...]
    violations: tuple[str, ...]


def register(*, tokens: int, **_more: object) -> Account:
    """An account with tokens and a key."""
    user = factories.make_user(tokens=tokens)
    issued = accounts_services.issue_api_key(
        user_id=user.pk, name="customer", scopes=ROLE_SCOPES[Role.USER]
    )
    return Account(user.pk, issued.key)


def books(owner_id: int, **_more: object) -> Books:
    """All jobs of the account with their transfers, and what the audit finds wrong."""
    balance = tokens_selectors.balance(user_id=owner_id)
    jobs = SwapJob.objects.filter(owner_id=owner_id).select_related("quote").order_by("created_at")
    return Books(
        available=balance.available,
        held=balance.held,
        jobs=tuple(_books_of(job) for job in jobs),
        violations=tuple(str(one) for one in audit.find_violations()),
    )


def _books_of(job: SwapJob) -> JobBooks:
    assert job.hold_id is not None
    receipt = tokens_selectors.hold_receipt(hold_id=job.hold_id)
    return JobBooks(
        job_id=job.pk,
        key=job.idempotency_key or "",
        status=job.status,
        attempt=job.attempt,
        quoted=job.quote.tokens,
        transfers=tuple((one.kind, one.tokens) for one in receipt.transfers),
    )
