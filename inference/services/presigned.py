"""Uploads in three steps: announce, send the bytes to an address, complete.

The flow is the same wherever media lies. The address leads to a bucket where there is one, and else
to this server; it is good for one upload, for the announced number of bytes, and for a while.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import mimetypes
import uuid
from dataclasses import dataclass
from typing import Final, Protocol

from django.conf import settings
from django.core.signing import Signer
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from inference import asset_transitions, selectors, storage
from inference.asset_transitions import Announcement
from inference.media_errors import (
    AssetDeletedError,
    UploadCompletedError,
    UploadExpiredError,
    UploadIncompleteError,
    UploadMismatchError,
    UploadUrlError,
)
from inference.media_limits import MediaLimits, limits_of
from inference.models import MediaAsset
from inference.services.jobs import release_waiting_jobs
from inference.services.uploads import (
    display_name,
    require_admissible,
    store_checked,
    upload_too_large,
)

_SALT: Final = "inference.upload"
_BLOCK_BYTES: Final = 256 * 1024
_UNKNOWN_TYPE: Final = "application/octet-stream"
Status = MediaAsset.Status


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many of the next bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where and how the client sends the bytes; ``url`` is a path if it leads to this server."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An announced upload, and where its bytes go."""

    asset: MediaAsset
    target: UploadTarget


def announce_upload(
    *,
    owner_id: int,
    name: str,
    size_bytes: int,
    sha256: str = "",
    content_type: str = "",
) -> OpenUpload:
    """Open an upload for bytes that will be sent on their own.

    Args:
        owner_id: whose upload.
        name: what the client calls the file; without ``content_type`` its suffix tells the kind.
        size_bytes: exactly so many bytes must come; they count as kept at once.
        sha256: 64 hex digits that the bytes must have; empty does not check.
        content_type: what the client takes the file for; the bytes decide in the end.

    Raises:
        UploadTooLargeError: more bytes than the account's plan allows of the kind.
        StorageQuotaError: the account keeps too much already.
        TooManyOpenUploadsError: too many announced uploads are open.
    """
    limits = limits_of(owner_id=owner_id)
    said = content_type or mimetypes.guess_type(name)[0] or _UNKNOWN_TYPE
    kind = MediaAsset.Kind.VIDEO if said.startswith("video/") else MediaAsset.Kind.IMAGE
    bytes_max = _bytes_max(kind, limits)
    if size_bytes > bytes_max:
        raise upload_too_large(bytes_max=bytes_max)
    asset_id = uuid.uuid4()
    asset = asset_transitions.announce(
        asset_id=asset_id,
        owner_id=owner_id,
        announced=Announcement(
            key=storage.incoming_key(asset_id=asset_id),
            kind=kind,
            name=display_name(name),
            content_type=said,
            size_bytes=size_bytes,
            sha256=sha256,
        ),
        limits=limits,
    )
    return OpenUpload(asset=asset, target=_target(asset))


def receive_bytes(
    *, asset_id: uuid.UUID, signature: str, stream: Readable, content_length: int | None
) -> None:
    """Take the bytes of an announced upload from a client that has its address.

    They go to the disk block by block. May be repeated until the upload is completed.

    Raises:
        UploadUrlError: the address is not one that was given out.
        UploadExpiredError: too late.
        UploadCompletedError: the upload has been completed.
        UploadMismatchError: another number of bytes, or other bytes, than announced.
    """
    # As bytes: of texts it takes ASCII alone.
    if not hmac.compare_digest(signature.encode(), _signature(asset_id).encode()):
        raise UploadUrlError(_("This is not an address that was given for an upload."))
    asset = MediaAsset.objects.filter(pk=asset_id).first()
    if asset is None:
        raise UploadUrlError(_("This is not an address that was given for an upload."))
    _check_open(asset)
    if content_length != asset.size_bytes:
        raise _wrong_size(asset)
    digest = hashlib.sha256()
    left = asset.size_bytes
    with storage.new_file(asset.file_key) as path, path.open("wb") as out:
        while left and (block := stream.read(min(_BLOCK_BYTES, left))):
            left -= len(block)
            digest.update(block)
            out.write(block)
        if left:
            raise _wrong_size(asset)
        _check_digest(asset, digest.hexdigest())
    asset.refresh_from_db(fields=["status", "upload_expires_at"])
    if asset.status != Status.PENDING_UPLOAD:
        # It was completed or deleted meanwhile: nobody would look for these bytes again.
        storage.delete_incoming(asset_id=asset_id)
        _check_open(asset)


