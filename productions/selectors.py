"""Read queries of productions. What interfaces ask is limited to one owner where they say so."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Case, CharField, Count, F, Q, QuerySet, When
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.pages import newest_first
from inference.errors import failure_text
from productions.errors import PersonNotFoundError, ProductionNotFoundError
from productions.models import UNFUNDED, ManifestRow, Person, Production, RowAttempt
from productions.types import (
    Books,
    PersonProgress,
    Progress,
    RowState,
    RowView,
    Spending,
)
from tokens import recharge_selectors
from tokens import selectors as tokens_selectors
from tokens.types import HoldReceipt

OPEN_JOBS: Final = ("AWAITING_INPUT", "QUEUED", "RUNNING")
# What is tried again: a job that was blocked stays so, and one that succeeded has its result.
FAILED_JOBS: Final = ("FAILED", "EXPIRED", "CANCELED")
_ROWS_AT_ONCE: Final = 1_000
# The state of a row is that of its job once it has one.
_SHOWN_STATE: Final = Case(
    When(job__isnull=False, then=Lower("job__status")),
    default=Lower("state"),
    output_field=CharField(),
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the jobs of a production have taken so far."""

    by_person: dict[int, Spending] = field(default_factory=dict)
    by_row: dict[int, Spending] = field(default_factory=dict)
    attempts: dict[int, tuple[uuid.UUID, ...]] = field(default_factory=dict)

    @property
    def total(self) -> Spending:
        """Of all of them."""
        return sum(self.by_row.values(), Spending())


def owned(*, owner_id: int, production_id: uuid.UUID) -> Production:
    """One production of the owner.

    Raises:
        ProductionNotFoundError: there is none, or it is somebody else's.
    """
    return _found(Production.objects.filter(pk=production_id, owner_id=owner_id))


def production(*, production_id: uuid.UUID) -> Production:
    """One production of anybody; for operators.

    Raises:
        ProductionNotFoundError: there is none.
    """
    return _found(Production.objects.filter(pk=production_id))


