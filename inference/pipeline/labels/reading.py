"""Reads the labels of a file from anywhere: of our results before they go out, and of strangers."""

from __future__ import annotations

import datetime as dt
import struct
import uuid
import warnings
from dataclasses import dataclass
from typing import IO, Final

import av
import av.error
from PIL import Image as PilImage

from inference.pipeline.labels import xmp
from inference.pipeline.labels.facts import DIGITAL_SOURCE_TYPE
from inference.pipeline.labels.signing import LabelTrust, Signature
from inference.pipeline.labels.xmp import XmpLabels

#: Adobe's box for XMP in MP4 and MOV.
XMP_BOX: Final = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
#: Names of the tags in videos; the first is the one of the Chinese guide.
AIGC_TAG: Final = "AIGC"
SOURCE_TYPE_TAG: Final = "DIGITAL_SOURCE_TYPE"
IMAGE_TYPES: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
BOX_TYPES: Final = frozenset(["video/mp4", "video/quicktime"])
_BOX_HEAD: Final = struct.Struct(">I4s")
_LARGE_SIZE: Final = struct.Struct(">Q")
_UUID_BYTES: Final = 16
_BOXES_MAX: Final = 10_000
_XMP_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FoundLabels:
    """The labels that a file carries.

    Attributes:
        signature: of its C2PA manifest.
        digital_source_type: IPTC's; empty: none.
        aigc: members of the AIGC field; empty: none.
        aigc_day: the day of the AIGC field, where it is one of ours.
    """

    signature: Signature
    digital_source_type: str
    aigc: dict[str, str]
    aigc_day: dt.date | None

    @property
    def produce_id(self) -> str:
        """The id of the result that the AIGC field was made for; empty where that is not ours."""
        return self.aigc["ProduceID"] if self.aigc_day is not None else ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which labels there are: c2pa, iptc, aigc."""
        present = {
            "c2pa": self.signature != "none",
            "iptc": self.digital_source_type == DIGITAL_SOURCE_TYPE,
            "aigc": bool(self.aigc),
        }
        return tuple(name for name, is_there in present.items() if is_there)


def read_labels(file: IO[bytes], *, content_type: str, trust: LabelTrust) -> FoundLabels:
    """What a file says about itself; a file that cannot be read says nothing.

    Args:
        file: open and seekable.
        content_type: by its first bytes.
        trust: which signatures are ours.
    """
    embedded = _in_image(file) if content_type in IMAGE_TYPES else _in_video(file, content_type)
    aigc = embedded.aigc
    return FoundLabels(
        signature=trust.signature_of(file, content_type=content_type),
        digital_source_type=embedded.digital_source_type,
        aigc=aigc,
        aigc_day=trust.day_of_proof(
            aigc.get("ReservedCode1", ""), produce_id=aigc.get("ProduceID", "")
        ),
    )


def _in_image(file: IO[bytes]) -> XmpLabels:
    file.seek(0)
    try:
        # Only the header is read, so the number of pixels does not matter.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PilImage.DecompressionBombWarning)
            with PilImage.open(file, formats=tuple(IMAGE_TYPES.values())) as picture:
                packet = picture.info.get("xmp", b"")
    except (OSError, SyntaxError, ValueError, struct.error, PilImage.DecompressionBombError):
        return XmpLabels()
    return xmp.parse(packet.encode() if isinstance(packet, str) else packet)


def _in_video(file: IO[bytes], content_type: str) -> XmpLabels:
    tags = _tags(file)
    found = XmpLabels(
        digital_source_type=tags.get(SOURCE_TYPE_TAG, ""),
        aigc=xmp.parse_aigc(tags.get(AIGC_TAG, "")),
    )
    if content_type not in BOX_TYPES:
        return found
    boxed = xmp.parse(_xmp_box(file))
    return XmpLabels(
        digital_source_type=boxed.digital_source_type or found.digital_source_type,
        aigc=boxed.aigc or found.aigc,
    )


def video_tags(file: IO[bytes]) -> XmpLabels:
    """What the tags of a video say, beside any XMP."""
    tags = _tags(file)
    return XmpLabels(
        digital_source_type=tags.get(SOURCE_TYPE_TAG, ""),
        aigc=xmp.parse_aigc(tags.get(AIGC_TAG, "")),
    )


def _tags(file: IO[bytes]) -> dict[str, str]:
    file.seek(0)
    try:
        with av.open(file, metadata_errors="ignore") as container:
            return {name.upper(): value for name, value in container.metadata.items()}
    except (av.error.FFmpegError, OSError, ValueError):
        return {}


def _xmp_box(file: IO[bytes]) -> bytes:
    """The content of the XMP box of an MP4 or MOV; empty where there is none."""
    end = file.seek(0, 2)
    position = 0
    for _box in range(_BOXES_MAX):
        file.seek(position)
        head = file.read(_BOX_HEAD.size)
        if len(head) < _BOX_HEAD.size:
            break
        size, kind = _BOX_HEAD.unpack(head)
        head_bytes = _BOX_HEAD.size
        if size == 1:
            large = file.read(_LARGE_SIZE.size)
            if len(large) < _LARGE_SIZE.size:
                break
            (size,) = _LARGE_SIZE.unpack(large)
            head_bytes += _LARGE_SIZE.size
        size = size or end - position
        if size < head_bytes:
            break
        if kind == b"uuid" and file.read(_UUID_BYTES) == XMP_BOX:
            content = size - head_bytes - _UUID_BYTES
            return file.read(content) if 0 < content <= _XMP_BYTES_MAX else b""
        position += size
    return b""
