"""All measurements in their order; ``manage.py bench_engine`` runs them. See the package."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2

from benchmarks.engine.clips import FULL_HD, HD, SMALL, SOURCE, ClipSize, photo, write_clip
from benchmarks.engine.measuring import (
    MODELS_ALONE,
    decode_clip,
    measure_copy,
    measure_file,
    measure_stages,
    run_children,
)
from benchmarks.engine.sets import ModelSet, builtin_set, heavy_set
from benchmarks.reporting import Report, Target, print_table, say

_TARGETS: Final = (
    Target("ort_share_builtin_1face", 0.6),
    Target("ort_share_heavy_1face", 0.9),
    Target("fps_tracked_720p_1face_per_thread", 40.0),
    Target("cpu_end_to_end_by_parts", 1.15, is_more_better=False),
    Target("scaling_2_processes", 1.6),
    Target("peak_mib_grows_by_length", 1.1, is_more_better=False),
)
#: What can be measured by itself: one thread with the built-in and with heavy models, whole runs
#: from file to file, two processes, memory.
PARTS: Final = ("stages", "heavy", "files", "scaling", "memory")
_FACES: Final = (0, 1, 3)
_SMALL_FPS: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    frames_count: int
    heavy_frames_count: int
    repeats_count: int
    lengths_s: tuple[int, ...]


FULL: Final = Plan(frames_count=125, heavy_frames_count=9, repeats_count=3, lengths_s=(10, 60, 300))
QUICK: Final = Plan(frames_count=40, heavy_frames_count=7, repeats_count=1, lengths_s=(5, 20))


def measure(*, is_quick: bool, parts: Collection[str] = PARTS) -> None:
    """Measure, and print tables and one line of JSON to the standard output.

    Args:
        is_quick: shorter clips, measured once.
        parts: of ``PARTS``, which to measure.
    """
    # As in a worker: several frames at a time, and one thread for each.
    cv2.setNumThreads(1)
    plan = QUICK if is_quick else FULL
    report = Report("engine", _TARGETS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builtin = builtin_set(folder / "models")
        clips = {} if set(parts) == {"memory"} else _make_clips(folder, plan)
        if "stages" in parts:
            _stages(report, builtin, clips, plan.frames_count, plan.repeats_count)
        if "heavy" in parts:
            say("building heavy stand-ins (half a gigabyte)")
            heavy = heavy_set(folder / "models")
            only_hd = {place: path for place, path in clips.items() if place[0] == HD}
            _stages(report, heavy, only_hd, plan.heavy_frames_count, 1)
        if "files" in parts:
            _file_to_file(report, builtin, clips, plan)
        if "scaling" in parts:
            _scaling(report, clips[HD, 1], folder / "models", plan)
        if "memory" in parts:
            _memory(report, folder, plan)
    report.finish()


_Clips = dict[tuple[ClipSize, int], Path]


def _make_clips(folder: Path, plan: Plan) -> _Clips:
    clips = {}
    for size in (HD, FULL_HD):
        for faces_count in _FACES:
            say(f"making a clip: {size.name}, {faces_count} faces")
            clips[size, faces_count] = write_clip(
                folder / f"{size.name}_{faces_count}.mp4",
                size=size,
                faces_count=faces_count,
                frames_count=plan.frames_count,
            )
    return clips


def _stages(
    report: Report, models: ModelSet, clips: _Clips, frames_count: int, repeats_count: int
) -> None:
    """One thread, frames in memory; the median of the repeats by processor time."""
    source, rows = photo(SOURCE), []
    for (size, faces_count), path in clips.items():
        say(f"one thread, {models.name} set: {size.name}, {faces_count} faces")
        frames = decode_clip(path, frames_count=frames_count)
        runs = sorted(
            (measure_stages(models, frames, source_bgr=source) for _ in range(repeats_count)),
            key=lambda run: run.cpu_s,
        )
        run = runs[len(runs) // 2]
        swapped = run.faces_count / run.frames_count
        if abs(swapped - faces_count) > 0.05 * faces_count:
            raise RuntimeError(f"{swapped:.2f} faces a frame were swapped, not {faces_count}")
        name = f"{models.name}_{size.name}_{_faces(faces_count)}"
        fps = report.add(f"fps_per_thread_{name}", run.frames_count / run.wall_s)
        fps_cpu = report.add(f"fps_per_cpu_second_{name}", run.frames_count / run.cpu_s)
        share = report.add(f"ort_share_{name}", run.model_share)
        per_frame_ms = 1000 / run.frames_count
        rows.append(
            [
                size.name,
                faces_count,
                fps,
                fps_cpu,
                run.track_cpu_s * per_frame_ms,
                run.paint_cpu_s * per_frame_ms,
                share,
                run.runs_count / run.frames_count,
            ]
        )
        if (size, faces_count) == (HD, 1):
            report.add(f"ort_share_{models.name}_1face", run.model_share)
            if models.name == "builtin":
                report.add("fps_tracked_720p_1face_per_thread", run.frames_count / run.wall_s)
    head = ["clip", "faces", "fps", "frames per CPU s", "track ms", "paint ms", "share in ORT"]
    print_table(
        f"One thread, {models.name} set, without decoding and encoding",
        [*head, "runs per frame"],
        rows,
    )


def _file_to_file(report: Report, models: ModelSet, clips: _Clips, plan: Plan) -> None:
    """Decode, swap, encode; against decoding and encoding alone plus the swap alone."""
    source, rows = photo(SOURCE), []
    for (size, faces_count), path in clips.items():
        if not faces_count:
            # Without a face there is no result: the copy says how fast such frames pass.
            copy = measure_copy(path, workers_count=2)
            fps = report.add(f"fps_copy_{size.name}", copy.fps)
            rows.append([size.name, faces_count, "copy, 2 threads", fps, "", ""])
            continue
        say(f"from file to file: {size.name}, {faces_count} faces")
        frames = decode_clip(path, frames_count=plan.frames_count)
        ratios, speeds = [], []
        for _ in range(plan.repeats_count):
            copy = measure_copy(path)
            parts = measure_stages(models, frames, source_bgr=source)
            whole, _told = measure_file(models, path, source_bgr=source, workers_count=2)
            swap_cpu_s = parts.cpu_s / parts.frames_count * whole.frames_count
            ratios.append(whole.cpu_s / (copy.cpu_s + swap_cpu_s))
            speeds.append(whole.fps)
        name = f"builtin_{size.name}_{_faces(faces_count)}"
        fps = report.add(f"fps_file_to_file_{name}", statistics.median(speeds))
        ratio = report.add(f"cpu_end_to_end_by_parts_{name}", statistics.median(ratios))
        if (size, faces_count) == (HD, 1):
            report.add("cpu_end_to_end_by_parts", ratio)
        copy_fps = report.add(f"fps_copy_1_thread_{name}", copy.fps)
        rows.append([size.name, faces_count, "swap, 2 threads", fps, copy_fps, ratio])
    head = ["clip", "faces", "what", "fps", "fps of a copy", "CPU time by that of the parts"]
    print_table("From file to file, built-in set", head, rows)


def _scaling(report: Report, path: Path, model_dir: Path, plan: Plan) -> None:
    """One process on one core against two on two: otherwise one alone would use both already."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:  # noqa: PLR2004 - processes
        say("scaling is left out: there is only one core")
        return
    say("scaling over processes")
    # What the machine itself gives: two sessions of ONNX Runtime that have nothing in common.
    names = {"scaling_2_processes": str(path), "scaling_2_processes_of_models": MODELS_ALONE}
    ratios: dict[str, list[float]] = {name: [] for name in names}
    rows = []
    for _ in range(plan.repeats_count):
        for name, what in names.items():
            singles = [_speed([what], model_dir, [core]) for core in cores]
            double = _speed([what, what], model_dir, cores)
            ratios[name].append(double / statistics.mean(singles))
            rows.append([name, *singles, double, ratios[name][-1]])
    medians = {name: report.add(name, statistics.median(found)) for name, found in ratios.items()}
    whole, models = medians.values()
    report.add("scaling_2_processes_by_models", whole / models)
    print_table(
        "720p, one face, from file to file, each process on one core; and models alone",
        ["what", "one on the first core", "on the second", "two together", "ratio"],
        rows,
    )


