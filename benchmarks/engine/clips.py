"""Clips with no, one or three moving faces over a moving background."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from inference.pipeline.image_io import ImageLimits, decode_image
from inference.pipeline.types import Image

_SAMPLES: Final = Path(__file__).resolve().parents[2] / "samples"
_LIMITS: Final = ImageLimits(pixels_max=40_000_000, side_max_px=12_000)
# File and the box x0, y0, x1, y1 that is pasted into the clip: a head with its surroundings.
# The second one wears spectacles, whose side pieces cost a search of their own in each frame.
_HEADS: Final = (
    ("astronaut.png", (124, 0, 324, 240)),
    ("grace_hopper.jpg", (60, 20, 460, 500)),
    ("astronaut.png", (124, 0, 324, 240)),
)
#: Whose face is put onto all others.
SOURCE: Final = "grace_hopper.jpg"
# Of the clip's height; a face is somewhat more than half of its head's box.
_HEAD_HEIGHT: Final = 0.55
_SWAY: Final = 0.02
_TURN_DEGREES: Final = 6.0
_NOISE_LEVELS: Final = 3.0
_SECONDS_PER_SWAY: Final = 4.0


@dataclass(frozen=True, slots=True)
class ClipSize:
    """A usual size, by its usual name."""

    name: str
    width: int
    height: int


HD: Final = ClipSize("720p", 1280, 720)
FULL_HD: Final = ClipSize("1080p", 1920, 1080)
SMALL: Final = ClipSize("240p", 426, 240)


def photo(name: str) -> Image:
    """A sample photograph."""
    return decode_image((_SAMPLES / name).read_bytes(), limits=_LIMITS)


class Scene:
    """Paints the frames of a clip, each from its number alone."""

    def __init__(self, size: ClipSize, *, faces_count: int, fps: int) -> None:
        """Cut out the heads and prepare the background."""
        self._size, self._fps = size, fps
        self._heads = [_head(index, size) for index in range(faces_count)]
        margin = round(size.height * 0.1)
        self._backdrop = cv2.resize(
            photo("rocket.jpg"), (size.width + 2 * margin, size.height + 2 * margin)
        )
        self._margin = margin
        random = np.random.default_rng(0)
        shape = (size.height, size.width, 3)
        # Added where the picture is encoded anyway: real films have grain.
        self._grain = random.normal(0, _NOISE_LEVELS, shape).astype(np.int8)

    def frame(self, number: int) -> Image:
        """(H, W, 3) uint8 BGR."""
        size, phase = self._size, 2 * np.pi * number / (self._fps * _SECONDS_PER_SWAY)
        left = self._margin + round(self._margin * 0.9 * np.sin(phase))
        top = self._margin
        canvas = self._backdrop[top : top + size.height, left : left + size.width].copy()
        for index, (head, mask) in enumerate(self._heads):
            sway = phase + index
            matrix = cv2.getRotationMatrix2D(
                (head.shape[1] / 2, head.shape[0] / 2), _TURN_DEGREES * np.sin(sway), 1.0
            )
            middle = size.width * (index + 1) / (len(self._heads) + 1)
            matrix[0, 2] += middle - head.shape[1] / 2 + _SWAY * size.width * np.sin(2 * sway)
            matrix[1, 2] += size.height * 0.5 - head.shape[0] / 2
            placed = cv2.warpAffine(head, matrix, (size.width, size.height))
            weight = cv2.warpAffine(mask, matrix, (size.width, size.height))[..., np.newaxis]
            canvas = np.asarray(canvas * (1 - weight) + placed * weight, dtype=np.uint8)
        grain = np.roll(self._grain, number * 7919, axis=1)
        return np.asarray(np.clip(canvas.astype(np.int16) + grain, 0, 255), dtype=np.uint8)


def write_clip(
    path: Path, *, size: ClipSize, faces_count: int, frames_count: int, fps: int = 25
) -> Path:
    """Write a clip as H.264."""
    scene = Scene(size, faces_count=faces_count, fps=fps)
    with av.open(str(path), "w") as output:
        options = {"preset": "veryfast", "crf": "20"}
        stream = output.add_stream("libx264", rate=Fraction(fps), options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        for number in range(frames_count):
            frame = av.VideoFrame.from_ndarray(scene.frame(number), format="bgr24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _head(index: int, size: ClipSize) -> tuple[Image, np.ndarray]:
    name, (left, top, right, bottom) = _HEADS[index % len(_HEADS)]
    cut = photo(name)[top:bottom, left:right]
    height = round(size.height * _HEAD_HEIGHT)
    width = round(cut.shape[1] * height / cut.shape[0])
    head = np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    mask = np.zeros((height, width), dtype=np.float32)
    cv2.ellipse(
        mask, (width // 2, height // 2), (width * 45 // 100, height * 45 // 100), 0, 0, 360, 1.0, -1
    )
    return head, cv2.GaussianBlur(mask, (0, 0), height * 0.02)
