"""Taking in pictures and videos: nothing is kept before it was looked into.

Whatever way a file comes, it takes the same path: its first bytes say what it is, a process of its
own reads it within limits, a picture is written anew without what its camera noted, and only then
it becomes an upload of the account.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from typing import IO, Final

from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from inference import asset_transitions, decoding, probing, storage
from inference.asset_transitions import FileFacts
from inference.errors import (
    EncryptedVideoError,
    ImageTooLargeError,
    NoVideoStreamError,
    UnreadableImageError,
    UnreadableVideoError,
    UnsupportedImageError,
    UnsupportedVideoError,
    UploadTooLargeError,
    VideoTooLargeError,
    VideoTooLongError,
)
from inference.media_limits import MediaLimits, limits_of
from inference.models import MediaAsset
from inference.pipeline import errors as pipeline_errors
from trust import selectors as trust_selectors

_NAME_LENGTH_MAX: Final = 255
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_HEAD_BYTES: Final = 64
_BLOCK_BYTES: Final = 1024 * 1024


def register_media(*, owner_id: int, file: IO[bytes], name: str) -> MediaAsset:
    """Check a picture or video and keep it; its first bytes say which it is.

    Of a picture everything is decoded here, so that a damaged file is refused now and not after it
    was paid for; of a video the header and the first frame. Writes the file before the row: a crash
    in between leaves a file that nobody can see.

    Args:
        owner_id: primary key of the uploading user.
        file: an open, seekable binary file; read up to the size limit.
        name: what the client calls the file; kept for show only.

    Raises:
        UploadTooLargeError: more bytes than the account's plan allows of its kind.
        UnsupportedImageError: neither a picture nor a video of a known format.
        ImageTooLargeError: more pixels or a longer side than allowed; seen before decoding.
        UnreadableImageError: damaged or cut short.
        StorageQuotaError: the account keeps too much already.
        ContentBlockedError: the file was reported and is blocked.
        ConsentRevokedError: it is a source of the account whose consent was revoked.
        DomainError: a video that is refused; see ``errors.VIDEO_REFUSALS``.
    """
    limits = limits_of(owner_id=owner_id)
    asset_id = uuid.uuid4()
    facts = store_checked(asset_id=asset_id, file=file, limits=limits)
    try:
        require_admissible(owner_id=owner_id, facts=facts)
        return asset_transitions.admit(
            asset_id=asset_id,
            owner_id=owner_id,
            name=display_name(name),
            facts=facts,
            limits=limits,
        )
    except DomainError:
        storage.delete_media(facts.key)
        raise


def store_checked(*, asset_id: uuid.UUID, file: IO[bytes], limits: MediaLimits) -> FileFacts:
    """Look into a file and store what is kept of it; on an error nothing is left.

    Args:
        asset_id: of the upload that it will be; several tries have different keys all the same.
        file: an open, seekable binary file.
        limits: of the account.

    Raises:
        DomainError: the refusals of ``register_media``, but for the quota's.
    """
    file.seek(0)
    content_type = probing.video_type_of(file.read(_HEAD_BYTES))
    if content_type is None:
        return _store_picture(asset_id=asset_id, file=file, limits=limits)
    return _store_video(asset_id=asset_id, file=file, content_type=content_type, limits=limits)


def require_admissible(*, owner_id: int, facts: FileFacts) -> None:
    """Refuse a stored file that is blocked, as it came or as it would be kept.

    Raises:
        ContentBlockedError: a report about it was upheld.
        ConsentRevokedError: the account revoked the consent for the face in it.
    """
    sha256s = {facts.columns["sha256"], facts.columns["received_sha256"]}
    trust_selectors.require_admissible(owner_id=owner_id, sha256s=sha256s)


def upload_too_large(*, bytes_max: int) -> UploadTooLargeError:
    """The refusal of an upload by its size, for interfaces that know the size before the bytes."""
    return UploadTooLargeError(
        _("A file may have %(max)d bytes.") % {"max": bytes_max},
        param="file",
        bytes_max=bytes_max,
    )


def upload_bytes_max(*, owner_id: int) -> int:
    """No upload of any kind of this account may have more bytes."""
    return limits_of(owner_id=owner_id).bytes_max


def display_name(name: str) -> str:
    """The last part of a path, without characters that could disturb a page or a log."""
    last_part = re.split(r"[\\/]", name)[-1]
    return _CONTROL_CHARACTERS.sub("", last_part).strip()[:_NAME_LENGTH_MAX]


def _store_picture(*, asset_id: uuid.UUID, file: IO[bytes], limits: MediaLimits) -> FileFacts:
    with decoding.spooled() as received, decoding.spooled() as made:
        received_sha256, received_bytes = _copy(file, received, bytes_max=limits.image_bytes_max)
        try:
            facts = probing.normalise_image(
                received,
                out=made,
                thumbnail_side_px=storage.THUMBNAIL_SIDE_PX,
                limits=limits.image,
            )
        except pipeline_errors.PipelineError as error:
            raise _picture_refusal(error, limits=limits) from error
        made.seek(0)
        data = made.read()
    key = storage.asset_key(asset_id=asset_id, content_type=facts.content_type)
    sha256 = storage.write_picture(key=key, data=data, thumbnail=facts.thumbnail)
    return FileFacts(
        key=key,
        kind=MediaAsset.Kind.IMAGE,
        size_bytes=len(data),
        columns={
            "content_type": facts.content_type,
            "width_px": facts.width_px,
            "height_px": facts.height_px,
            "sha256": sha256,
            "received_sha256": received_sha256,
            "received_bytes": received_bytes,
        },
    )


def _store_video(
    *, asset_id: uuid.UUID, file: IO[bytes], content_type: str, limits: MediaLimits
) -> FileFacts:
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size_bytes > limits.video.bytes_max:
        raise upload_too_large(bytes_max=limits.video.bytes_max)
    key = storage.asset_key(asset_id=asset_id, content_type=content_type)
    sha256 = storage.write_stream(key=key, file=file)
    try:
        with storage.local_file(key) as path:
            facts = probing.look_into(
                path, poster_side_px=storage.THUMBNAIL_SIDE_PX, limits=limits.video
            )
        storage.write_thumbnail(key=key, thumbnail=facts.poster)
    except pipeline_errors.PipelineError as error:
        storage.delete_media(key)
        raise _video_refusal(error, limits=limits) from error
    except BaseException:
        storage.delete_media(key)
        raise
    return FileFacts(
        key=key,
        kind=MediaAsset.Kind.VIDEO,
        size_bytes=size_bytes,
        columns={
            "content_type": content_type,
            "width_px": facts.width_px,
            "height_px": facts.height_px,
            "duration_ms": facts.duration_ms,
            "fps": facts.fps,
            "frames_count": facts.frames_count,
            "has_audio": facts.has_audio,
            "sha256": sha256,
            "received_sha256": sha256,
            "received_bytes": size_bytes,
        },
    )


def _copy(file: IO[bytes], out: IO[bytes], *, bytes_max: int) -> tuple[str, int]:
    """Copy a file to the disk, flushed; its SHA-256 and its bytes."""
    file.seek(0)
    digest = hashlib.sha256()
    size_bytes = 0
    while block := file.read(_BLOCK_BYTES):
        size_bytes += len(block)
        if size_bytes > bytes_max:
            raise upload_too_large(bytes_max=bytes_max)
        digest.update(block)
        out.write(block)
    out.flush()
    # The process that reads it shares the position of the file.
    out.seek(0)
    return digest.hexdigest(), size_bytes


def _picture_refusal(error: pipeline_errors.PipelineError, *, limits: MediaLimits) -> DomainError:
    """The API's refusal of a picture."""
    match error.code:
        case UnsupportedImageError.code:
            return UnsupportedImageError(
                _("The file is not a JPEG, PNG or still WebP picture, nor a video that we read."),
                param="file",
            )
        case ImageTooLargeError.code:
            return ImageTooLargeError(
                _("A picture may have %(pixels)d pixels and %(side)d pixels a side.")
                % {"pixels": limits.image.pixels_max, "side": limits.image.side_max_px},
                param="file",
                pixels_max=limits.image.pixels_max,
                side_max_px=limits.image.side_max_px,
            )
    return UnreadableImageError(_("The picture is damaged or cut short."), param="file")


