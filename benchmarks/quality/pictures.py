"""Writes what was swapped as small pictures, and all of it as one contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from inference.pipeline import image_io
from inference.pipeline.aligner import warp
from inference.pipeline.filters import to_levels
from inference.pipeline.types import Face, Image

_SIDE_PX: Final = 240
_GAP_PX: Final = 6
_CAPTION_PX: Final = 22
_FACE_SHARE: Final = 0.55
_JPEG_QUALITY: Final = 82
_SHADE: Final = 245


@dataclass(frozen=True, slots=True)
class Sheet:
    """One row: what it shows, and pictures of one size."""

    title: str
    pictures: tuple[Image, ...]


def around_face(image_bgr: Image, face: Face) -> Image:
    """A square around a face, as it is cut for the sheet."""
    left, top, right, bottom = (float(value) for value in face.detection.box_xyxy)
    scale = _SIDE_PX * _FACE_SHARE / max(right - left, bottom - top)
    shift = (_SIDE_PX / 2 - scale * (left + right) / 2, _SIDE_PX / 2 - scale * (top + bottom) / 2)
    matrix = np.asarray([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return to_levels(warp(image_bgr, matrix=matrix, size_px=(_SIDE_PX, _SIDE_PX)))


def write_jpeg(path: Path, image_bgr: Image) -> None:
    """Write one picture."""
    path.write_bytes(image_io.encode_image(image_bgr, format="jpeg", quality=_JPEG_QUALITY))


def contact_sheet(rows: Sequence[Sheet], *, heads: Sequence[str]) -> Image:
    """All rows below each other; the heads stand above the columns."""
    lines = [_caption_row(heads)]
    for row in rows:
        gap = np.full((_SIDE_PX, _GAP_PX, 3), _SHADE, dtype=np.uint8)
        cells = [part for picture in row.pictures for part in (picture, gap)][:-1]
        line = np.hstack(cells)
        lines += [_caption(row.title, width_px=line.shape[1]), line]
    return np.vstack(lines)


def _caption_row(heads: Sequence[str]) -> Image:
    cells = [_caption(head, width_px=_SIDE_PX + _GAP_PX) for head in heads]
    return np.hstack(cells)[:, :-_GAP_PX]


def _caption(text: str, *, width_px: int) -> Image:
    bar = np.full((_CAPTION_PX, width_px, 3), _SHADE, dtype=np.uint8)
    cv2.putText(bar, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (30, 30, 30), 1, cv2.LINE_AA)
    return bar
