"""The only writer of uploads. Each step is one short transaction.

An account's quota is counted under a lock of its own, so uploads that arrive at once never exceed
it together. An upload is deleted in two steps: from the first on nobody can use it, and the second
says that its bytes are gone; what a crash leaves in between is found by the purge.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.media_errors import (
    AssetDeletedError,
    AssetInUseError,
    StorageQuotaError,
    TooManyOpenUploadsError,
)
from inference.media_limits import MediaLimits
from inference.models import MediaAsset, SwapJob, SwapQuote

Status = MediaAsset.Status
_QUOTA_LOCK: Final = "media-quota"
_JOBS_NAMED_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found in a file that is already stored.

    Attributes:
        key: where it lies.
        kind: a ``MediaAsset.Kind``.
        columns: what else the row says about it.
    """

    key: str
    kind: MediaAsset.Kind
    size_bytes: int
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says about an upload whose bytes it will send."""

    key: str
    kind: MediaAsset.Kind
    name: str
    content_type: str
    size_bytes: int
    sha256: str


@transaction.atomic(durable=True)
def admit(
    *, asset_id: uuid.UUID, owner_id: int, name: str, facts: FileFacts, limits: MediaLimits
) -> MediaAsset:
    """Keep a stored file as an upload of an account.

    Raises:
        StorageQuotaError: the account keeps too much already; nothing is stored.
    """
    _check_quota(owner_id=owner_id, limits=limits, adds_bytes=facts.size_bytes)
    return MediaAsset.objects.create(
        id=asset_id,
        owner_id=owner_id,
        status=Status.READY,
        kind=facts.kind,
        file_key=facts.key,
        original_name=name,
        size_bytes=facts.size_bytes,
        expires_at=timezone.now() + limits.keep,
        **facts.columns,
    )


@transaction.atomic(durable=True)
def announce(
    *, asset_id: uuid.UUID, owner_id: int, announced: Announcement, limits: MediaLimits
) -> MediaAsset:
    """Open an upload; its announced bytes count as kept from now on.

    Raises:
        StorageQuotaError: the account keeps too much already.
        TooManyOpenUploadsError: too many announced uploads are open.
    """
    _check_quota(owner_id=owner_id, limits=limits, adds_bytes=announced.size_bytes)
    open_count = MediaAsset.objects.filter(owner_id=owner_id, status=Status.PENDING_UPLOAD).count()
    if open_count >= settings.UPLOADS_OPEN_MAX:
        raise TooManyOpenUploadsError(
            _("You may have %(max)d announced uploads at once.")
            % {"max": settings.UPLOADS_OPEN_MAX},
            open_max=settings.UPLOADS_OPEN_MAX,
        )
    return MediaAsset.objects.create(
        id=asset_id,
        owner_id=owner_id,
        status=Status.PENDING_UPLOAD,
        kind=announced.kind,
        file_key=announced.key,
        original_name=announced.name,
        content_type=announced.content_type,
        size_bytes=announced.size_bytes,
        received_sha256=announced.sha256,
        upload_expires_at=timezone.now() + dt.timedelta(seconds=settings.UPLOAD_URL_TTL_S),
    )


@transaction.atomic(durable=True)
def complete(*, asset: MediaAsset, facts: FileFacts, limits: MediaLimits) -> bool:
    """Put the checked file in the place of the announced one.

    Returns:
        False when the upload is not waiting any more; then nothing changes.

    Raises:
        StorageQuotaError: what is kept is larger than what was announced, and too large.
    """
    _check_quota(owner_id=asset.owner_id, limits=limits, adds_bytes=facts.size_bytes, without=asset)
    return bool(
        MediaAsset.objects.filter(pk=asset.pk, status=Status.PENDING_UPLOAD).update(
            status=Status.READY,
            kind=facts.kind,
            file_key=facts.key,
            size_bytes=facts.size_bytes,
            expires_at=timezone.now() + limits.keep,
            **facts.columns,
        )
    )


def assets_of(quote: SwapQuote) -> set[uuid.UUID]:
    """The uploads that a job of this quote reads."""
    further = quote.options.get("source_asset_ids", ())
    return {quote.source_id, quote.target_id, *(uuid.UUID(asset_id) for asset_id in further)}


def keep(*, asset_ids: Collection[uuid.UUID]) -> None:
    """Make sure that uploads are not deleted before the caller's transaction ends.

    A job that is accepted in it is then seen by whoever wants to delete one of them.

    Raises:
        AssetDeletedError: one of them is deleted already.
    """
    with connection.cursor() as cursor:
        # A share lock, which the ORM has no word for: jobs of one upload do not wait for another.
        cursor.execute(
            "SELECT count(*) FILTER (WHERE status IN ('DELETING', 'DELETED')) FROM ("
            "SELECT status FROM inference_mediaasset WHERE id = ANY(%s) ORDER BY id FOR SHARE"
            ") AS kept",
            [list(asset_ids)],
        )
        (gone_count,) = cursor.fetchone()
    if gone_count:
        raise AssetDeletedError(_("An upload that this needs was deleted."))


def awaited(*, asset_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the uploads whose bytes may still come. One query."""
    waiting = MediaAsset.objects.filter(pk__in=asset_ids, status=Status.PENDING_UPLOAD)
    return set(waiting.values_list("pk", flat=True))


