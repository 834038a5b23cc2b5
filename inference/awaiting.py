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


@transaction.atomic(durable=True)
def resolve(*, asset_id: uuid.UUID | None = None, limit: int) -> tuple[uuid.UUID, ...]:
    """Queue waiting jobs whose uploads have come, and end those whose uploads never will.

    What was announced as a picture and came as something else ends the job too: it was priced as
    what it was announced to be. Jobs that others are at are left for the next time.

    Args:
        asset_id: only jobs that use this upload; None looks at all.
        limit: at most this many jobs.

    Returns:
        Jobs whose messages the caller must send, as far as their accounts have places.
    """
    source, target = "quote__source__status", "quote__target__status"
    is_over = Q(**{source: Asset.READY, target: Asset.READY}) | Q(
        Q(**{f"{source}__in": [Asset.DELETING, Asset.DELETED]})
        | Q(**{f"{target}__in": [Asset.DELETING, Asset.DELETED]})
    )
    waiting = (
        endings.locked(skip_locked=True)
        .select_related("quote__source", "quote__target")
        .filter(is_over, status=Status.AWAITING_INPUT)
    )
    if asset_id is not None:
        waiting = waiting.filter(Q(quote__source_id=asset_id) | Q(quote__target_id=asset_id))
    owners: set[int] = set()
    for job in waiting.order_by("created_at", "pk")[:limit]:
        if _resolve(job):
            owners.add(job.owner_id)
    # In one order, so that two of these never wait for each other.
    return tuple(
        job_id for owner_id in sorted(owners) for job_id in dispatch.take_places(owner_id=owner_id)
    )


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
