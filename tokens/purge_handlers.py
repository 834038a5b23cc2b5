"""Bodies of the tasks that throw away what is of no use any more."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction

from tokens.ledger import staged_rows
from tokens.ledger.staged_rows import StagedCount

log = structlog.get_logger(__name__)
_BATCHES_PER_ROUND: Final = 100


def staged_rows_due() -> StagedCount:
    """What ``purge_staged_rows`` would throw away at this moment."""
    return staged_rows.count_due(keep_days=settings.RECHARGE_CHUNK_KEEP_DAYS)


def purge_staged_rows(*, progress: Callable[[int], None] | None = None) -> StagedCount:
    """Throw away the staged rows of batches that ended RECHARGE_CHUNK_KEEP_DAYS days ago.

    One transaction per batch, so that a run that is cut short loses at most one batch's work.

    Args:
        progress: told how many rows have gone since it was told last.

    Returns:
        What this run threw away; what another run did meanwhile is not counted.
    """
    total = StagedCount()
    while batch_ids := staged_rows.due_batches(
        keep_days=settings.RECHARGE_CHUNK_KEEP_DAYS, limit=_BATCHES_PER_ROUND
    ):
        for batch_id in batch_ids:
            count = _purge(batch_id=batch_id)
            total += count
            if progress is not None:
                progress(count.rows)
    if total.batches:
        log.info("tokens.staged_rows.purged", batches=total.batches, rows=total.rows)
    return total


@transaction.atomic(durable=True)
def _purge(*, batch_id: uuid.UUID) -> StagedCount:
    return staged_rows.purge(batch_id=batch_id)