@transaction.atomic(durable=True)
def start_deletion(*, asset_id: uuid.UUID, expired_before: dt.datetime | None = None) -> bool:
    """Take an upload out of use, unless a job that has not ended needs it.

    Args:
        asset_id: which one.
        expired_before: only if its time was over then; None deletes it whatever its time.

    Returns:
        False when there was nothing to take: it is being deleted, or its time is not over.

    Raises:
        AssetInUseError: a job needs it.
    """
    rows = MediaAsset.objects.filter(pk=asset_id, status__in=[Status.READY, Status.PENDING_UPLOAD])
    if expired_before is not None:
        rows = rows.filter(_is_over(expired_before))
    # Conflicts with the share lock of keep().
    asset = rows.select_for_update(no_key=True).first()
    if asset is None:
        return False
    job_ids = _job_ids_using(asset)
    if job_ids:
        raise AssetInUseError(
            _("Jobs that have not ended need this upload."),
            job_ids=[str(job_id) for job_id in job_ids],
        )
    asset.status = Status.DELETING
    asset.save(update_fields=["status"])
    return True


@transaction.atomic(durable=True)
def finish_deletion(*, asset_id: uuid.UUID) -> None:
    """Say that the bytes of an upload are gone. The row stays for the receipts that name it."""
    MediaAsset.objects.filter(pk=asset_id, status=Status.DELETING).update(
        status=Status.DELETED, deleted_at=timezone.now(), original_name=""
    )


def overdue(*, now: dt.datetime, limit: int) -> list[uuid.UUID]:
    """Uploads whose time is over, the longest overdue first, those in use left out."""
    jobs = _open_jobs().filter(Q(quote__source=OuterRef("pk")) | Q(quote__target=OuterRef("pk")))
    rows = MediaAsset.objects.filter(_is_over(now), ~Exists(jobs))
    return list(rows.order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])


def half_deleted(*, limit: int) -> list[MediaAsset]:
    """Uploads out of use whose bytes may still be there."""
    return list(MediaAsset.objects.filter(status=Status.DELETING).order_by("pk")[:limit])


def _is_over(now: dt.datetime) -> Q:
    return Q(status=Status.READY, expires_at__lt=now) | Q(
        status=Status.PENDING_UPLOAD, upload_expires_at__lt=now
    )


def _check_quota(
    *, owner_id: int, limits: MediaLimits, adds_bytes: int, without: MediaAsset | None = None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{_QUOTA_LOCK}:{owner_id}"]
        )
    rows = MediaAsset.objects.filter(owner_id=owner_id).exclude(status=Status.DELETED)
    if without is not None:
        rows = rows.exclude(pk=without.pk)
    kept = rows.aggregate(count=Count("pk"), size=Sum("size_bytes"))
    if (
        kept["count"] + 1 > limits.stored_count_max
        or (kept["size"] or 0) + adds_bytes > limits.stored_bytes_max
    ):
        raise StorageQuotaError(
            _("Your plan keeps %(count)d files with %(size)d bytes together.")
            % {"count": limits.stored_count_max, "size": limits.stored_bytes_max},
            stored_count=kept["count"],
            stored_count_max=limits.stored_count_max,
            stored_bytes=kept["size"] or 0,
            stored_bytes_max=limits.stored_bytes_max,
        )


def _open_jobs() -> QuerySet[SwapJob]:
    return SwapJob.objects.filter(finished_at__isnull=True)


def _job_ids_using(asset: MediaAsset) -> list[uuid.UUID]:
    # Options may name further sources.
    is_named = Q(quote__options__icontains=str(asset.pk))
    using = _open_jobs().filter(
        Q(quote__source=asset) | Q(quote__target=asset) | is_named, owner_id=asset.owner_id
    )
    return list(using.order_by("pk").values_list("pk", flat=True)[:_JOBS_NAMED_MAX])
