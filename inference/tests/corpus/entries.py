"""What a file of the corpus is, and what the product may answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["picture", "video"]

OK = "ok"
NO_FACE = "no_face_in_target"
#: Whatever damage does to a picture, it ends in one of these.
PICTURE_OUTCOMES = frozenset(
    [OK, NO_FACE, "unsupported_image", "unreadable_image", "image_too_large"]
)
VIDEO_OUTCOMES = frozenset(
    [
        OK,
        NO_FACE,
        "unsupported_video",
        "unreadable_video",
        "no_video_stream",
        "encrypted_video",
        "video_too_large",
        "video_too_long",
    ]
)


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        name: unique; its suffix is the one a client would send.
        kind: what the client says it is.
        data: the bytes.
        allowed: outcomes, each ``ok`` or an error's code; one where the right answer is known.
        size_px: width and height of the result, where it must be a certain one.
        frames_count: frames of the result, where that is known.
        frames_swapped_max: how many of them can have a face.
    """

    name: str
    kind: Kind
    data: bytes
    allowed: frozenset[str]
    size_px: tuple[int, int] | None = None
    frames_count: int | None = None
    frames_swapped_max: int | None = None


def picture(name: str, data: bytes, *allowed: str, size_px: tuple[int, int] | None = None) -> Entry:
    return Entry(name, "picture", data, frozenset(allowed), size_px)


def video(
    name: str,
    data: bytes,
    *allowed: str,
    frames_count: int | None = None,
    frames_swapped_max: int | None = None,
) -> Entry:
    return Entry(
        name,
        "video",
        data,
        frozenset(allowed),
        frames_count=frames_count,
        frames_swapped_max=frames_swapped_max,
    )
