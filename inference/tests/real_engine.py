"""The built-in models and the sample photographs, for tests that run the real pipeline."""

from __future__ import annotations

import io
from pathlib import Path

from django.core.management import call_command
from PIL import Image

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
