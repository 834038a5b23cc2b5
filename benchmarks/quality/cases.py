"""The pairs of pictures that are swapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from benchmarks.engine.clips import photo
from inference.pipeline.types import Image

_ASTRONAUT: Final = "astronaut.png"
_HOPPER: Final = "grace_hopper.jpg"
_ROLL_DEGREES: Final = 30.0
_SMALL_WIDTH_PX: Final = 180
_DIM_GAMMA: Final = 2.2


@dataclass(frozen=True, slots=True)
class Case:
    """Whose face goes onto whose, in which circumstances.

    Attributes:
        name: part of the figures' names and of the file's.
        title: for the contact sheet.
        source_bgr: (H, W, 3) uint8 BGR.
        target_bgr: (H, W, 3) uint8 BGR.
    """

    name: str
    title: str
    source_bgr: Image
    target_bgr: Image


def all_cases() -> Iterator[Case]:
    """Every case, the plain ones first."""
    astronaut, hopper = photo(_ASTRONAUT), photo(_HOPPER)
    yield Case("astronaut_onto_hopper", "onto spectacles and cap", astronaut, hopper)
    yield Case("hopper_onto_astronaut", "onto an open smile", hopper, astronaut)
    variants: tuple[tuple[str, str, Callable[[Image], Image]], ...] = (
        ("rolled", "head rolled by 30 degrees", _rolled),
        ("small", "small face", _small),
        ("dim", "dim light", _dim),
        ("grey", "without colour", _grey),
    )
    for name, title, vary in variants:
        yield Case(name, title, hopper, vary(astronaut))
    yield Case("onto_itself", "control: onto itself", astronaut, astronaut)


def _rolled(image_bgr: Image) -> Image:
    height, width = image_bgr.shape[:2]
    matrix = cv2.getRotationMatrix2D((width * 0.44, height * 0.22), _ROLL_DEGREES, 1.0)
    turned = cv2.warpAffine(
        image_bgr, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(turned, dtype=np.uint8)


def _small(image_bgr: Image) -> Image:
    height = round(image_bgr.shape[0] * _SMALL_WIDTH_PX / image_bgr.shape[1])
    size = (_SMALL_WIDTH_PX, height)
    return np.asarray(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _dim(image_bgr: Image) -> Image:
    return np.asarray(np.rint(255 * (image_bgr / 255.0) ** _DIM_GAMMA), dtype=np.uint8)


def _grey(image_bgr: Image) -> Image:
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