def _video_refusal(error: pipeline_errors.PipelineError, *, limits: MediaLimits) -> DomainError:
    """The API's refusal of a video; without the engine's words, which are English only."""
    video = limits.video
    match error.code:
        case UnsupportedVideoError.code:
            return UnsupportedVideoError(
                _("The file is no video of a kind that we read."), param="file"
            )
        case NoVideoStreamError.code:
            return NoVideoStreamError(_("The file has no moving pictures."), param="file")
        case EncryptedVideoError.code:
            return EncryptedVideoError(_("The video is encrypted."), param="file")
        case VideoTooLargeError.code:
            return VideoTooLargeError(
                _("A frame may have %(pixels)d pixels and %(side)d pixels a side.")
                % {"pixels": video.pixels_max, "side": video.side_max_px},
                param="file",
                pixels_max=video.pixels_max,
                side_max_px=video.side_max_px,
            )
        case VideoTooLongError.code:
            return VideoTooLongError(
                _(
                    "A video may last %(seconds)d seconds and have %(frames)d frames, "
                    "%(fps)d a second."
                )
                % {
                    "seconds": video.duration_max_s,
                    "frames": video.frames_max,
                    "fps": video.fps_max,
                },
                param="file",
                duration_max_s=video.duration_max_s,
                frames_max=video.frames_max,
                fps_max=video.fps_max,
            )
    return UnreadableVideoError(_("The video is damaged or cut short."), param="file")
