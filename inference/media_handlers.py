"""Removal of uploads, on demand and when their time is over.

No transaction is open while files are removed: an upload is first taken out of use, then its bytes
go, then the row says so. A crash in between is finished by the next purge.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

import structlog
from django.utils import timezone

from inference import asset_transitions, face_transitions, storage
from inference.media_errors import AssetInUseError
from inference.models import MediaAsset

log = structlog.get_logger(__name__)
_PURGE_LIMIT: Final = 500
# Longer than an address to upload to ever works.
_INCOMING_KEEP: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What one purge did.

    Attributes:
        deleted_count: uploads whose time was over.
        finished_count: deletions that a crash had left unfinished.
        in_use_count: uploads whose time is over and that a job still needs.
        failed_count: uploads whose files could not be removed; the next purge tries again.
    """

    deleted_count: int
    finished_count: int
    in_use_count: int
    failed_count: int


def remove_bytes(*, asset: MediaAsset) -> None:
    """Remove all files of an upload that is out of use, and say so.

    Raises:
        OSError: the storage is broken; the purge tries again.
    """
    storage.delete_media(asset.file_key)
    storage.delete_incoming(asset_id=asset.pk)
    face_transitions.forget(asset_id=asset.pk)
    storage.delete_faces(asset_id=asset.pk)
    asset_transitions.finish_deletion(asset_id=asset.pk)


def purge_media(*, limit: int = _PURGE_LIMIT) -> PurgeReport:
    """Delete uploads whose time is over, and finish deletions that were broken off.

    Args:
        limit: at most this many of each kind a run, so that a run stays short.
    """
    left_over = asset_transitions.half_deleted(limit=limit)
    finished_count = sum(_try_to_remove(asset) for asset in left_over)
    now = timezone.now()
    overdue_ids = asset_transitions.overdue(now=now, limit=limit)
    in_use_count = deleted_count = failed_count = 0
    for asset_id in overdue_ids:
        try:
            is_taken = asset_transitions.start_deletion(asset_id=asset_id, expired_before=now)
        except AssetInUseError:
            in_use_count += 1
            continue
        if not is_taken:
            continue
        if _try_to_remove(MediaAsset.objects.get(pk=asset_id)):
            deleted_count += 1
        else:
            failed_count += 1
    report = PurgeReport(
        deleted_count=deleted_count,
        finished_count=finished_count,
        in_use_count=in_use_count,
        failed_count=failed_count + len(left_over) - finished_count,
    )
    log.info(
        "inference.media.purged",
        deleted_count=report.deleted_count,
        finished_count=report.finished_count,
        in_use_count=report.in_use_count,
        failed_count=report.failed_count,
    )
    return report


def sweep_incoming(*, now: dt.datetime | None = None) -> int:
    """Remove bytes that came for an upload which does not wait for them any more.

    They are there when a crash came between an upload's row and its files, and when somebody sent
    them a second time while the address still worked. Files that were written to within the last
    day are left alone, and so are those of uploads that wait: the purge ends these in their time.

    Returns:
        The number of files.
    """
    removed_count = 0
    for found in storage.stale_incoming(before=(now or timezone.now()) - _INCOMING_KEEP):
        awaited = asset_transitions.awaited(asset_ids=[pk for pk in found.values() if pk])
        for key, asset_id in found.items():
            if asset_id not in awaited:
                storage.delete_stale(key)
                removed_count += 1
    if removed_count:
        log.info("inference.incoming.swept", files=removed_count)
    return removed_count


def _try_to_remove(asset: MediaAsset) -> bool:
    try:
        remove_bytes(asset=asset)
    except OSError:
        log.exception("inference.media.not_removed", asset_id=str(asset.pk))
        return False
    return True


def delete_now(*, asset_id: uuid.UUID) -> None:
    """Delete an upload: when this returns, its bytes are gone.

    Deleting one that is deleted already does nothing.

    Raises:
        AssetInUseError: a job that has not ended needs it.
        OSError: the storage is broken: nobody can use the upload, and the purge removes the rest.
    """
    asset_transitions.start_deletion(asset_id=asset_id)
    asset = MediaAsset.objects.get(pk=asset_id)
    if asset.status == MediaAsset.Status.DELETING:
        remove_bytes(asset=asset)
        log.info("inference.media.deleted", asset_id=str(asset_id))
