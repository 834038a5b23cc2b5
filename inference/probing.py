"""Looks into uploaded files in a process of its own: a hostile file ends that, not the server."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.utils.translation import gettext as _

from facefusion_site.common.errors import ServiceUnavailableError
from inference import decoding
from inference.decoding import ChildLimits
from inference.pipeline import errors as pipeline_errors
from inference.pipeline.errors import PipelineError
from inference.pipeline.image_io import ImageLimits
from inference.pipeline.video import errors as video_errors
from inference.pipeline.video.types import VideoLimits
from inference.types import VideoFacts

_HEAD_BYTES: Final = 64
# Brands of still pictures in the same container.
_PICTURE_BRANDS: Final = frozenset(
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"]
)
_MOVIE_ATOMS: Final = frozenset([b"moov", b"mdat", b"wide"])
_PIXEL_BYTES_MAX: Final = 5
_EBML: Final = b"\x1aE\xdf\xa3"
_ERRORS: Final[dict[str, type[PipelineError]]] = {
    error.code: error
    for error in (
        pipeline_errors.UnsupportedImageError,
        pipeline_errors.UnreadableImageError,
        pipeline_errors.ImageTooLargeError,
        video_errors.UnsupportedVideoError,
        video_errors.UnreadableVideoError,
        video_errors.NoVideoStreamError,
        video_errors.EncryptedVideoError,
        video_errors.VideoTooLargeError,
        video_errors.VideoTooLongError,
    )
}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a picture holds, upright; ``thumbnail`` is a small JPEG of it."""

    content_type: str
    width_px: int
    height_px: int
    thumbnail: bytes


def video_type_of(head: bytes) -> str | None:
    """The content type of a video by its first bytes; None when they are no video's.

    Args:
        head: at least the first 64 bytes, fewer only if the file has fewer.
    """
    head = head[:_HEAD_BYTES]
    kind, brand = head[4:8], head[8:12]
    if kind == b"ftyp" and brand not in _PICTURE_BRANDS:
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if kind in _MOVIE_ATOMS:
        return "video/quicktime"
    if head.startswith(_EBML):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return None


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """Labels that a file from anywhere carries.

    Attributes:
        content_type: by its first bytes.
        is_signed: its manifest is signed by us.
        is_unchanged: and the file is still what we signed.
        kinds: c2pa, iptc, aigc.
        made_on: the day in its AIGC field, where that is signed by us.
    """

    content_type: str
    is_signed: bool
    is_unchanged: bool
    kinds: tuple[str, ...]
    made_on: dt.date | None


def labels_in(file: IO[bytes], *, chains: Sequence[bytes]) -> LabelFacts | None:
    """The labels of a file; None where it is no media, or breaks the process that reads it.

    Args:
        file: open and on disk.
        chains: certificates of all who ever signed here, PEM.

    Raises:
        ServiceUnavailableError: no process can be started.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    content_type = video_type_of(head) or image_type_of(head)
    if content_type is None:
        return None
    try:
        answer = _ask(
            "read_labels",
            order={
                "content_type": content_type,
                "chains": [chain.decode() for chain in chains],
            },
            limits=ChildLimits(
                memory_bytes=settings.VIDEO_PROBE_MEMORY_BYTES,
                cpu_s=settings.VIDEO_PROBE_TIMEOUT_S,
                wall_s=settings.VIDEO_PROBE_TIMEOUT_S,
            ),
            died=pipeline_errors.UnreadableImageError,
            files=(file, None),
        )
    except pipeline_errors.UnreadableImageError:
        return None
    return LabelFacts(
        content_type=content_type,
        is_signed=answer["signature"] in ("ours", "ours_changed"),
        is_unchanged=answer["signature"] == "ours",
        kinds=tuple(answer["kinds"]),
        made_on=dt.date.fromisoformat(answer["day"]) if answer["day"] else None,
    )


def image_type_of(head: bytes) -> str | None:
    """The content type of a picture by its first bytes; None when they are no picture's."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def look_into(path: Path, *, poster_side_px: int, limits: VideoLimits) -> VideoFacts:
    """What a video holds, with its first picture in small.

    Raises:
        UnsupportedVideoError: no container or codec that we read.
        UnreadableVideoError: damaged, or it broke the process that read it.
        NoVideoStreamError: nothing that moves.
        EncryptedVideoError: there is no key.
        VideoTooLargeError: too many bytes or pixels.
        VideoTooLongError: too many seconds, frames, or frames in a second.
        ServiceUnavailableError: no process can be started.
    """
    answer = _ask(
        "look_into_video",
        order={
            "path": str(path),
            "video_limits": dataclasses.asdict(limits),
            "thumbnail_side_px": poster_side_px,
        },
        limits=ChildLimits(
            memory_bytes=settings.VIDEO_PROBE_MEMORY_BYTES,
            cpu_s=settings.VIDEO_PROBE_TIMEOUT_S,
            wall_s=settings.VIDEO_PROBE_TIMEOUT_S,
        ),
        died=video_errors.UnreadableVideoError,
    )
    poster = base64.b64decode(answer.pop("poster"))
    return VideoFacts(**answer, poster=poster)


def normalise_image(
    file: IO[bytes], *, out: IO[bytes], thumbnail_side_px: int, limits: ImageLimits
) -> ImageFacts:
    """Write a picture anew with nothing but its pixels; see ``image_io.normalise_image``.

    Args:
        file: an open file on disk.
        out: an empty file on disk, for the new picture.
        thumbnail_side_px: longest side of the small picture.
        limits: of the picture.

    Raises:
        UnsupportedImageError: not a still JPEG, PNG or WebP.
        UnreadableImageError: damaged, or it broke the process that read it.
        ImageTooLargeError: more pixels or a longer side than allowed.
        ServiceUnavailableError: no process can be started.
    """
    answer = _ask(
        "normalise_image",
        order={
            "image_limits": dataclasses.asdict(limits),
            "thumbnail_side_px": thumbnail_side_px,
        },
        limits=ChildLimits(
            memory_bytes=settings.IMAGE_DECODE_MEMORY_BYTES,
            cpu_s=settings.IMAGE_DECODE_TIMEOUT_S,
            wall_s=settings.IMAGE_DECODE_TIMEOUT_S,
            # Even pixels that cannot be compressed fit.
            out_bytes=limits.pixels_max * _PIXEL_BYTES_MAX,
        ),
        died=pipeline_errors.UnreadableImageError,
        files=(file, out),
    )
    thumbnail = base64.b64decode(answer.pop("thumbnail"))
    return ImageFacts(**answer, thumbnail=thumbnail)


def _ask(
    work: str,
    *,
    order: dict[str, Any],
    limits: ChildLimits,
    died: type[PipelineError],
    files: tuple[IO[bytes] | None, IO[bytes] | None] = (None, None),
) -> dict[str, Any]:
    file, out = files
    try:
        answer = decoding.decoder.ask(work, order=order, limits=limits, file=file, out=out)
    except decoding.ChildDiedError as error:
        raise died("it cannot be read within the limits") from error
    except decoding.DecoderUnavailableError as error:
        raise ServiceUnavailableError(
            _("Files cannot be looked into right now. Try again in a minute.")
        ) from error
    if "error" in answer:
        raise _ERRORS.get(answer["error"], died)(answer["detail"])
    return answer
