from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inference.tests.pipeline.video.media import Clip, Sound, make_clip

_REPOSITORY = Path(__file__).parents[4]
_CHILD = """
import resource, sys
from pathlib import Path
from inference.tests.pipeline.video.media import run
report = run(Path(sys.argv[1]), Path(sys.argv[2]))
print(report.frames_out, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak_kib(source: Path, target: Path) -> tuple[int, int]:
    """Frames written and peak memory of a fresh process that transcodes a file."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(source), str(target)],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    frames, peak = child.stdout.split()
    return int(frames), int(peak)


def test_memory_does_not_grow_with_the_length(tmp_path: Path):
    peaks = []
    for seconds in (10, 60):
        clip = Clip(
            size=(192, 128),
            times=tuple(range(0, seconds * 25 * 512, 512)),
            sounds=(Sound(seconds=seconds),),
        )
        source = make_clip(tmp_path / f"{seconds}.mp4", clip)
        frames, peak = _peak_kib(source, tmp_path / f"{seconds}.out.mp4")
        assert frames == seconds * 25
        peaks.append(peak)
    # 1,250 frames more, 90 MiB of pixels: what may grow is the index of packets.
    assert peaks[1] - peaks[0] < 12 * 1024
