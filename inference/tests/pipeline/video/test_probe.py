from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from inference.pipeline.errors import PipelineError
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import VideoLimits
from inference.tests.pipeline.video.media import LIMITS, Clip, Sound, make_clip

_MS = Fraction(1, 1000)


def test_a_header_tells_everything_about_a_usual_file(tmp_path: Path):
    path = make_clip(
        tmp_path / "usual.mp4",
        Clip(
            sounds=(Sound(language="fra"), Sound(language="deu")),
            subtitles=((0, 900, "one"),),
        ),
    )
    info = probe_video(path, limits=LIMITS)
    assert info.codec == "h264"
    assert info.duration_s == 2
    assert info.fps == 25
    assert (info.frames_count, info.is_frames_count_exact) == (50, True)
    assert (info.width, info.height, float(info.sample_aspect_ratio)) == (96, 64, 1)
    assert (info.pixel_format, info.bit_depth, info.has_alpha) == ("yuv420p", 8, False)
    assert info.wide_colour is None
    assert not info.is_variable_rate
    assert [(line.kind, line.codec, line.language) for line in info.streams] == [
        ("video", "h264", "und"),
        ("audio", "aac", "fra"),
        ("audio", "aac", "deu"),
        ("subtitle", "mov_text", "und"),
    ]
    assert info.bytes_count == path.stat().st_size


def test_an_open_file_is_probed_like_a_path(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mp4")
    from_path = probe_video(path, limits=LIMITS)
    with path.open("rb") as file:
        assert probe_video(file, limits=LIMITS) == from_path
    assert probe_video(io.BytesIO(path.read_bytes()), limits=LIMITS) == from_path


def test_probing_needs_no_heavy_library():
    program = (
        "import sys, inference.pipeline.video.probe; "
        "print(sorted({'cv2', 'onnxruntime', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


def test_the_size_is_upright_and_so_is_the_pixel_aspect(tmp_path: Path):
    path = make_clip(tmp_path / "turned.mov", Clip(rotation=90))
    info = probe_video(path, limits=LIMITS)
    assert (info.width, info.height) == (64, 96)
    assert (info.stored_width, info.stored_height) == (96, 64)
    assert info.orientation.is_transposed


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_variable_frame_rate_is_noticed(tmp_path: Path, suffix: str):
    uneven = [0, 40, 80, 200, 210, 400, 440, 480, 900, 940, 980, 1500]
    tick_s = _MS if suffix == "mkv" else Fraction(1, 16000)
    times = [round(ms * _MS / tick_s) for ms in uneven]
    path = make_clip(tmp_path / f"uneven.{suffix}", Clip(times=times, tick_s=tick_s))
    assert probe_video(path, limits=LIMITS).is_variable_rate


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30), Fraction(30000, 1001)])
def test_rounding_to_milliseconds_is_no_variable_rate(tmp_path: Path, fps: Fraction):
    times = [round(number / fps / _MS) for number in range(60)]
    path = make_clip(tmp_path / "even.mkv", Clip(times=times, tick_s=_MS, fps=fps))
    info = probe_video(path, limits=LIMITS)
    assert not info.is_variable_rate
    assert abs(info.fps - fps) < Fraction(1, 50)


def test_a_single_frame_is_a_video(tmp_path: Path):
    info = probe_video(make_clip(tmp_path / "one.mp4", Clip(times=(0,))), limits=LIMITS)
    assert (info.frames_count, info.duration_s) == (1, Fraction(1, 25))


def test_a_count_that_no_index_gives_is_called_an_estimate(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mkv", Clip(times=tuple(range(0, 2000, 40)), tick_s=_MS))
    info = probe_video(path, limits=LIMITS)
    assert (info.frames_count, info.is_frames_count_exact) == (50, False)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("bytes_max", 1000, "video_too_large"),
        ("pixels_max", 96 * 64 - 1, "video_too_large"),
        ("side_max_px", 95, "video_too_large"),
        ("duration_max_s", 1.9, "video_too_long"),
        ("frames_max", 49, "video_too_long"),
        ("fps_max", 24.0, "video_too_long"),
    ],
)
def test_every_limit_is_kept_and_its_edge_is_allowed(
    tmp_path: Path, field: str, value: float, code: str
):
    path = make_clip(tmp_path / "clip.mp4")
    edge = VideoLimits(
        bytes_max=path.stat().st_size,
        pixels_max=96 * 64,
        side_max_px=96,
        duration_max_s=2.0,
        frames_max=50,
        fps_max=25.0,
    )
    assert probe_video(path, limits=edge).frames_count == 50
    tightened = dataclasses.replace(edge, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(PipelineError) as caught:
        probe_video(path, limits=tightened)
    assert caught.value.code == code
