from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import pytest

from inference.pipeline.video.errors import InvalidTrimError
from inference.pipeline.video.preview import preview_frame
from inference.tests.pipeline.video.media import LIMITS, Clip, make_clip, number_of

_MS = Fraction(1, 1000)


def test_a_preview_is_the_frame_that_is_shown_at_the_time(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mp4", Clip(encoder={"g": "12", "bf": "2"}))
    for number in (0, 1, 11, 12, 13, 30, 49):
        for time_s in (Fraction(number, 25), Fraction(number, 25) + Fraction(1, 50)):
            image = preview_frame(path, time_s=time_s, limits=LIMITS)
            assert image.shape == (64, 96, 3)
            assert number_of(image) == number
    assert number_of(preview_frame(path, time_s=Fraction(2), limits=LIMITS)) == 49


def test_a_preview_of_uneven_frames_holds_the_last_one(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mkv", Clip(times=(0, 40, 900, 1500), tick_s=_MS))
    shown = [
        number_of(preview_frame(path, time_s=Fraction(ms, 1000), limits=LIMITS))
        for ms in (39, 40, 899, 900, 1499, 1500)
    ]
    assert shown == [0, 1, 1, 2, 2, 3]


def test_a_preview_is_upright_and_works_on_open_files(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mov", Clip(rotation=90))
    image = preview_frame(io.BytesIO(path.read_bytes()), time_s=Fraction(0), limits=LIMITS)
    assert image.shape == (96, 64, 3)


@pytest.mark.parametrize("time_s", [Fraction(-1, 100), Fraction(201, 100)])
def test_a_time_outside_the_video_is_refused(tmp_path: Path, time_s: Fraction):
    path = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(InvalidTrimError):
        preview_frame(path, time_s=time_s, limits=LIMITS)