def complete_upload(*, owner_id: int, asset_id: uuid.UUID) -> MediaAsset:
    """Look into the bytes that were sent and keep them; repeating it changes nothing.

    Bytes that are refused are removed, and the upload stays open for better ones.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
        UploadExpiredError: too late.
        AssetDeletedError: it was deleted meanwhile.
        UploadIncompleteError: the bytes are not there.
        UploadMismatchError: other bytes, or another kind of file, than announced.
        DomainError: the refusals of ``register_media``.
    """
    asset = selectors.any_asset(owner_id=owner_id, asset_id=asset_id)
    if asset.status == Status.READY:
        return asset
    _check_open(asset)
    limits = limits_of(owner_id=owner_id)
    incoming = asset.file_key
    try:
        _check_arrived(asset)
        with storage.local_file(incoming) as path, path.open("rb") as file:
            facts = store_checked(asset_id=asset.pk, file=file, limits=limits)
    except (UploadIncompleteError, FileNotFoundError):
        # Another request may have completed it in this moment, and removed the bytes.
        return _completed_meanwhile(owner_id=owner_id, asset_id=asset_id)
    except DomainError:
        storage.delete_incoming(asset_id=asset.pk)
        raise
    try:
        require_admissible(owner_id=owner_id, facts=facts)
        _check_facts(asset, kind=facts.kind, sha256=facts.columns["received_sha256"])
        is_first = asset_transitions.complete(asset=asset, facts=facts, limits=limits)
    except DomainError:
        storage.delete_media(facts.key)
        storage.delete_incoming(asset_id=asset.pk)
        raise
    if is_first:
        storage.delete_incoming(asset_id=asset.pk)
        release_waiting_jobs(asset_id=asset.pk)
        release_waiting_jobs(asset_id=asset.pk)
    else:
        storage.delete_media(facts.key)
    return _completed_meanwhile(owner_id=owner_id, asset_id=asset_id)


def _completed_meanwhile(*, owner_id: int, asset_id: uuid.UUID) -> MediaAsset:
    asset = selectors.any_asset(owner_id=owner_id, asset_id=asset_id)
    if asset.status == Status.READY:
        return asset
    _check_open(asset)
    raise UploadIncompleteError(_("The bytes of this upload are not there yet."))


def _target(asset: MediaAsset) -> UploadTarget:
    assert asset.upload_expires_at is not None, "an announced upload has an end"
    presigned = storage.presigned_put(
        key=asset.file_key,
        size_bytes=asset.size_bytes,
        content_type=asset.content_type,
        sha256=asset.received_sha256,
        ttl_s=settings.UPLOAD_URL_TTL_S,
    )
    if presigned is None:
        # The interface puts the host in front by which the client reaches us.
        path = reverse("upload-content", kwargs={"asset_id": asset.pk})
        url = f"{path}?signature={_signature(asset.pk)}"
        headers = {"Content-Type": asset.content_type}
    else:
        url, headers = presigned
    return UploadTarget(method="PUT", url=url, headers=headers, expires_at=asset.upload_expires_at)


def _signature(asset_id: uuid.UUID) -> str:
    return Signer(salt=_SALT).signature(str(asset_id))


def _check_open(asset: MediaAsset) -> None:
    if asset.status == Status.READY:
        raise UploadCompletedError(_("This upload is complete."))
    if asset.status != Status.PENDING_UPLOAD:
        raise AssetDeletedError(_("This upload was deleted."))
    if asset.upload_expires_at is None or asset.upload_expires_at <= timezone.now():
        raise UploadExpiredError(_("The time for the bytes of this upload is over."))


def _check_arrived(asset: MediaAsset) -> None:
    try:
        size_bytes = storage.size_of(asset.file_key)
    except FileNotFoundError as error:
        raise UploadIncompleteError(_("The bytes of this upload are not there yet.")) from error
    if size_bytes != asset.size_bytes:
        raise _wrong_size(asset)


def _check_facts(asset: MediaAsset, *, kind: MediaAsset.Kind, sha256: str) -> None:
    _check_digest(asset, sha256)
    if kind != asset.kind:
        raise UploadMismatchError(
            _("The file is of another kind than was announced."),
            param="content_type",
            announced_kind=asset.kind.lower(),
        )


def _check_digest(asset: MediaAsset, sha256: str) -> None:
    if asset.received_sha256 and sha256 != asset.received_sha256:
        raise UploadMismatchError(
            _("The bytes have another SHA-256 than was announced."), param="sha256", sha256=sha256
        )


def _wrong_size(asset: MediaAsset) -> UploadMismatchError:
    return UploadMismatchError(
        _("Exactly %(bytes)d bytes were announced.") % {"bytes": asset.size_bytes},
        param="size_bytes",
        size_bytes=asset.size_bytes,
    )


def _bytes_max(kind: MediaAsset.Kind, limits: MediaLimits) -> int:
    return limits.video.bytes_max if kind == MediaAsset.Kind.VIDEO else limits.image_bytes_max
