"""Read queries on bulk recharges."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.backlog import Backlog
from tokens.errors import BatchNotFoundError, InvalidCursorError
from tokens.models import RechargeBatch, RechargeLine
from tokens.types import RechargeLineView, RechargeReceipt

CURSOR_PATTERN = re.compile(r"[0-9]{1,18}")
FAILED = "failed"
Outcome = RechargeLine.Outcome
Status = RechargeBatch.Status


def recharge_receipt(*, batch_id: uuid.UUID, is_replay: bool = False) -> RechargeReceipt:
    """The batch as it stands, with the first of its lines that failed.

    Raises:
        BatchNotFoundError: there is no such batch.
    """
    return receipt(batch_by_id(batch_id=batch_id), is_replay=is_replay)


def receipt(batch: RechargeBatch, *, is_replay: bool) -> RechargeReceipt:
    """The batch as it stands, with the first of its lines that failed."""
    failures = _failed(batch.lines.all()).order_by("row_no")[: settings.RECHARGE_FAILURES_LISTED]
    return _receipt(
        batch,
        failures=_line_views(failures),
        is_replay=is_replay,
        children=list(
            RechargeBatch.objects.filter(Q(parent=batch) | Q(reverses=batch))
            .order_by("created_at")
            .values_list("pk", "parent_id")
        ),
    )


def creation_receipt(batch: RechargeBatch, *, is_replay: bool) -> RechargeReceipt:
    """What the creating request was told, so that its repeat is told the same.

    A batch applied at once is final; any other shows itself as it was accepted.
    """
    if batch.created_status in {Status.QUEUED, Status.PENDING_APPROVAL}:
        batch.status = batch.created_status
        batch.done_count = batch.applied_count = batch.tokens_total = 0
        batch.finished_at = None
        return _receipt(batch, failures=(), is_replay=is_replay)
    failures = _failed(batch.lines.all()).order_by("row_no")[: settings.RECHARGE_FAILURES_LISTED]
    return _receipt(batch, failures=_line_views(failures), is_replay=is_replay)


def batch_by_id(*, batch_id: uuid.UUID) -> RechargeBatch:
    """The row of a batch.

    Raises:
        BatchNotFoundError: there is no such batch.
    """
    batch = RechargeBatch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise BatchNotFoundError(_("There is no recharge batch with this id."))
    return batch


def standing(*, batch_id: uuid.UUID) -> tuple[str, int]:
    """Status and number of done lines of a batch.

    Raises:
        BatchNotFoundError: there is no such batch.
    """
    row = RechargeBatch.objects.filter(pk=batch_id).values_list("status", "done_count").first()
    if row is None:
        raise BatchNotFoundError(_("There is no recharge batch with this id."))
    return row


def backlog() -> Backlog:
    """Batches of all makers that wait to be applied, and those that are. One query."""
    found = RechargeBatch.objects.filter(status__in=[Status.QUEUED, Status.APPLYING]).aggregate(
        waiting=Count("pk", filter=Q(status=Status.QUEUED)),
        running=Count("pk", filter=Q(status=Status.APPLYING)),
        oldest=Min("created_at", filter=Q(status=Status.QUEUED)),
    )
    return Backlog(found["waiting"], found["running"], found["oldest"])


def outcomes(*, batch_id: uuid.UUID) -> dict[str, int]:
    """How many lines of a batch have ended with which code, the most frequent code first."""
    lines = RechargeLine.objects.filter(batch_id=batch_id).values_list("outcome")
    return dict(lines.annotate(count=Count("pk")).order_by("-count", "outcome"))


def faulty_lines(*, batch_id: uuid.UUID) -> tuple[RechargeLineView, ...]:
    """The first lines that are themselves why they moved nothing, as many as the setting allows.

    Without those of a refused or ended batch that only shared its fate.
    """
    lines = RechargeLine.objects.filter(batch_id=batch_id).exclude(
        outcome__in=[Outcome.APPLIED, Outcome.ROLLED_BACK, Outcome.NOT_ATTEMPTED]
    )
    return _line_views(lines.order_by("row_no")[: settings.RECHARGE_FAILURES_LISTED])


def recharge_batches(
    *, limit: int, cursor: str | None = None, status: str | None = None
) -> tuple[list[RechargeReceipt], str | None]:
    """Batches, newest first, without their lines; and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    batches = RechargeBatch.objects.order_by("-created_at", "-id")
    if status is not None:
        batches = batches.filter(status=status.upper())
    if cursor is not None:
        batches = batches.filter(_after_batch(cursor))
    rows = list(batches[: limit + 1])
    next_cursor = str(rows[limit - 1].pk) if len(rows) > limit else None
    return [_receipt(batch, failures=(), is_replay=False) for batch in rows[:limit]], next_cursor


