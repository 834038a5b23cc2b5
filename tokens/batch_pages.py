"""What the console shows of a batch: progress, result, rows; no change of anything."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from tokens import draft_selectors, recharge_selectors
from tokens.models import RechargeBatch, RechargeLine
from tokens.verdict_texts import verdict_text

LINES_PER_PAGE = 50
Status = RechargeBatch.Status
UNFINISHED = frozenset({Status.PENDING_APPROVAL, Status.QUEUED, Status.APPLYING, Status.PAUSED})
RUNNING = frozenset({Status.QUEUED, Status.APPLYING})
RETRYABLE = frozenset({Status.PARTIALLY_APPLIED, Status.FAILED, Status.STOPPED})


def batch_context(batch: RechargeBatch) -> dict[str, Any]:
    """The batch as its page shows it."""
    receipt = recharge_selectors.receipt(batch, is_replay=False)
    failures = [
        (code, verdict_text(code), count)
        for code, count in recharge_selectors.outcomes(batch_id=batch.pk).items()
        if code != RechargeLine.Outcome.APPLIED
    ]
    return {
        "batch": batch,
        "receipt": receipt,
        "failures": failures,
        "progress": progress(batch),
        "approval_id": getattr(getattr(batch, "approval_request", None), "pk", None),
        "is_running": batch.status in RUNNING,
        "is_paused": batch.status == Status.PAUSED,
        "is_unfinished": batch.status in UNFINISHED,
        "can_retry": batch.status in RETRYABLE and not receipt.retries,
        "can_reverse": batch.finished_at is not None
        and batch.applied_count > 0
        and batch.reverses_id is None,
    }


def progress(batch: RechargeBatch) -> dict[str, Any]:
    """How far a batch is: percent, words, and whether it rests for good."""
    receipt = recharge_selectors.receipt(batch, is_replay=False)
    words = _("%(done)s of %(all)s rows") % {
        "done": _number(batch.done_count),
        "all": _number(batch.lines_count),
    }
    if receipt.rows_per_s is not None:
        words += " · " + _("%(rate)s rows a second") % {"rate": _number(int(receipt.rows_per_s))}
    if receipt.eta_s is not None:
        words += " · " + _("about %(seconds)s s left") % {"seconds": _number(receipt.eta_s)}
    return {
        "percent": batch.done_count * 100 // batch.lines_count,
        "words": words,
        "text": batch.get_status_display(),
        "status": batch.status,
        "is_done": batch.status not in UNFINISHED,
    }


def line_page(batch: RechargeBatch, *, number: int, code: str) -> Page[RechargeLine]:
    """One page of the lines; ``code`` is an outcome, ``failed`` for all but applied, or empty."""
    lines = RechargeLine.objects.filter(batch_id=batch.pk).order_by("row_no")
    if code == recharge_selectors.FAILED:
        lines = lines.exclude(outcome=RechargeLine.Outcome.APPLIED)
    elif code:
        lines = lines.filter(outcome=code)
    return Paginator(lines, LINES_PER_PAGE).get_page(number)


def reversal_rows(texts: list[str]) -> str:
    """Row numbers out of a query as the form of reversals takes them."""
    numbers = {int(text) for text in texts if text.isascii() and text.isdigit()}
    return ",".join(map(str, sorted(numbers)))


def failures_source(batch: RechargeBatch) -> tuple[list[str], dict[int, list[str]]]:
    """Columns and cells as they were sent, where the batch came of a draft."""
    return draft_selectors.sent_cells(batch_id=batch.pk)


def _number(value: int) -> str:
    return str(number_format(value, use_l10n=False, force_grouping=True))
