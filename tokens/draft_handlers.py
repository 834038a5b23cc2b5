"""Bodies of the tasks that check recharges in preparation and throw old ones away."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from tokens.errors import InvalidRechargeError, RechargeTooLargeError
from tokens.ledger import apply, draft_rows, draft_terms, staging
from tokens.models import RechargeDraft, RechargeDraftFile
from tokens.recharge_files import RowRules, read_table
from tokens.recharge_orders import draft_batch, header, staged_template
from tokens.recharge_rows import RowTotals, StagedRow
from tokens.types import RechargeSource

log = structlog.get_logger(__name__)
# Longer than a check takes; the sweep then sends it again, which does no harm.
LOST_AFTER: Final = dt.timedelta(seconds=60)
Sent = Iterator[tuple[StagedRow, list[str]]]


def check_draft(*, draft_id: uuid.UUID) -> None:
    """Read the file of a draft and judge each row as the batch would be; moves nothing.

    Owns its transactions. Safe to run twice: a draft that is being checked is skipped, one that
    has other terms by then gets nothing of this check.
    """
    row = RechargeDraft.objects.filter(pk=draft_id, status=RechargeDraft.Status.CHECKING).first()
    if row is None:
        return
    try:
        # What is wrong with the file is told in the language of who sent it.
        with translation.override(row.language):
            _check(draft_id)
    except DomainError as error:
        with transaction.atomic(durable=True), translation.override(row.language):
            draft_terms.keep_fault(
                draft_id=draft_id, revision=row.revision, fault=f"{error} {error.next_step}"
            )
    log.info("tokens.recharge_draft.checked", draft_id=str(draft_id))


def unchecked_drafts(*, limit: int = 100) -> list[uuid.UUID]:
    """Drafts whose check may have been lost."""
    return draft_terms.unchecked(since=LOST_AFTER, limit=limit)


def purge_drafts() -> int:
    """Throw away files and rows of drafts that are RECHARGE_DRAFT_KEEP_DAYS old; how many rows."""
    oldest = timezone.now() - dt.timedelta(days=settings.RECHARGE_DRAFT_KEEP_DAYS)
    due = RechargeDraftFile.objects.filter(draft__created_at__lt=oldest)
    rows = 0
    for draft_id in list(due.values_list("pk", flat=True)):
        with transaction.atomic(durable=True):
            rows += draft_rows.clear(draft_id=draft_id)
            RechargeDraftFile.objects.filter(pk=draft_id).delete()
    return rows


@transaction.atomic(durable=True)
def _check(draft_id: uuid.UUID) -> None:
    draft = draft_terms.claim(draft_id=draft_id)
    if draft is None:
        return
    order = draft_terms.order(draft)
    batch = draft_batch(order=order, actor_id=None, idempotency_key="")
    rules = RowRules(
        template=staged_template(order=order, amount=0),
        amount=draft.amount,
        cell_length_max=settings.RECHARGE_CELL_LENGTH_MAX,
        bytes_max=settings.RECHARGE_DRAFT_BYTES_MAX,
    )
    content = RechargeDraftFile.objects.values_list("content", flat=True).get(pk=draft.pk)
    source = RechargeSource[draft.source]
    columns, sent = read_table(io.BytesIO(content), source=source, rules=rules)
    staging.prepare(has_few_rows=False)
    draft_rows.prepare_cells()
    totals = RowTotals.start(header(batch))
    _stage(sent, totals=totals)
    staging.mark_stage()
    apply.judge(batch=batch, is_dry_run=True)
    kept = draft_rows.write(draft_id=draft.pk)
    draft.columns = columns
    draft.batch_sha256 = totals.sha256
    draft.status = RechargeDraft.Status.CHECKED
    draft.checked_at = timezone.now()
    for name, value in kept.items():
        setattr(draft, name, value)
    draft.save()


def _stage(sent: Sent, *, totals: RowTotals) -> None:
    """Put the rows where they are judged, some thousand at a time."""
    while chunk := list(islice(sent, settings.RECHARGE_CHUNK_LINES)):
        first_row = totals.rows + 1
        staging.fill_from_rows(
            payload=totals.add([row for row, _cells in chunk]), first_row=first_row
        )
        draft_rows.keep_cells(cells=(cells for _row, cells in chunk), first_row=first_row)
        if totals.rows > settings.RECHARGE_DRAFT_LINES_MAX:
            raise RechargeTooLargeError(
                _("A recharge of the console has at most %(max)d rows.")
                % {"max": settings.RECHARGE_DRAFT_LINES_MAX},
                lines_max=settings.RECHARGE_DRAFT_LINES_MAX,
            )
    if not totals.rows:
        raise InvalidRechargeError(_("A recharge needs at least one line."), param="file")