def recharge_lines(
    *, batch_id: uuid.UUID, limit: int, cursor: str | None = None, outcome: str | None = None
) -> tuple[list[RechargeLineView], str | None]:
    """The lines of a batch in the order of the request; and the cursor of the next page.

    Args:
        batch_id: the batch.
        limit: lines of a page.
        cursor: where the page starts.
        outcome: only lines with this code; ``failed`` means any but applied.

    Raises:
        BatchNotFoundError: there is no such batch.
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    batch_by_id(batch_id=batch_id)
    lines = RechargeLine.objects.filter(batch_id=batch_id, row_no__gt=parse_cursor(cursor) or 0)
    if outcome == FAILED:
        lines = _failed(lines)
    elif outcome is not None:
        lines = lines.filter(outcome=outcome)
    rows = _line_views(lines.order_by("row_no")[: limit + 1])
    next_cursor = str(rows[limit - 1].row_no) if len(rows) > limit else None
    return list(rows[:limit]), next_cursor


def failed_lines(*, batch_id: uuid.UUID) -> Iterator[RechargeLine]:
    """Every line that moved nothing, streamed in the order of the request.

    Raises:
        BatchNotFoundError: there is no such batch.
    """
    batch_by_id(batch_id=batch_id)
    lines = _failed(RechargeLine.objects.filter(batch_id=batch_id)).order_by("row_no")
    return lines.iterator(chunk_size=2_000)


def judged_failures(*, is_refused: bool, limit: int) -> tuple[RechargeLineView, ...]:
    """The first rows of the session's judged table that would move nothing, faulty ones first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_no, item_key, user_ref, amount, outcome FROM tokens_judged"
            " WHERE %s OR outcome <> 'applied' ORDER BY outcome = 'applied', row_no LIMIT %s",
            [is_refused, limit],
        )
        rows = cursor.fetchall()
    return tuple(
        _view(row_no, key, ref, amount, Outcome.ROLLED_BACK if code == "applied" else Outcome(code))
        for row_no, key, ref, amount, code in rows
    )


def parse_cursor(cursor: str | None) -> int | None:
    """The number in a cursor of ours; None stays None.

    Raises:
        InvalidCursorError: it is not one of ours.
    """
    if cursor is None:
        return None
    if not CURSOR_PATTERN.fullmatch(cursor):
        raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor")
    return int(cursor)


def _failed(lines: QuerySet[RechargeLine]) -> QuerySet[RechargeLine]:
    return lines.exclude(outcome=Outcome.APPLIED)


def _after_batch(cursor: str) -> Q:
    try:
        batch = RechargeBatch.objects.get(pk=uuid.UUID(cursor))
    except (ValueError, RechargeBatch.DoesNotExist) as error:
        raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor") from error
    return Q(created_at__lt=batch.created_at) | Q(created_at=batch.created_at, pk__lt=batch.pk)


def _line_views(lines: Iterable[RechargeLine]) -> tuple[RechargeLineView, ...]:
    return tuple(
        _view(line.row_no, line.item_key, line.user_ref, line.amount, Outcome(line.outcome))
        for line in lines
    )


def _view(row_no: int, key: str, user_ref: str, amount: int, outcome: Outcome) -> RechargeLineView:
    is_applied = outcome is Outcome.APPLIED
    return RechargeLineView(
        row_no=row_no,
        key=key,
        user_ref=user_ref,
        amount=amount,
        code=outcome.value,
        message="" if is_applied else str(outcome.label),
    )


def _receipt(
    batch: RechargeBatch,
    *,
    failures: tuple[RechargeLineView, ...],
    is_replay: bool,
    children: Iterable[tuple[uuid.UUID, uuid.UUID | None]] = (),
) -> RechargeReceipt:
    rate, eta_s = _pace(batch)
    return RechargeReceipt(
        batch_id=batch.pk,
        mode=batch.mode.lower(),
        status=batch.status.lower(),
        operator=batch.operator,
        reason=batch.reason,
        lines_count=batch.lines_count,
        applied_count=batch.applied_count,
        tokens_total=batch.tokens_total,
        created_at=batch.created_at,
        failures=failures,
        is_replay=is_replay,
        source=batch.source.lower(),
        done_count=batch.done_count,
        tokens_requested=int(batch.tokens_requested),
        content_sha256=batch.content_sha256,
        finished_at=batch.finished_at,
        rows_per_s=rate,
        eta_s=eta_s,
        retry_of=batch.parent_id,
        reversal_of=batch.reverses_id,
        reversal_policy=batch.reversal_policy.lower(),
        retries=tuple(pk for pk, parent_id in children if parent_id == batch.pk),
        reversals=tuple(pk for pk, parent_id in children if parent_id != batch.pk),
        funding=batch.funding.lower(),
        ticket=batch.ticket,
    )


def _pace(batch: RechargeBatch) -> tuple[float | None, int | None]:
    """Rows per second of the present run and the seconds it still needs; None while unknown."""
    if batch.status != Status.APPLYING or None in {batch.progressed_at, batch.run_started_at}:
        return None, None
    assert batch.progressed_at is not None
    assert batch.run_started_at is not None
    seconds = (batch.progressed_at - batch.run_started_at).total_seconds()
    rows = batch.done_count - batch.run_done_before
    if seconds <= 0 or rows <= 0:
        return None, None
    rate = rows / seconds
    return round(rate, 1), round((batch.lines_count - batch.done_count) / rate)