def _speed(what: Sequence[str], model_dir: Path, cores: Sequence[int]) -> float:
    """Frames, or runs, a second of all processes together, each on its core."""
    told = run_children(what, model_dir=model_dir, cores=cores)
    return float(sum(one["frames_count"] / one["wall_s"] for one in told))


def _memory(report: Report, folder: Path, plan: Plan) -> None:
    rows, peaks = [], []
    for seconds in plan.lengths_s:
        say(f"memory: a clip of {seconds} s")
        path = write_clip(
            folder / f"long_{seconds}.mp4",
            size=SMALL,
            faces_count=1,
            frames_count=seconds * _SMALL_FPS,
            fps=_SMALL_FPS,
        )
        (facts,) = run_children([path], model_dir=folder / "models", workers_count=2)
        peak_mib = report.add(f"peak_mib_{seconds}s", facts["peak_kib"] / 1024)
        peaks.append(peak_mib)
        rows.append([seconds, facts["frames_count"], peak_mib])
        path.unlink()
    report.add("peak_mib_grows_by_length", max(peaks) / peaks[0])
    print_table("Memory over length, 240p, one face", ["seconds", "frames", "peak MiB"], rows)


def _faces(count: int) -> str:
    return f"{count}face" if count == 1 else f"{count}faces"
