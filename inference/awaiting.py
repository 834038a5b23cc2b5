"""Jobs that were accepted before their uploads were complete."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import transaction
from django.db.models import Q

from inference import dispatch, endings
from inference.errors import FailureCode
from inference.models import MediaAsset, SwapJob, SwapQuote

Status = SwapJob.Status
Asset = MediaAsset.Status
_TARGET_KINDS: Final = {
    SwapQuote.Operation.IMAGE_SWAP: MediaAsset.Kind.IMAGE,
    SwapQuote.Operation.VIDEO_SWAP: MediaAsset.Kind.VIDEO,
}


def over_job_ids(*, asset_id: uuid.UUID | None = None, limit: int) -> list[uuid.UUID]:
    """Jobs that wait although their uploads have come, or never will; the oldest first.

    Args:
        asset_id: only jobs that use this upload; None looks at all.
        limit: at most this many.
    """
    source, target = "quote__source__status", "quote__target__status"
    gone = [Asset.DELETING, Asset.DELETED]
    is_over = (
        Q(**{source: Asset.READY, target: Asset.READY})
        | Q(**{f"{source}__in": gone})
        | Q(**{f"{target}__in": gone})
    )
    waiting = SwapJob.objects.filter(is_over, status=Status.AWAITING_INPUT)
    if asset_id is not None:
        waiting = waiting.filter(Q(quote__source_id=asset_id) | Q(quote__target_id=asset_id))
    return list(waiting.order_by("created_at", "pk").values_list("pk", flat=True)[:limit])


@transaction.atomic(durable=True)
def resolve(*, job_id: uuid.UUID) -> tuple[uuid.UUID, ...]:
    """Queue a waiting job whose uploads have come, or end one whose uploads never will.

    What was announced as a picture and came as something else ends the job too: it was priced as
    what it was announced to be. A job that others are at is left for the next time.

    Returns:
        Jobs whose messages the caller must send, as far as the account has places.
    """
    job = (
        endings.locked(skip_locked=True)
        .select_related("quote__source", "quote__target")
        .filter(pk=job_id, status=Status.AWAITING_INPUT)
        .first()
    )
    if job is None or not _resolve(job):
        return ()
    return dispatch.take_places(owner_id=job.owner_id)


def _resolve(job: SwapJob) -> bool:
    """Whether the job may go to a worker now."""
    quote = job.quote
    if not (quote.source.status == quote.target.status == Asset.READY):
        endings.end_failed(job, code=FailureCode.INPUT_DELETED, detail="An upload is gone.")
        return False
    kinds = (quote.source.kind, quote.target.kind)
    if kinds != (MediaAsset.Kind.IMAGE, _TARGET_KINDS[SwapQuote.Operation(quote.operation)]):
        endings.end_failed(
            job, code=FailureCode.INPUT_MISMATCH, detail="An upload is of another kind."
        )
        return False
    job.status = Status.QUEUED
    job.save(update_fields=["status"])
    return True
