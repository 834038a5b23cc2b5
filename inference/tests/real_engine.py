"""The built-in models and the sample photographs, for tests that run the real pipeline."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
from django.core.management import call_command
from PIL import Image

from inference.tests.pipeline.video.media import Clip, Sound, make_clip

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def build_models(folder: Path) -> Path:
    """Build the model files from the installed wheels; takes about half a second."""
    call_command("models", "build", dir=folder, stdout=io.StringIO())
    return folder


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def enlarged(name: str, *, width_px: int) -> bytes:
    """A sample as a large JPEG, which makes a run long enough to interrupt it."""
    with Image.open(SAMPLES / name) as picture:
        height_px = round(picture.height * width_px / picture.width)
        out = io.BytesIO()
        picture.convert("RGB").resize((width_px, height_px)).save(out, "JPEG", quality=90)
    return out.getvalue()


def side_by_side(*names: str) -> bytes:
    """Several samples in one picture, each 400 pixels high."""
    pictures: list[Image.Image] = []
    for name in names:
        with Image.open(SAMPLES / name) as picture:
            width_px = round(picture.width * 400 / picture.height)
            pictures.append(picture.convert("RGB").resize((width_px, 400)))
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), 400))
    left = 0
    for part in pictures:
        sheet.paste(part, (left, 0))
        left += part.width
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def film(path: Path, *, seconds: int, fps: int, size: tuple[int, int]) -> Path:
    """A portrait that drifts from side to side, with a tone; a key frame every two seconds."""
    with Image.open(SAMPLES / "grace_hopper.jpg") as picture:
        width_px = round(size[0] * 0.47)
        portrait = picture.convert("RGB")
        portrait = portrait.resize((width_px, round(width_px * portrait.height / portrait.width)))

    def paint(number: int, size: tuple[int, int]) -> np.ndarray:
        frame = Image.new("RGB", size, (70, 90, 110))
        drift = round(size[0] / 8 * np.sin(number / 40))
        frame.paste(portrait, (round(size[0] * 0.27) + drift, 0))
        return np.asarray(frame)[:, :, ::-1].copy()

    clip = Clip(
        size=size,
        times=range(0, seconds * fps * 512, 512),
        tick_s=Fraction(1, fps * 512),
        fps=Fraction(fps),
        encoder={"g": str(fps * 2), "preset": "veryfast"},
        sounds=[Sound(seconds=float(seconds))],
        paint=paint,
    )
    return make_clip(path, clip)
