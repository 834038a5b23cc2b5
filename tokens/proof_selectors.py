"""Read queries on the proof of the books: seals, runs, audit events, closed months."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tokens.errors import InvalidCursorError
from tokens.models import AuditEvent, MonthClose, ReconBreak, ReconRun, SealBlock, SnapshotDay
from tokens.recharge_selectors import parse_cursor


@dataclass(frozen=True, slots=True)
class ProofStatus:
    """Where the proof of the books stands; None where there is nothing yet."""

    head: SealBlock | None
    last_snapshot: SnapshotDay | None
    last_run: ReconRun | None
    last_failed_run: ReconRun | None
    last_closed_month: MonthClose | None

    @property
    def is_proven(self) -> bool:
        """True when the newest run found nothing."""
        return self.last_run is not None and self.last_run.status == ReconRun.Status.PASSED


@dataclass(frozen=True, slots=True)
class DayProof:
    """What the last proof of a day found: ``passed``, ``failed``, or ``none`` where there was none.

    A day is one of UTC on which the proof ran, not one that it is about.
    """

    day: dt.date
    outcome: str
    run_id: uuid.UUID | None


def days_proven(*, first: dt.date, last: dt.date) -> list[DayProof]:
    """The last proof of every day of the range. One query over the index of runs."""
    start = dt.datetime.combine(first, dt.time(), tzinfo=dt.UTC)
    end = dt.datetime.combine(last, dt.time(), tzinfo=dt.UTC) + dt.timedelta(days=1)
    runs = ReconRun.objects.filter(started_at__gte=start, started_at__lt=end)
    rows = runs.order_by("started_at", "pk").values_list("started_at", "status", "pk")
    newest = {at.astimezone(dt.UTC).date(): (status, pk) for at, status, pk in rows}
    found = []
    for number in range((last - first).days + 1):
        day = first + dt.timedelta(days=number)
        status, run_id = newest.get(day, ("none", None))
        found.append(DayProof(day, status.lower(), run_id))
    return found


def proof_status() -> ProofStatus:
    """Where the proof of the books stands."""
    runs = ReconRun.objects.order_by("-started_at", "-id")
    closed = MonthClose.objects.filter(reopened_at__isnull=True).select_related("closed_by")
    return ProofStatus(
        head=SealBlock.objects.order_by("-number").first(),
        last_snapshot=SnapshotDay.objects.order_by("-day").first(),
        last_run=runs.first(),
        last_failed_run=runs.filter(status=ReconRun.Status.FAILED).first(),
        last_closed_month=closed.order_by("-month").first(),
    )


def seals(*, limit: int, cursor: str | None = None) -> tuple[list[SealBlock], str | None]:
    """Blocks of the chain, newest first; and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    blocks = SealBlock.objects.order_by("-number")
    before = parse_cursor(cursor)
    if before is not None:
        blocks = blocks.filter(number__lt=before)
    rows = list(blocks[: limit + 1])
    return rows[:limit], str(rows[limit - 1].pk) if len(rows) > limit else None


def audit_events(
    *, limit: int, cursor: str | None = None, subject: str = "", actor_id: int | None = None
) -> tuple[list[AuditEvent], str | None]:
    """Audit events, newest first; and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    events = AuditEvent.objects.select_related("actor").order_by("-pk")
    before = parse_cursor(cursor)
    if before is not None:
        events = events.filter(pk__lt=before)
    if subject:
        events = events.filter(subject=subject)
    if actor_id is not None:
        events = events.filter(actor_id=actor_id)
    rows = list(events[: limit + 1])
    return rows[:limit], str(rows[limit - 1].pk) if len(rows) > limit else None


def recon_runs(*, limit: int, cursor: str | None = None) -> tuple[list[ReconRun], str | None]:
    """Runs, newest first; and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    runs = ReconRun.objects.order_by("-started_at", "-id")
    if cursor is not None:
        runs = runs.filter(_after_run(cursor))
    rows = list(runs[: limit + 1])
    return rows[:limit], str(rows[limit - 1].pk) if len(rows) > limit else None


def open_breaks_count() -> int:
    """Breaks that nobody has resolved."""
    return ReconBreak.objects.exclude(status=ReconBreak.Status.RESOLVED).count()


def is_newest_run(*, run_id: uuid.UUID) -> bool:
    """Whether no run came after this one."""
    newest = ReconRun.objects.order_by("-started_at", "-id").values_list("pk", flat=True).first()
    return newest == run_id


def closed_months() -> list[MonthClose]:
    """Every closing, also those that were reopened, newest month first."""
    closings = MonthClose.objects.select_related("closed_by", "reopened_by")
    return list(closings.order_by("-month", "-closed_at"))


def _after_run(cursor: str) -> Q:
    try:
        run = ReconRun.objects.get(pk=uuid.UUID(cursor))
    except (ValueError, ReconRun.DoesNotExist) as error:
        raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor") from error
    return Q(started_at__lt=run.started_at) | Q(started_at=run.started_at, pk__lt=run.pk)
