"""What a camera notes about its owner does not reach a result that others see."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import OutputOptions, Tags, TranscodeOptions, VideoLimits
from inference.tests.pipeline.video.media import Clip, make_clip

LIMITS = VideoLimits(
    bytes_max=10**7,
    pixels_max=10**6,
    side_max_px=2000,
    duration_max_s=60,
    frames_max=1000,
    fps_max=60,
)
NOTES = {
    "location": "+52.5200+013.4050/",
    "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050+034.000/",
    "com.apple.quicktime.make": "SECRETPHONE",
    "com.android.version": "SECRETPHONE",
    "artist": "SECRETNAME",
    "comment": "SECRETNAME",
    "creation_time": "2026-01-02T03:04:05.000000Z",
    "x-anything": "SECRETNAME",
}


class Silent:
    def progress(self, _stage: str, _fraction: float) -> None:
        """Nobody looks."""

    def should_stop(self) -> bool:
        return False


def tags_of_result(folder: Path, suffix: str, tags: Tags) -> tuple[dict[str, str], bytes]:
    source = make_clip(folder / f"source.{suffix}", Clip(metadata={"title": "Holiday", **NOTES}))
    with av.open(str(source)) as container:
        assert "+52.5200" in str(container.metadata)
    target = folder / f"target.{suffix}"
    transcode(
        source=source,
        target=target,
        frame_fn=lambda frame: frame.image_bgr,
        options=TranscodeOptions(limits=LIMITS, output=OutputOptions(tags=tags)),
        observer=Silent(),
    )
    with av.open(str(target)) as container:
        return dict(container.metadata), target.read_bytes()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_public_results_keep_the_title_and_drop_places_people_and_devices(
    tmp_path: Path, suffix: str
) -> None:
    found, data = tags_of_result(tmp_path, suffix, "public")

    kept = {key.lower(): value for key, value in found.items()}
    assert kept["title"] == "Holiday"
    assert set(kept) <= {
        "title", "major_brand", "minor_version", "compatible_brands", "encoder", "duration",
    }  # fmt: skip
    for secret in (b"+52.52", b"SECRET", b"2026-01-02"):
        assert secret not in data


def test_own_results_keep_everything(tmp_path: Path) -> None:
    found, _data = tags_of_result(tmp_path, "mkv", "all")

    assert "+52.5200+013.4050/" in found.values()
    assert "SECRETNAME" in found.values()
