"""Runs clips through the engine and reads the clocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from benchmarks.engine.sets import ModelSet
from inference.pipeline.job import SwapRequest, prepare_job
from inference.pipeline.sessions.loading import noise_feed
from inference.pipeline.swap_video import (
    VideoPaths,
    VideoRun,
    VideoSwapReport,
    for_video,
    swap_video,
)
from inference.pipeline.swappers.mesh import KEYS
from inference.pipeline.types import Image
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import DecodeRange, FrameReader
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import Frame, TranscodeOptions, VideoLimits

LIMITS: Final = VideoLimits(
    bytes_max=1 << 32,
    pixels_max=1920 * 1088,
    side_max_px=2048,
    duration_max_s=3600.0,
    frames_max=100_000,
    fps_max=120.0,
)
#: In place of a clip: a process only runs models.
MODELS_ALONE: Final = "models"
_ROOT: Final = Path(__file__).resolve().parents[2]
_MODEL_RUNS: Final = 150
_WARM_UP_FRAMES: Final = 5
_CHILD_TIMEOUT_S: Final = 3600


class Quiet:
    """An observer that neither listens nor stops."""

    def progress(self, stage: str, fraction: float) -> None:
        """Not told to anybody."""

    def should_stop(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Stages:
    """What one thread needed for the frames of a clip, without decoding and encoding.

    Attributes:
        frames_count: frames measured, after the first few.
        faces_count: faces swapped in them.
        wall_s: by the clock.
        track_cpu_s: processor time of finding and following.
        paint_cpu_s: processor time of swapping and pasting.
        models_cpu_s: the part of both that was spent inside ONNX Runtime.
        runs_count: runs of models.
    """

    frames_count: int
    faces_count: int
    wall_s: float
    track_cpu_s: float
    paint_cpu_s: float
    models_cpu_s: float
    runs_count: int

    @property
    def cpu_s(self) -> float:
        """Processor time of everything."""
        return self.track_cpu_s + self.paint_cpu_s

    @property
    def model_share(self) -> float:
        """Share of the processor time that was spent inside ONNX Runtime, 0..1."""
        return self.models_cpu_s / self.cpu_s


def decode_clip(path: Path, *, frames_count: int) -> list[Frame]:
    """The first frames of a clip, as the frame function gets them."""
    info = probe_video(path, limits=LIMITS)
    reader = FrameReader(path, info=info, limits=LIMITS, corrupt_frames_max=0)
    converter = FrameConverter(info=info, keep_alpha=False)
    frames = []
    for index, decoded in enumerate(reader.frames(DecodeRange())):
        if index == frames_count:
            break
        image_bgr, _alpha = converter.to_bgr(decoded.frame)
        frames.append(
            Frame(
                image_bgr=image_bgr,
                alpha=None,
                index=index,
                time_s=Fraction(index) / info.fps,
                is_lead_in=False,
            )
        )
    return frames


def measure_stages(
    models: ModelSet, frames: Sequence[Frame], *, source_bgr: Image, fps: float = 25.0
) -> Stages:
    """Track and paint frames one after the other in this thread."""
    request = models.request(source_bgr)
    job = prepare_job(
        engine=models.engine,
        request=SwapRequest(spec=for_video(request.spec), identities=request.identities),
    )
    run = VideoRun(job, fps=fps)
    for frame in frames[:_WARM_UP_FRAMES]:
        run.paint(frame, run.track(frame))
    faces_before = run.faces_swapped
    models_before, runs_before = models.pool.clock.read()
    track_s = paint_s = 0.0
    started = time.perf_counter()
    for frame in frames[_WARM_UP_FRAMES:]:
        at = time.thread_time()
        parts = run.track(frame)
        between = time.thread_time()
        run.paint(frame, parts)
        track_s += between - at
        paint_s += time.thread_time() - between
    wall_s = time.perf_counter() - started
    models_after, runs_after = models.pool.clock.read()
    return Stages(
        frames_count=len(frames) - _WARM_UP_FRAMES,
        faces_count=run.faces_swapped - faces_before,
        wall_s=wall_s,
        track_cpu_s=track_s,
        paint_cpu_s=paint_s,
        models_cpu_s=models_after - models_before,
        runs_count=runs_after - runs_before,
    )


@dataclass(frozen=True, slots=True)
class FileRun:
    """A run from file to file: by the clock, and processor time of all threads."""

    frames_count: int
    wall_s: float
    cpu_s: float

    @property
    def fps(self) -> float:
        """Frames a second by the clock."""
        return self.frames_count / self.wall_s


def measure_copy(path: Path, *, workers_count: int = 1) -> FileRun:
    """Decode, convert and encode without any swap."""
    result = path.with_name(f"{path.stem}.copy.mp4")
    wall, cpu = time.perf_counter(), time.process_time()
    report = transcode(
        source=path,
        target=result,
        frame_fn=lambda frame: frame.image_bgr,
        options=TranscodeOptions(limits=LIMITS, workers_count=workers_count),
        observer=Quiet(),
    )
    run = FileRun(report.frames_out, time.perf_counter() - wall, time.process_time() - cpu)
    result.unlink()
    return run


def measure_file(
    models: ModelSet, path: Path, *, source_bgr: Image, workers_count: int
) -> tuple[FileRun, VideoSwapReport | None]:
    """Swap a clip from file to file; the report is None where it has no face."""
    result = path.with_name(f"{path.stem}.{os.getpid()}.swapped.mp4")
    wall, cpu = time.perf_counter(), time.process_time()
    report = swap_video(
        engine=models.engine,
        request=models.request(source_bgr),
        paths=VideoPaths(target=path, result=result),
        options=TranscodeOptions(limits=LIMITS, workers_count=workers_count),
        observer=Quiet(),
    )
    run = FileRun(report.video.frames_out, time.perf_counter() - wall, time.process_time() - cpu)
    result.unlink()
    return run, report


def measure_models(models: ModelSet) -> FileRun:
    """Run the built-in swapper's session again and again, as many times as a clip has frames."""
    model = models.pool.get(KEYS[0])
    feed = noise_feed(model)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(_MODEL_RUNS):
        model.run(feed)
    return FileRun(_MODEL_RUNS, time.perf_counter() - wall, time.process_time() - cpu)


def run_children(
    paths: Sequence[Path | str],
    *,
    model_dir: Path,
    workers_count: int = 1,
    cores: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Swap clips in fresh processes at the same time; what each one measured.

    With ``cores`` each process keeps to one of them; for ``MODELS_ALONE`` see the child.
    """
    children = [
        subprocess.Popen(  # noqa: S603 - this interpreter and this package
            [
                sys.executable,
                "-m",
                "benchmarks.engine.child",
                str(path),
                str(model_dir),
                str(workers_count),
                *map(str, cores[place : place + 1]),
            ],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place, path in enumerate(paths)
    ]
    # Each says when its models are open, so that all begin together.
    for child in children:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    facts = []
    for child in children:
        told, _errors = child.communicate(timeout=_CHILD_TIMEOUT_S)
        if child.returncode:
            raise RuntimeError(f"a process of the benchmark ended with {child.returncode}")
        facts.append(json.loads(told))
    return facts
