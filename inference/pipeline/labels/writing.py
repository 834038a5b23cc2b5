"""Writes all labels of a result in one pass, and reads them back before anybody gets it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from inference.pipeline import image_io
from inference.pipeline.image_io import ImageFormat, ImageLimits
from inference.pipeline.labels import visible, xmp
from inference.pipeline.labels.facts import DIGITAL_SOURCE_TYPE, LabelError, LabelMark, visible_text
from inference.pipeline.labels.reading import (
    AIGC_TAG,
    BOX_TYPES,
    SOURCE_TYPE_TAG,
    XMP_BOX,
    FoundLabels,
    read_labels,
    video_tags,
)
from inference.pipeline.labels.signing import LabelSigner, sign_in_memory, sign_in_place
from inference.pipeline.labels.xmp import XmpLabels
from inference.pipeline.types import Image
from inference.pipeline.video.preview import preview_frame
from inference.pipeline.video.types import ContainerName, VideoLimits

_IMAGE_TYPES: Final[dict[ImageFormat, str]] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}
_VIDEO_TYPES: Final[dict[ContainerName, str]] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
_BOX_HEAD_BYTES: Final = 8


class Labeller:
    """Labels one result."""

    def __init__(self, *, mark: LabelMark, signer: LabelSigner) -> None:
        """Take what the labels say, and who signs them."""
        self._mark = mark
        self._signer = signer
        self._text = visible_text(mark.profiles)
        # Signed once: the same signature has to be in all places.
        self._labels = XmpLabels(
            digital_source_type=DIGITAL_SOURCE_TYPE, aigc=mark.aigc(proof=signer.proof(mark))
        )

    def video_tags(self, container: ContainerName) -> dict[str, str]:
        """The tags that a video of this container is written with."""
        labels = self._labels
        tags = {AIGC_TAG: xmp.aigc_text(labels.aigc)}
        if _VIDEO_TYPES[container] not in BOX_TYPES:
            # Matroska has no place for XMP.
            tags[SOURCE_TYPE_TAG] = labels.digital_source_type
        return tags

    def picture(
        self,
        image_bgr: Image,
        *,
        format: ImageFormat,  # noqa: A002 - the field's word
        quality: int = 95,
    ) -> LabelledPicture:
        """Encode a result, (H, W, 3) uint8 BGR, with all its labels.

        Raises:
            LabelError: a label cannot be written, or is not there afterwards.
        """
        stamped = visible.stamp(image_bgr, text=self._text)
        plain = image_io.encode_image(
            stamped, format=format, quality=quality, xmp=xmp.packet(self._labels)
        )
        data = sign_in_memory(self._signer, plain, content_type=_IMAGE_TYPES[format])
        found = read_labels(
            io.BytesIO(data), content_type=_IMAGE_TYPES[format], trust=self._signer.trust()
        )
        self._require(found, is_signed=True)
        height, width = image_bgr.shape[:2]
        limits = ImageLimits(pixels_max=width * height, side_max_px=max(width, height))
        self._require_visible(image_io.decode_image(data, limits=limits))
        return LabelledPicture(data=data, image_bgr=stamped)

    def video(self, path: Path, *, container: ContainerName, limits: VideoLimits) -> None:
        """Finish a video whose frames were stamped and whose tags were written.

        Args:
            path: the file; it is replaced.
            container: what it is.
            limits: for looking at its first frame.

        Raises:
            LabelError: a label cannot be written, or is not there afterwards.
        """
        content_type = _VIDEO_TYPES[container]
        is_signed = content_type in BOX_TYPES
        if is_signed:
            _append_xmp(path, xmp.packet(self._labels))
            sign_in_place(self._signer, path, content_type=content_type)
        with path.open("rb") as file:
            found = read_labels(file, content_type=content_type, trust=self._signer.trust())
            tags = video_tags(file)
        self._require(found, is_signed=is_signed)
        if tags.aigc != found.aigc:
            raise LabelError("the tags of the video do not say what its XMP says")
        self._require_visible(preview_frame(path, time_s=Fraction(0), limits=limits))

    def _require(self, found: FoundLabels, *, is_signed: bool) -> None:
        if is_signed and found.signature != "ours":
            raise LabelError(f"the manifest reads back as '{found.signature}'")
        if found.digital_source_type != self._labels.digital_source_type:
            raise LabelError("the digital source type does not read back")
        if found.aigc_day != self._mark.made_on or found.aigc != self._labels.aigc:
            raise LabelError("the AIGC field does not read back")

    def _require_visible(self, image_bgr: Image) -> None:
        likeness = visible.likeness(image_bgr, text=self._text)
        if likeness < visible.LIKENESS_MIN:
            raise LabelError(f"the visible label is not legible, likeness {likeness:.2f}")


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A finished picture: the file, and its pixels, (H, W, 3) uint8 BGR, as they look now."""

    data: bytes
    image_bgr: Image


def _append_xmp(path: Path, packet: bytes) -> None:
    """Put XMP behind everything else, so that no offset in the file changes."""
    size = _BOX_HEAD_BYTES + len(XMP_BOX) + len(packet)
    with path.open("ab") as file:
        file.write(size.to_bytes(4, "big") + b"uuid" + XMP_BOX + packet)
