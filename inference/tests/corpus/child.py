"""Runs files of the corpus through the engine in a process with limits, and says what happened.

Called with the folder of the models, the folder of the corpus and a share, ``0/2`` for example. A
line is printed before and behind every file, so that whoever reads them knows which one broke it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inference.pipeline.engine import Engine, EngineConfig
from inference.pipeline.errors import PipelineError
from inference.pipeline.image_io import ImageLimits, decode_image, encode_image
from inference.pipeline.job import IdentityPictures, SwapRequest
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.pipeline.swap_video import VideoPaths, swap_video
from inference.pipeline.types import Image
from inference.pipeline.video.types import TranscodeOptions, VideoLimits

_ADDRESS_SPACE_BYTES = 4 << 30
# Of processor time, which another process' work does not count against, and of the clock.
_CPU_SECONDS_PER_FILE = 40
_SECONDS_PER_FILE = 300
_IMAGE_LIMITS = ImageLimits(pixels_max=40_000_000, side_max_px=12_000)
_VIDEO_LIMITS = VideoLimits(
    bytes_max=50_000_000,
    pixels_max=1920 * 1080,
    side_max_px=2048,
    duration_max_s=120.0,
    frames_max=4000,
    fps_max=120.0,
)


class _Quiet:
    def progress(self, stage: str, fraction: float) -> None:
        pass

    def should_stop(self) -> bool:
        return False


class _Runner:
    def __init__(self, model_dir: Path, source_bgr: Image) -> None:
        self._engine = Engine.open(EngineConfig(model_dir=model_dir))
        self._source = source_bgr

    def picture(self, path: Path) -> dict[str, Any]:
        target = decode_image(path.read_bytes(), limits=_IMAGE_LIMITS)
        before = target.copy()
        result = swap_image(
            engine=self._engine,
            request=self._request("all"),
            target_bgr=target,
            observer=_Quiet(),
        )
        assert np.array_equal(target, before), "the target is not written to"
        assert result.image_bgr.shape == target.shape, "a result has the size of its target"
        changed = np.argwhere((result.image_bgr != target).any(axis=2))
        assert len(changed), "a swap changes something"
        encode_image(result.image_bgr, format="png")
        height, width = target.shape[:2]
        return {"size_px": [width, height], "faces": len(result.faces)}

    def video(self, path: Path) -> dict[str, Any]:
        result = path.parent / "results" / f"{path.name}.mp4"
        try:
            report = swap_video(
                engine=self._engine,
                request=self._request("largest"),
                paths=VideoPaths(target=path, result=result),
                options=TranscodeOptions(limits=_VIDEO_LIMITS, workers_count=1),
                observer=_Quiet(),
            )
        finally:
            left = sorted(file.name for file in result.parent.iterdir() if file != result)
            assert left == [], f"files were left: {left}"
        assert result.stat().st_size > 0
        result.unlink()
        return {"frames": report.video.frames_out, "frames_swapped": report.frames_swapped}

    def _request(self, mode: str) -> SwapRequest:
        selector = SelectorOptions(mode="all" if mode == "all" else "largest")
        return SwapRequest(
            spec=SwapSpec(selector=selector),
            identities=[IdentityPictures(images_bgr=[self._source])],
        )


def main() -> None:
    model_dir, corpus, share = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    number, shares = map(int, share.split("/"))
    names = json.loads((corpus / "names.json").read_text(encoding="utf-8"))[number::shares]
    source = decode_image((corpus / "source.png").read_bytes(), limits=_IMAGE_LIMITS)
    runner = _Runner(model_dir, source)
    for kind, name in names:
        _say(file=name)
        # Left to their default: the signals end the process even inside a library.
        signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS_PER_FILE)
        signal.alarm(_SECONDS_PER_FILE)
        started = time.process_time()
        run = runner.picture if kind == "picture" else runner.video
        try:
            facts = {"outcome": "ok", **run(corpus / str(number) / name)}
        except PipelineError as error:
            facts = {"outcome": error.code}
        _say(file=name, cpu_s=time.process_time() - started, peak_kib=_peak_kib(), **facts)


def _peak_kib() -> int:
    """Most memory that was ever resident; the kernel's other count begins with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


def _say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