def productions(
    *, owner_id: int, limit: int, cursor: str | None = None
) -> tuple[list[Production], str | None]:
    """Productions of the owner, newest first, and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    mine = Production.objects.filter(owner_id=owner_id)
    return newest_first(mine, limit=limit, cursor=cursor)


def by_key(*, owner_id: int, idempotency_key: str) -> Production | None:
    """The production that an earlier request with this key made."""
    return Production.objects.filter(owner_id=owner_id, idempotency_key=idempotency_key).first()


def has_rows(*, production: Production) -> bool:
    """Whether a manifest was loaded."""
    return _rows(production).exists()


def person(*, production: Production, ref: str) -> Person:
    """One person of a production.

    Raises:
        PersonNotFoundError: there is nobody with this reference.
    """
    found = Person.objects.filter(production=production, ref=ref).first()
    if found is None:
        raise PersonNotFoundError(_("Nobody in the production has this name."))
    return found


def unsettled_ids() -> list[uuid.UUID]:
    """Productions that the platform has to look after, the oldest first."""
    rows = Production.objects.filter(settled_at__isnull=True).exclude(state__in=UNFUNDED)
    return list(rows.order_by("created_at").values_list("pk", flat=True))


def usage(*, production: Production) -> Usage:
    """The tokens of all jobs that a production has had, from their holds. Two queries."""
    return _usage(RowAttempt.objects.filter(row__production=production))


def jobs_by_person(*, production: Production) -> dict[int, int]:
    """By person, the rows whose job is open or has succeeded. One query."""
    counts = (
        _rows(production)
        .filter(job__status__in=[*OPEN_JOBS, "SUCCEEDED"])
        .values_list("person_id")
        .annotate(count=Count("pk"))
    )
    return {person_id: count for person_id, count in counts.order_by() if person_id is not None}


def open_job_ids(*, production: Production, person: Person | None = None) -> list[uuid.UUID]:
    """Jobs that have not ended, of one person or of all; the last rows first.

    Those at the end wait for a place, so that no canceled job hands its place to another one.
    """
    rows = _rows(production).filter(job__status__in=OPEN_JOBS)
    if person is not None:
        rows = rows.filter(person=person)
    return [
        job_id for job_id in rows.order_by("-row_no").values_list("job_id", flat=True) if job_id
    ]


def unfinished_count(*, production: Production) -> int:
    """Rows that are ready or whose job has not ended."""
    unfinished = Q(state=RowState.READY) | Q(job__status__in=OPEN_JOBS)
    return _rows(production).filter(unfinished).count()


def retryable(
    *, production: Production, row_nos: Collection[int] | None = None
) -> QuerySet[ManifestRow]:
    """Rows that were refused or whose job came to nothing."""
    rows = _rows(production).filter(Q(state=RowState.REFUSED) | Q(job__status__in=FAILED_JOBS))
    return rows if row_nos is None else rows.filter(row_no__in=row_nos)


def progress(*, production: Production) -> Progress:
    """How far a production is, with its books; about eight queries, whatever its size."""
    used = usage(production=production)
    by_person: dict[int | None, Counter[str]] = defaultdict(Counter)
    counts = _rows(production).annotate(shown=_SHOWN_STATE).values_list("person_id", "shown")
    for person_id, state, count in counts.annotate(count=Count("pk")).order_by():
        by_person[person_id][state] += count
    states = sum(by_person.values(), Counter[str]())
    now = timezone.now()
    people = tuple(
        PersonProgress(
            ref=one.ref,
            name=one.name,
            states=dict(by_person[one.pk]),
            spending=used.by_person.get(one.pk, Spending()),
            token_quota=one.token_quota,
            job_quota=one.job_quota,
            has_consent=has_consent(one, now=now),
        )
        for one in Person.objects.filter(production=production).order_by("ref")
    )
    return Progress(
        rows_count=states.total(),
        states=dict(states),
        people=people,
        books=books(production=production, spending=used.total),
        errors=_errors(production),
    )


def books(*, production: Production, spending: Spending) -> Books:
    """Every token of a production: what its wallet got, spent and gave back."""
    funded = returned = 0
    return_status = ""
    if production.funding_batch_id is not None and production.state not in UNFUNDED:
        receipt = recharge_selectors.recharge_receipt(batch_id=production.funding_batch_id)
        funded = receipt.tokens_total
        # Also those that an operator has made by hand.
        for batch_id in receipt.reversals:
            reversal = recharge_selectors.recharge_receipt(batch_id=batch_id)
            returned, return_status = returned + reversal.tokens_total, reversal.status
    return Books(funded=funded, spending=spending, returned=returned, return_status=return_status)


def rows(
    *,
    production: Production,
    after: int = 0,
    limit: int,
    states: Collection[str] | None = None,
) -> list[RowView]:
    """Rows by number from ``after`` on, with what became of them; ``states`` as they show them."""
    wanted = _rows(production).filter(row_no__gt=after).annotate(shown=_SHOWN_STATE)
    if states is not None:
        wanted = wanted.filter(shown__in=states)
    return _views(production, wanted.order_by("row_no")[:limit])


def every_row(*, production: Production) -> Iterator[RowView]:
    """All rows by number, a thousand at a time."""
    after = 0
    while page := rows(production=production, after=after, limit=_ROWS_AT_ONCE):
        yield from page
        after = page[-1].row_no


def has_consent(person: Person, *, now: dt.datetime) -> bool:
    """Whether the person agrees at this moment."""
    ends_at = person.consent_expires_at
    return person.consent_revoked_at is None and (ends_at is None or ends_at > now)


def _views(production: Production, wanted: QuerySet[ManifestRow]) -> list[RowView]:
    found = list(
        wanted.annotate(job_error=F("job__error_code"), person_ref=F("person__ref")).values(
            "pk",
            "row_no",
            "person_ref",
            "target_id",
            "operation",
            "shown",
            "estimate",
            "job_id",
            "job_error",
            "error_code",
            "error_detail",
        )
    )
    used = _usage(RowAttempt.objects.filter(row__in=[row["pk"] for row in found]))
    return [_view(row, used) for row in found]


def _view(row: Mapping[str, Any], used: Usage) -> RowView:
    code = row["job_error"] or row["error_code"]
    is_of_job = bool(row["job_error"])
    return RowView(
        row_no=row["row_no"],
        person=row["person_ref"] or "",
        target_asset_id=row["target_id"],
        operation=row["operation"].lower(),
        state=row["shown"],
        estimate=row["estimate"],
        job_id=row["job_id"],
        tokens=used.by_row.get(row["pk"], Spending()).settled,
        error_code=code,
        error_detail=str(failure_text(code)) if is_of_job else row["error_detail"],
        attempts=used.attempts.get(row["pk"], ()),
    )


def _usage(attempts: QuerySet[RowAttempt]) -> Usage:
    jobs = list(
        attempts.order_by("row_id", "number").values_list(
            "row_id", "row__person_id", "job_id", "job__hold_id"
        )
    )
    receipts = tokens_selectors.hold_receipts(hold_ids=[hold_id for *_ids, hold_id in jobs])
    used = Usage()
    for row_id, person_id, job_id, hold_id in jobs:
        spent = _spending(receipts[hold_id])
        used.by_person[person_id] = used.by_person.get(person_id, Spending()) + spent
        used.by_row[row_id] = used.by_row.get(row_id, Spending()) + spent
        used.attempts[row_id] = (*used.attempts.get(row_id, ()), job_id)
    return used


def _found(rows: QuerySet[Production]) -> Production:
    found = rows.first()
    if found is None:
        raise ProductionNotFoundError(_("You have no production with this id."))
    return found


def _rows(production: Production) -> QuerySet[ManifestRow]:
    return ManifestRow.objects.filter(production=production)


def _errors(production: Production) -> dict[str, int]:
    """How many rows have which error, the most frequent one first."""
    code = Case(
        When(job__isnull=False, then=F("job__error_code")),
        default=F("error_code"),
        output_field=CharField(),
    )
    faulty = _rows(production).annotate(code=code).exclude(code="").values_list("code")
    return dict(faulty.annotate(count=Count("pk")).order_by("-count", "code"))


def _spending(receipt: HoldReceipt) -> Spending:
    if receipt.status == "pending":
        return Spending(held=receipt.held)
    return Spending(settled=receipt.settled, refunded=receipt.refunded)
