from __future__ import annotations

from pathlib import Path

import pytest

from inference import (
    runtime,
)
from inference.models import SwapJob
from inference.pipeline import swap_video as engine_video
from inference.tests.pipeline.video.media import (
    Clip,
    Sound,
    make_clip,
)
from inference.tests.videos.steps import (
    FRAMES,
    Work,
    make_job,
)


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()
    monkeypatch.setattr(engine_video, "swap_video", work.swap_video)
    monkeypatch.setattr(runtime.holder, "get", lambda: None)
    return work


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds with sound and a key frame each second."""
    times = range(0, FRAMES * 512, 512)
    made = Clip(times=times, sounds=[Sound(seconds=8.0)], encoder={"g": "25"})
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", made)


@pytest.fixture
def segmented(settings) -> None:
    """Four segments of two seconds each."""
    settings.VIDEO_SEGMENT_S = 2
    settings.JOB_ATTEMPTS_MAX = 3


@pytest.fixture
def job(clip: Path) -> SwapJob:
    return make_job(clip)
