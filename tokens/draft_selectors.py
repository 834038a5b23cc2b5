"""Read queries on recharges in preparation and on named user segments."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from tokens.draft_errors import DraftNotFoundError, SegmentNotFoundError
from tokens.drafts import CategoryTotal, CodeCount, DraftFigures, DraftRowView, SameFile
from tokens.models import RechargeDraft, RechargeDraftRow, RechargeLine, UserSegment
from tokens.recharge_rows import StagedRow, iso

ROWS_PER_PAGE = 50
# Rows are stored in the order of StagedRow; a draft's have no line that they take back.
ROW_FIELDS = (
    "user_ref",
    "amount",
    "item_key",
    "category",
    "priority",
    "effective_at",
    "expires_at",
    "fault",
    "original",
)


def draft(*, draft_id: uuid.UUID, maker_id: int) -> RechargeDraft:
    """A draft of one's own.

    Raises:
        DraftNotFoundError: there is none, or it is somebody else's.
    """
    found = RechargeDraft.objects.filter(pk=draft_id, maker_id=maker_id).first()
    if found is None:
        raise DraftNotFoundError(_("You have no recharge draft with this id."))
    return found


def figures(*, draft: RechargeDraft) -> DraftFigures | None:
    """What the preview of a draft shows; None before it was checked."""
    kept = draft.figures
    if not kept:
        return None
    return DraftFigures(
        categories=tuple(CategoryTotal(*row) for row in kept["categories"]),
        codes=tuple(CodeCount(*row) for row in kept["codes"]),
        top=tuple(DraftRowView(*row) for row in kept["top"]),
        outliers=tuple(DraftRowView(*row) for row in kept["outliers"]),
        balance_before=kept["balance_before"],
        liability_before=kept["liability_before"],
    )


def draft_rows(
    *, draft: RechargeDraft, number: int, verdict: str = "", code: str = ""
) -> Page[RechargeDraftRow]:
    """One page of the rows of a draft; numbers out of range mean the nearest page.

    Args:
        draft: whose.
        number: of the page, from 1.
        verdict: ``ok``, ``warn`` or ``error``; all rows when empty.
        code: only rows with this code.
    """
    rows = RechargeDraftRow.objects.filter(draft_id=draft.pk)
    if verdict:
        rows = rows.filter(verdict=verdict)
    if code:
        rows = rows.filter(code=code)
    known = {
        ("", ""): draft.rows_count,
        ("error", ""): draft.failed_count,
        ("warn", ""): draft.warned_count,
        ("ok", ""): draft.rows_count - draft.failed_count - draft.warned_count,
    }
    paginator = _Counted(rows.order_by("row_no"), ROWS_PER_PAGE)
    paginator.known_count = known.get((verdict, code))
    return paginator.get_page(number)


class _Counted(Paginator[RechargeDraftRow]):
    """Does not count what the draft has counted."""

    known_count: int | None = None

    @property
    def count(self) -> int:
        """Rows of all pages."""
        return super().count if self.known_count is None else self.known_count


def staged_rows(*, draft_id: uuid.UUID) -> Iterator[StagedRow]:
    """The rows of a draft as a batch takes them, streamed in their order."""
    rows = RechargeDraftRow.objects.filter(draft_id=draft_id).order_by("row_no")
    stored = rows.values_list(*ROW_FIELDS).iterator(chunk_size=2_000)
    return (
        StagedRow(ref, amount, key, kind, priority, iso(start), iso(end), fault, None, cells)
        for ref, amount, key, kind, priority, start, end, fault, cells in stored
    )


def same_file(*, draft: RechargeDraft) -> SameFile | None:
    """The first batch that came of the same content, by whomever it was sent."""
    first = (
        RechargeDraft.objects.filter(content_sha256=draft.content_sha256, batch__isnull=False)
        .exclude(pk=draft.pk)
        .order_by("created_at")
        .values_list("created_at", "maker_id", "batch_id")
        .first()
    )
    if first is None:
        return None
    sent_at, maker_id, batch_id = first
    assert batch_id is not None, "filtered above"
    maker = accounts_selectors.user_refs(ids=[maker_id])[maker_id]
    return SameFile(sent_at=sent_at, maker=maker, batch_id=batch_id)


def sent_cells(*, batch_id: uuid.UUID) -> tuple[list[str], dict[int, list[str]]]:
    """The columns that a batch was sent with, and the cells of its failed rows by number.

    Both are empty where the batch came of no file, or the rows of its draft are gone.
    """
    source = RechargeDraft.objects.filter(batch_id=batch_id).values_list("pk", "columns").first()
    if source is None:
        return [], {}
    draft_id, columns = source
    failed = RechargeLine.objects.filter(batch_id=batch_id).exclude(
        outcome=RechargeLine.Outcome.APPLIED
    )
    rows = RechargeDraftRow.objects.filter(draft_id=draft_id, row_no__in=failed.values("row_no"))
    cells = dict(rows.values_list("row_no", "cells"))
    return columns, cells


def segments() -> QuerySet[UserSegment]:
    """Segments in use by name."""
    return UserSegment.objects.filter(is_active=True).order_by("name")


def segment(*, segment_id: uuid.UUID) -> UserSegment:
    """One segment in use.

    Raises:
        SegmentNotFoundError: there is none with this id.
    """
    found = segments().filter(pk=segment_id).first()
    if found is None:
        raise SegmentNotFoundError(_("No user segment has this id."))
    return found


def segment_state(row: UserSegment) -> dict[str, Any]:
    """A segment as audit events keep it."""
    return {
        "name": row.name,
        "role": row.role,
        "plan": row.plan,
        "user_ref_prefix": row.user_ref_prefix,
        "joined_after": iso(row.joined_after),
        "is_active": row.is_active,
    }
