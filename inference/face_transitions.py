"""The only writer of face searches. Each step is one short transaction.

A search is claimed, renewed and fenced like a job, on the database's clock; but nothing is paid
for, so a search that is lost costs nobody anything.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest, Now

from inference.errors import FailureCode
from inference.models import AssetFace, FaceSearch, MediaAsset, SwapJob
from inference.types import FACE_MODEL_SET, FaceClaim, FaceCounts

Status = FaceSearch.Status
# A message is taken for lost when its search still waits this many leases after it was sent.
_RESEND_AFTER_LEASES: Final = 2


@transaction.atomic(durable=True)
def request(*, asset: MediaAsset) -> tuple[FaceSearch, bool]:
    """The search of an upload; a new one, or one that failed or expired, is put into the queue.

    Returns:
        The search, and whether its message must be sent.
    """
    locked = FaceSearch.objects.select_for_update(no_key=True)
    search, is_new = locked.get_or_create(asset=asset, model_set=FACE_MODEL_SET)
    if is_new:
        return search, True
    if search.status not in (Status.FAILED, Status.EXPIRED):
        return search, False
    search.status = Status.QUEUED
    search.error_code = search.error_detail = ""
    search.attempts_before = search.attempt
    search.save()
    FaceSearch.objects.filter(pk=search.pk).update(sent_at=Now())
    return search, True


@transaction.atomic(durable=True)
def claim(*, search_id: uuid.UUID) -> FaceClaim | None:
    """Take a search that waits, or whose worker stopped renewing its lease.

    Returns:
        The right to run one attempt, or None when there is nothing to run.
    """
    lapsed = Q(
        status=Status.RUNNING,
        lease_expires_at__lt=Now(),
        attempt__lt=F("attempts_before") + settings.JOB_ATTEMPTS_MAX,
    )
    is_taken = FaceSearch.objects.filter(Q(status=Status.QUEUED) | lapsed, pk=search_id).update(
        status=Status.RUNNING, attempt=F("attempt") + 1, lease_expires_at=Now() + _lease()
    )
    if not is_taken:
        return None
    search = FaceSearch.objects.select_related("asset").get(pk=search_id)
    return FaceClaim(
        search_id=search.pk,
        attempt=search.attempt,
        asset_id=search.asset_id,
        file_key=search.asset.file_key,
        is_video=search.asset.kind == MediaAsset.Kind.VIDEO,
    )


def renew(*, claim: FaceClaim) -> bool:
    """Keep the lease; False when somebody else owns the search, or it is forgotten."""
    return bool(_owned(claim).update(lease_expires_at=Now() + _lease()))


@transaction.atomic(durable=True)
def finish(*, claim: FaceClaim, faces: Sequence[AssetFace], counts: FaceCounts) -> bool:
    """Keep what was found, in place of what was found before.

    Returns:
        False when somebody else owns the search, it is forgotten, or its upload is being deleted;
        then nothing changes.
    """
    is_owner = (
        _owned(claim)
        .filter(asset__status=MediaAsset.Status.READY)
        .update(
            status=Status.DONE,
            lease_expires_at=None,
            samples_count=counts.samples,
            turned_away_count=counts.turned_away,
            left_out_count=counts.left_out,
            expires_at=Now() + dt.timedelta(seconds=settings.FACES_TTL_S),
        )
    )
    if not is_owner:
        return False
    AssetFace.objects.filter(search_id=claim.search_id).delete()
    AssetFace.objects.bulk_create(faces)
    return True


def fail(*, claim: FaceClaim, code: str, detail: str) -> bool:
    """End the search without faces; False when it is not the caller's any more."""
    return bool(
        _owned(claim).update(
            status=Status.FAILED, lease_expires_at=None, error_code=code, error_detail=detail
        )
    )


@transaction.atomic(durable=True)
def retry(*, claim: FaceClaim, detail: str) -> bool:
    """Put the search back into the queue after a fault of ours; give up after the last attempt.

    Returns:
        True when the search's message must be sent again.
    """
    search = _owned(claim).select_for_update(no_key=True).first()
    if search is None:
        return False
    if search.attempt - search.attempts_before >= settings.JOB_ATTEMPTS_MAX:
        fail(claim=claim, code=FailureCode.INTERNAL_ERROR, detail=detail)
        return False
    _owned(claim).update(status=Status.QUEUED, lease_expires_at=None, sent_at=Now())
    return True


@transaction.atomic
def forget(*, asset_id: uuid.UUID) -> bool:
    """Delete all that is known of the faces of an upload; who searches it now will be refused.

    Joins the caller's transaction, if there is one. The thumbnails are the caller's to remove, with
    ``storage.delete_faces``, after the commit.

    Returns:
        Whether anything was known.
    """
    deleted, _per_model = FaceSearch.objects.filter(asset_id=asset_id).delete()
    return deleted > 0


def keep_until(*, search_ids: Sequence[uuid.UUID], moment: dt.datetime) -> None:
    """Have faces that a promise names outlive it."""
    FaceSearch.objects.filter(pk__in=search_ids, status=Status.DONE).update(
        expires_at=Greatest(F("expires_at"), Value(moment))
    )


@transaction.atomic(durable=True)
def unsent(*, limit: int) -> list[uuid.UUID]:
    """Searches whose message or worker seems lost; the caller must send their messages.

    Those whose last attempt was lost fail here.
    """
    lapsed = FaceSearch.objects.filter(status=Status.RUNNING, lease_expires_at__lt=Now())
    lapsed.filter(attempt__gte=F("attempts_before") + settings.JOB_ATTEMPTS_MAX).update(
        status=Status.FAILED,
        lease_expires_at=None,
        error_code=FailureCode.WORKER_LOST,
        error_detail="The lease of the last attempt lapsed.",
    )
    sent_before = Now() - _lease() * _RESEND_AFTER_LEASES
    due = FaceSearch.objects.filter(
        Q(status=Status.QUEUED, sent_at__lt=sent_before)
        | Q(status=Status.RUNNING, lease_expires_at__lt=Now())
    )
    found = list(
        due.select_for_update(skip_locked=True, no_key=True)
        .order_by("sent_at", "pk")
        .values_list("pk", flat=True)[:limit]
    )
    # A lapsed one keeps its status: whoever claims it takes the next attempt.
    FaceSearch.objects.filter(pk__in=found).update(sent_at=Now())
    return found


@transaction.atomic(durable=True)
def expire(*, limit: int) -> list[uuid.UUID]:
    """Forget faces whose time is over, except of uploads that a job needs which has not ended.

    Returns:
        Their uploads; the caller must remove the thumbnails.
    """
    jobs = SwapJob.objects.filter(
        Q(quote__source=OuterRef("asset")) | Q(quote__target=OuterRef("asset")),
        finished_at__isnull=True,
    )
    due = list(
        FaceSearch.objects.filter(~Exists(jobs), status=Status.DONE, expires_at__lt=Now())
        .select_for_update(skip_locked=True, no_key=True)
        .order_by("expires_at", "pk")[:limit]
    )
    ids = [search.pk for search in due]
    AssetFace.objects.filter(search_id__in=ids).delete()
    FaceSearch.objects.filter(pk__in=ids).update(status=Status.EXPIRED, expires_at=None)
    return [search.asset_id for search in due]


def _owned(claim: FaceClaim) -> QuerySet[FaceSearch]:
    return FaceSearch.objects.filter(
        pk=claim.search_id, status=Status.RUNNING, attempt=claim.attempt
    )


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.JOB_LEASE_S)
