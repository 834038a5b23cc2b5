"""Taking in pictures and videos: nothing is kept before it was looked into."""

from __future__ import annotations

import os
import re
import uuid
from typing import BinaryIO, Final

from django.conf import settings
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from inference import probing, storage
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
from inference.models import MediaAsset
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.pipeline.types import Image, ImageInfo

_NAME_LENGTH_MAX: Final = 255
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_HEAD_BYTES: Final = 64


def register_media(*, owner_id: int, file: BinaryIO, name: str) -> MediaAsset:
    """Check a picture or video and keep it; its first bytes say which it is.

    Of a picture everything is decoded here, so that a damaged file is refused now and not after it
    was paid for; of a video the header and the first frame, in a process of their own. Writes the
    file before the row: a crash in between leaves a file that nobody can see.

    Args:
        owner_id: primary key of the uploading user.
        file: an open, seekable binary file; read up to the size limit.
        name: what the client calls the file; kept for show only.

    Raises:
        UploadTooLargeError: more bytes than UPLOAD_BYTES_MAX, or VIDEO_BYTES_MAX of a video.
        UnsupportedImageError: neither a picture nor a video of a known format.
        ImageTooLargeError: more pixels or a longer side than allowed; seen before decoding.
        UnreadableImageError: damaged or cut short.
        DomainError: a video that is refused; see ``errors.VIDEO_REFUSALS``.
    """
    content_type = probing.video_type_of(file.read(_HEAD_BYTES))
    file.seek(0)
    if content_type is not None:
        return _register_video(owner_id=owner_id, file=file, name=name, content_type=content_type)
    data = file.read(settings.UPLOAD_BYTES_MAX + 1)
    if len(data) > settings.UPLOAD_BYTES_MAX:
        raise upload_too_large(bytes_max=settings.UPLOAD_BYTES_MAX)
    info, image_bgr = _decode(data)
    asset_id = uuid.uuid4()
    key = storage.asset_key(asset_id=asset_id, content_type=info.content_type)
    height_px, width_px = image_bgr.shape[:2]
    sha256 = storage.write_picture(
        key=key,
        data=data,
        thumbnail=image_io.thumbnail(image_bgr, side_px=storage.THUMBNAIL_SIDE_PX),
    )
    return MediaAsset.objects.create(
        id=asset_id,
        owner_id=owner_id,
        file_key=key,
        original_name=_display_name(name),
        content_type=info.content_type,
        size_bytes=len(data),
        width_px=width_px,
        height_px=height_px,
        sha256=sha256,
    )


def upload_too_large(*, bytes_max: int) -> UploadTooLargeError:
    """The refusal of an upload by its size, for interfaces that know the size before the bytes."""
    return UploadTooLargeError(
        _("A file may have %(max)d bytes.") % {"max": bytes_max},
        param="file",
        bytes_max=bytes_max,
    )


def upload_bytes_max() -> int:
    """No upload of any kind may have more bytes."""
    return int(max(settings.UPLOAD_BYTES_MAX, settings.VIDEO_BYTES_MAX))


def _register_video(*, owner_id: int, file: BinaryIO, name: str, content_type: str) -> MediaAsset:
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size_bytes > settings.VIDEO_BYTES_MAX:
        raise upload_too_large(bytes_max=settings.VIDEO_BYTES_MAX)
    asset_id = uuid.uuid4()
    key = storage.asset_key(asset_id=asset_id, content_type=content_type)
    sha256 = storage.write_stream(key=key, file=file)
    try:
        with storage.local_file(key) as path:
            facts = probing.look_into(path, poster_side_px=storage.THUMBNAIL_SIDE_PX)
        storage.write_thumbnail(key=key, thumbnail=facts.poster)
    except pipeline_errors.PipelineError as error:
        storage.delete_media(key)
        raise _refusal(error) from error
    except BaseException:
        storage.delete_media(key)
        raise
    return MediaAsset.objects.create(
        id=asset_id,
        owner_id=owner_id,
        kind=MediaAsset.Kind.VIDEO,
        file_key=key,
        original_name=_display_name(name),
        content_type=content_type,
        size_bytes=size_bytes,
        width_px=facts.width_px,
        height_px=facts.height_px,
        duration_ms=facts.duration_ms,
        fps=facts.fps,
        frames_count=facts.frames_count,
        has_audio=facts.has_audio,
        sha256=sha256,
    )


def _refusal(error: pipeline_errors.PipelineError) -> DomainError:
    """The API's refusal of a video; without the engine's words, which are English only."""
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
                % {"pixels": settings.VIDEO_PIXELS_MAX, "side": settings.VIDEO_SIDE_MAX_PX},
                param="file",
                pixels_max=settings.VIDEO_PIXELS_MAX,
                side_max_px=settings.VIDEO_SIDE_MAX_PX,
            )
        case VideoTooLongError.code:
            return VideoTooLongError(
                _(
                    "A video may last %(seconds)d seconds and have %(frames)d frames, "
                    "%(fps)d a second."
                )
                % {
                    "seconds": settings.VIDEO_DURATION_MAX_S,
                    "frames": settings.VIDEO_FRAMES_MAX,
                    "fps": settings.VIDEO_FPS_MAX,
                },
                param="file",
                duration_max_s=settings.VIDEO_DURATION_MAX_S,
                frames_max=settings.VIDEO_FRAMES_MAX,
                fps_max=settings.VIDEO_FPS_MAX,
            )
    return UnreadableVideoError(_("The video is damaged or cut short."), param="file")


def _decode(data: bytes) -> tuple[ImageInfo, Image]:
    """Check and decode an upload; the pipeline's refusals become the API's."""
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    try:
        info = image_io.probe_image(data, limits=limits)
        image_bgr = image_io.decode_image(data, limits=limits)
    except pipeline_errors.UnsupportedImageError as error:
        raise UnsupportedImageError(
            _("The file is not a JPEG, PNG or still WebP picture, nor a video that we read."),
            param="file",
        ) from error
    except pipeline_errors.ImageTooLargeError as error:
        raise ImageTooLargeError(
            _("A picture may have %(pixels)d pixels and %(side)d pixels a side.")
            % {"pixels": limits.pixels_max, "side": limits.side_max_px},
            param="file",
            pixels_max=limits.pixels_max,
            side_max_px=limits.side_max_px,
        ) from error
    except pipeline_errors.UnreadableImageError as error:
        raise UnreadableImageError(
            _("The picture is damaged or cut short."), param="file"
        ) from error
    return info, image_bgr


def _display_name(name: str) -> str:
    """The last part of a path, without characters that could disturb a page or a log."""
    last_part = re.split(r"[\\/]", name)[-1]
    return _CONTROL_CHARACTERS.sub("", last_part).strip()[:_NAME_LENGTH_MAX]
