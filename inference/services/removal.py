"""Media that its owner deletes: when a call returns, the bytes are gone, and a receipt says so."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from inference import media_handlers, selectors
from inference.media_errors import AssetInUseError
from inference.models import MediaAsset, SwapJob
from inference.services.jobs import delete_result
from trust import services as trust_services
from trust.types import ErasedItem, ErasureScope

Status = MediaAsset.Status
_ERASED_AT_ONCE: Final = 500
_JOBS_NAMED_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Erasure:
    """What one request to erase everything did.

    Attributes:
        receipt_id: of what it erased; None when there was nothing.
        erased_count: uploads and results.
        remaining_count: what is left for the next request.
    """

    receipt_id: uuid.UUID | None
    erased_count: int
    remaining_count: int


def delete_asset(*, owner_id: int, asset_id: uuid.UUID) -> uuid.UUID | None:
    """Delete an upload: when this returns, its bytes and its faces are gone.

    The row stays, because receipts name it. Deleting one that is deleted already does nothing.
    Owns its transactions.

    Returns:
        The receipt of erasure; None when there was nothing to erase.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
        AssetInUseError: a job that has not ended needs it.
        OSError: the storage is broken: nobody can use the upload, and the purge removes the rest.
    """
    asset = selectors.any_asset(owner_id=owner_id, asset_id=asset_id)
    if asset.status == Status.DELETED:
        return None
    media_handlers.delete_now(asset_id=asset.pk)
    return _receipt(owner_id, ErasureScope.ASSET, [_of_asset(asset)])


def erase_result(*, owner_id: int, job_id: uuid.UUID) -> uuid.UUID | None:
    """Delete the bytes of a result now; the job and its receipt stay. May be repeated.

    Owns its transactions.

    Returns:
        The receipt of erasure; None when it was deleted before.

    Raises:
        DomainError: as ``delete_result``.
    """
    job = selectors.job(owner_id=owner_id, job_id=job_id)
    was_deleted = job.result_deleted_at is not None
    delete_result(owner_id=owner_id, job_id=job_id)
    if was_deleted:
        return None
    return _receipt(owner_id, ErasureScope.RESULT, [_of_result(job)])


def erase_media(*, owner_id: int) -> Erasure:
    """Delete every upload and result of an account, up to five hundred of each at once.

    Repeat it until nothing remains: each call has a receipt of its own. Owns its transactions.

    Raises:
        AssetInUseError: jobs have not ended; nothing was erased.
        ServiceUnavailableError: the storage does not answer; repeating it erases the rest.
        OSError: likewise.
    """
    jobs = SwapJob.objects.filter(owner_id=owner_id)
    open_ids = jobs.filter(finished_at__isnull=True).order_by("pk").values_list("pk", flat=True)
    if named := [str(job_id) for job_id in open_ids[:_JOBS_NAMED_MAX]]:
        raise AssetInUseError(_("Jobs have not ended yet."), job_ids=named)
    results = jobs.filter(status=SwapJob.Status.SUCCEEDED, result_deleted_at__isnull=True)
    assets = MediaAsset.objects.filter(owner_id=owner_id).exclude(status=Status.DELETED)
    erased: list[ErasedItem] = []
    try:
        for job in list(results.order_by("pk")[:_ERASED_AT_ONCE]):
            delete_result(owner_id=owner_id, job_id=job.pk)
            erased.append(_of_result(job))
        for asset in list(assets.order_by("pk")[:_ERASED_AT_ONCE]):
            media_handlers.delete_now(asset_id=asset.pk)
            erased.append(_of_asset(asset))
    finally:
        # Also of what was erased before something broke.
        receipt_id = _receipt(owner_id, ErasureScope.ACCOUNT, erased) if erased else None
    return Erasure(
        receipt_id=receipt_id,
        erased_count=len(erased),
        remaining_count=results.count() + assets.count(),
    )


def _receipt(owner_id: int, scope: ErasureScope, items: list[ErasedItem]) -> uuid.UUID:
    return trust_services.issue_receipt(owner_id=owner_id, scope=scope, items=items).pk


def _of_asset(asset: MediaAsset) -> ErasedItem:
    return ErasedItem(
        kind="asset",
        id=asset.pk,
        sha256=asset.sha256,
        received_sha256=asset.received_sha256,
        bytes=asset.size_bytes,
    )


def _of_result(job: SwapJob) -> ErasedItem:
    return ErasedItem(
        kind="result",
        id=job.pk,
        sha256=job.result_sha256,
        received_sha256="",
        bytes=job.result_size_bytes,
    )
