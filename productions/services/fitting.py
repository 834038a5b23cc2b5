"""Which rows may be jobs: priced together, and held against consents, quotas and the budget."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from inference import services as inference_services
from inference.services import BatchOrder, BatchPreview, BatchRow
from inference.types import SwapOptions
from productions import selectors
from productions.errors import ConsentMissingError, PersonQuotaError, ProductionBudgetError
from productions.models import ManifestRow, Person, Production
from productions.types import RowState
from tokens.types import Operation

_DETAIL_LENGTH_MAX = 255


@dataclass(slots=True)
class Room:
    """What is left for further jobs; each row that fits takes its part.

    Attributes:
        tokens: of the whole production; None where it has no limit yet.
        spent_by: tokens by person.
        jobs_by: rows by person.
    """

    tokens: int | None
    spent_by: dict[int, int] = field(default_factory=dict)
    jobs_by: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, production: Production) -> Room:
        """As the jobs of the production have left it; call it under the production's lock."""
        used = selectors.usage(production=production)
        funded = production.funding_tokens
        return cls(
            tokens=None if funded is None else funded - used.total.committed,
            spent_by={pk: spent.committed for pk, spent in used.by_person.items()},
            jobs_by=selectors.jobs_by_person(production=production),
        )

    def take(self, person: Person, tokens: int) -> None:
        """Make a job of the person a part of it.

        Raises:
            PersonQuotaError: the person has no job or not enough tokens left.
            ProductionBudgetError: the production has not enough tokens left.
        """
        jobs = self.jobs_by.get(person.pk, 0) + 1
        spent = self.spent_by.get(person.pk, 0) + tokens
        if person.job_quota is not None and jobs > person.job_quota:
            raise PersonQuotaError(
                _("The person has a quota of %(quota)d jobs.") % {"quota": person.job_quota}
            )
        if person.token_quota is not None and spent > person.token_quota:
            raise PersonQuotaError(
                _("The person has a quota of %(quota)d tokens.") % {"quota": person.token_quota}
            )
        if self.tokens is not None:
            if tokens > self.tokens:
                raise ProductionBudgetError(
                    _("The production has %(left)d tokens left.") % {"left": self.tokens}
                )
            self.tokens -= tokens
        self.jobs_by[person.pk] = jobs
        self.spent_by[person.pk] = spent


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows that fit, with the order that makes jobs of them in their sequence, and its prices.

    The other rows carry their error and are not stored yet.
    """

    rows: tuple[ManifestRow, ...]
    order: BatchOrder
    plan: BatchPreview


def fit(
    *, production: Production, rows: Sequence[ManifestRow], room: Room, now: dt.datetime
) -> Fit:
    """Price rows, and give each its estimate or the error that says why it cannot be a job.

    Rows change in memory only; ``room`` shrinks by those that fit.
    """
    order = BatchOrder(rows=tuple(_wanted(row) for row in rows))
    plan = inference_services.preview_job_batch(owner_id=production.owner_id, order=order)
    refusals = {refusal["row"]: refusal for refusal in plan.refusals}
    fitting: list[int] = []
    for number, row in enumerate(rows, start=1):
        refusal = refusals.get(number)
        if refusal is not None:
            refuse(row, code=refusal["code"], detail=refusal["detail"])
            continue
        try:
            _check(row, room, tokens=plan.quotes[number].tokens, now=now)
        except DomainError as error:
            refuse(row, code=error.code, detail=str(error))
            continue
        row.state, row.error_code, row.error_detail = RowState.READY, "", ""
        row.estimate = plan.quotes[number].tokens
        fitting.append(number)
    return Fit(
        rows=tuple(rows[number - 1] for number in fitting),
        order=BatchOrder(rows=tuple(order.rows[number - 1] for number in fitting)),
        plan=plan.only(fitting),
    )


def refuse(row: ManifestRow, *, code: str, detail: str) -> None:
    """Give a row the error that keeps it from becoming a job."""
    row.state = RowState.REFUSED
    row.error_code, row.error_detail = code, detail[:_DETAIL_LENGTH_MAX]
    row.estimate = None


def _check(row: ManifestRow, room: Room, *, tokens: int, now: dt.datetime) -> None:
    assert row.person is not None, "only unreadable rows are without a person"
    if not selectors.has_consent(row.person, now=now):
        raise ConsentMissingError(_("The person's consent was revoked or has ended."))
    room.take(row.person, tokens)


def _wanted(row: ManifestRow) -> BatchRow:
    assert row.person is not None, "only unreadable rows are without a person"
    assert row.target_id is not None, "only unreadable rows are without a target"
    return BatchRow(
        source_asset_id=row.person.face_id,
        target_asset_id=row.target_id,
        operation=Operation[row.operation],
        options=SwapOptions.from_json(row.options),
    )
