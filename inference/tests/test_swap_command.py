"""The engine on files of this machine; nothing listens where the settings look for servers."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "samples" / "astronaut.png"
TARGET = ROOT / "samples" / "grace_hopper.jpg"
NO_FACE = ROOT / "samples" / "coffee.png"


@pytest.fixture(scope="module", autouse=True)
def _models(django_db_blocker):
    call_command("models", "build", stdout=io.StringIO())


def swap(*arguments, **options):
    out = io.StringIO()
    call_command("swap", *map(str, arguments), stdout=out, **options)
    return out.getvalue()


def picture(path):
    image = cv2.imread(str(path))
    assert image is not None
    return image


def clip(path, *, frames=12, width=320, height=384):
    """A still of a face that moves a little, with an audio track."""
    size = (width, height)
    still = cv2.resize(picture(TARGET), size)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=12)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            shift = np.asarray([[1.0, 0, index % 5], [0, 1.0, 0]])
            moved = cv2.warpAffine(still, shift, size, borderMode=cv2.BORDER_REPLICATE)
            pixels = np.asarray(moved, np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        file.mux(video.encode())
    return path


def test_a_picture_is_swapped_without_any_server(tmp_path):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "facefusion_site.settings.test",
        "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    out = tmp_path / "result.png"
    done = subprocess.run(
        [sys.executable, "manage.py", "swap", str(SOURCE), str(TARGET), str(out), "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["faces_swapped"] == 1
    assert report["faces"][0]["similarity_after"] > report["faces"][0]["similarity_before"]
    before, after = picture(TARGET), picture(out)
    assert before.shape == after.shape
    assert (before != after).any()


def test_a_video_is_swapped_and_trimmed(tmp_path):
    target, out = clip(tmp_path / "clip.mp4"), tmp_path / "result.mp4"
    report = json.loads(swap(SOURCE, target, out, start=0.25, end=0.75, json=True))
    assert report["frames"] == report["frames_swapped"] == 6
    assert report["tracks"] == 1
    with av.open(str(out)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 6


def test_a_video_without_a_face_leaves_nothing_behind(tmp_path):
    target, out = tmp_path / "still.mp4", tmp_path / "result.mp4"
    with av.open(str(target), "w") as file:
        video = file.add_stream("libx264", rate=12)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for _ in range(6):
            frame = np.full((180, 320, 3), 80, np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        file.mux(video.encode())
    with pytest.raises(CommandError, match="no_face_in_target"):
        swap(SOURCE, target, out)
    assert sorted(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((NO_FACE, TARGET, "out.png"), {}, "no_face_in_source"),
        ((SOURCE, TARGET, "out.bmp"), {}, "OUT must end in one of"),
        ((SOURCE, "missing.png", "out.png"), {}, "missing.png"),
        ((SOURCE, TARGET, "out.png"), {"model": "no_such"}, "invalid_options: swapper.model"),
        ((SOURCE, TARGET, "out.png"), {"model": "inswapper_128"}, "model_not_allowed"),
        ((SOURCE, TARGET, "out.png"), {"faces": "reference"}, "reference needs one picture"),
        ((SOURCE, TARGET, "out.png"), {"frame_enhancer": "xseg_1"}, "frame_enhancer.model: 'xseg"),
        (
            (SOURCE, TARGET, "out.png"),
            {"frame_enhancer": "real_esrgan_x4"},
            "model_missing: .*real_esrgan_x4",
        ),
        ((SOURCE, TARGET, "out.png"), {"frame_blend": 50}, "--frame-blend needs"),
    ],
)
def test_a_mistake_is_named(tmp_path, arguments, options, message):
    *pictures, out = arguments
    with pytest.raises(CommandError, match=message):
        swap(*pictures, tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


def test_a_spec_of_the_caller_is_used(tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"selector": {"mode": "one"}, "masks": {"kinds": ["area"]}}))
    out = tmp_path / "out.png"
    assert "written" in swap(SOURCE, TARGET, out, spec=spec)
    spec.write_text(json.dumps({"selector": {"mode": "best"}}))
    with pytest.raises(CommandError, match=r"selector\.mode: must be one of"):
        swap(SOURCE, TARGET, out, spec=spec)
