"""``manage.py swap``: the engine on files of this machine, without database, broker or account."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, get_args

import cv2
from django.core.management.base import BaseCommand, CommandError

from facefusion_site.common.progress import Progress
from inference import labelling
from inference.pipeline import image_io
from inference.pipeline.engine import Engine
from inference.pipeline.errors import PipelineError
from inference.pipeline.job import IdentityPictures, SwapRequest, TargetPerson
from inference.pipeline.selection.options import Mode
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.pipeline.swap_video import VideoPaths, swap_video
from inference.pipeline.types import Image
from inference.pipeline.video.types import (
    ContainerName,
    OutputOptions,
    TranscodeOptions,
    Trim,
    VideoLimits,
    VideoProgress,
)
from inference.runtime import engine_config

_FORMATS: Final[dict[str, Literal["jpeg", "png", "webp"]]] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".webp": "webp",
}
_CONTAINERS: Final[dict[str, ContainerName]] = {
    ".mp4": "mp4",
    ".mov": "mov",
    ".mkv": "mkv",
    ".webm": "webm",
}
_QUALITY_DEFAULT: Final = 90
#: On one's own machine only nonsense is refused.
_VIDEO_LIMITS: Final = VideoLimits(
    bytes_max=1 << 40,
    pixels_max=64_000_000,
    side_max_px=16_384,
    duration_max_s=24 * 3600,
    frames_max=10_000_000,
    fps_max=240,
)
_IMAGE_LIMITS: Final = image_io.ImageLimits(pixels_max=400_000_000, side_max_px=32_000)


class Command(BaseCommand):
    """Exit code 0: the result is written; 1: it is not."""

    help = "Put the face of SOURCE onto TARGET, a picture or a video, and write OUT."
    # Nothing here may need a database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Pictures of the face, where it goes, and how."""
        parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
        parser.add_argument("target", type=Path, metavar="TARGET")
        parser.add_argument("out", type=Path, metavar="OUT")
        parser.add_argument("--faces", choices=get_args(Mode)[:4], default="largest")
        parser.add_argument(
            "--reference", type=Path, metavar="PICTURE", help="who is meant, for --faces reference"
        )
        parser.add_argument("--model", default="", help="key of the swapper, see 'models list'")
        parser.add_argument(
            "--frame-enhancer", default="", metavar="KEY", help="enlarge the result by this model"
        )
        parser.add_argument(
            "--frame-blend", type=int, metavar="0..100", help="how much of its work is seen"
        )
        parser.add_argument(
            "--spec", type=Path, metavar="FILE", help="all options as JSON; --faces is left aside"
        )
        parser.add_argument("--quality", type=int, default=_QUALITY_DEFAULT, metavar="0..100")
        parser.add_argument("--start", type=float, default=0.0, metavar="SECONDS")
        parser.add_argument("--end", type=float, default=None, metavar="SECONDS")
        parser.add_argument("--threads", type=int, default=2, metavar="N")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *_args: object, **options: Any) -> None:
        """Read, swap, write, report."""
        # Frames run in parallel; a library's own threads would fight over the same cores.
        cv2.setNumThreads(1)
        started = time.monotonic()
        try:
            report = self._run(options)
        except PipelineError as error:
            raise CommandError(f"{error.code}: {error}") from error
        except OSError as error:
            raise CommandError(str(error)) from error
        report["seconds"] = round(time.monotonic() - started, 2)
        if options["json"]:
            self.stdout.write(json.dumps(report, default=str))
            return
        self.stdout.write(self.style.SUCCESS(f"{options['out']} written"))
        for name in ("faces_swapped", "frames_swapped", "frames", "tracks", "seconds"):
            if name in report:
                self.stdout.write(f"  {name.replace('_', ' '):<16} {report[name]}")

    def _run(self, options: dict[str, Any]) -> dict[str, Any]:
        request = _request(options)
        engine = Engine.open(engine_config())
        try:
            if options["out"].suffix.lower() in _CONTAINERS:
                return self._swap_video(engine, request, options)
            return self._swap_image(engine, request, options)
        finally:
            engine.close()

    def _swap_image(
        self, engine: Engine, request: SwapRequest, options: dict[str, Any]
    ) -> dict[str, Any]:
        out: Path = options["out"]
        if out.suffix.lower() not in _FORMATS:
            known = ", ".join([*_FORMATS, *_CONTAINERS])
            raise CommandError(f"OUT must end in one of: {known}")
        observer = _Bar(Progress(self.stderr, total=100))
        target_bgr = _read(options["target"])
        result = swap_image(
            engine=engine, request=request, target_bgr=target_bgr, observer=observer
        )
        labelled = labelling.for_result(None).labeller.picture(
            result.image_bgr, format=_FORMATS[out.suffix.lower()], quality=options["quality"]
        )
        part = out.with_name(f".{out.name}.part")
        part.write_bytes(labelled.data)
        part.replace(out)
        observer.bar.finish()
        return {
            "out": str(out),
            "faces_swapped": len(result.faces),
            "faces": [dataclasses.asdict(face) for face in result.faces],
        }

    def _swap_video(
        self, engine: Engine, request: SwapRequest, options: dict[str, Any]
    ) -> dict[str, Any]:
        observer = _Bar(Progress(self.stderr, total=100))
        end = options["end"]
        trim = Trim(
            start_s=Fraction(str(options["start"])),
            end_s=None if end is None else Fraction(str(end)),
        )
        out: Path = options["out"]
        container = _CONTAINERS[out.suffix.lower()]
        labeller = labelling.for_result(None).labeller
        # Under its own name it appears with all its labels only.
        part = out.with_name(f".{out.stem}.part{out.suffix.lower()}")
        report = swap_video(
            engine=engine,
            request=request,
            paths=VideoPaths(target=options["target"], result=part),
            options=TranscodeOptions(
                limits=_VIDEO_LIMITS,
                output=OutputOptions(
                    quality=options["quality"], metadata=labeller.video_tags(container)
                ),
                overlay=labelling.video_stamp(None),
                trim=trim if options["start"] or end is not None else None,
                workers_count=options["threads"],
            ),
            observer=observer,
        )
        try:
            labeller.video(part, container=container, limits=_VIDEO_LIMITS)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
        observer.bar.finish()
        lost = [stream for stream in report.video.streams if stream.outcome == "lost"]
        for stream in lost:
            self.stderr.write(f"{stream.stream.kind} {stream.stream.index} lost: {stream.reason}")
        return {
            "out": str(out),
            "frames": report.video.frames_out,
            "frames_swapped": report.frames_swapped,
            "faces_swapped": report.faces_swapped,
            "tracks": report.tracks_count,
            "streams_lost": len(lost),
            "width": report.video.width,
            "height": report.video.height,
            "duration_s": float(report.video.duration_s),
        }


class _Bar:
    """Draws the progress of the engine."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar

    def progress(self, stage: str, fraction: float) -> None:
        self.bar.done = round(100 * fraction)
        self.bar.step(stage, 0)

    def frames_done(self, progress: VideoProgress) -> None:
        self.bar.total, self.bar.done = progress.frames_total, progress.frames_done
        left = "" if progress.eta_s is None else f", {progress.eta_s:.0f} s left"
        self.bar.step(f"frames, {progress.fps:.1f} a second{left}", 0)

    def should_stop(self) -> bool:
        return False


def _request(options: dict[str, Any]) -> SwapRequest:
    people = []
    if options["reference"] is not None:
        people.append(TargetPerson(image_bgr=_read(options["reference"])))
    pictures = [_read(path) for path in options["sources"]]
    return SwapRequest(
        spec=_spec(options),
        identities=[IdentityPictures(images_bgr=pictures, takes_largest=True)],
        people=people,
        pixels_max=_IMAGE_LIMITS.pixels_max,
    )


def _spec(options: dict[str, Any]) -> SwapSpec:
    stored: dict[str, Any] = {"selector": {"mode": options["faces"]}}
    if options["spec"] is not None:
        try:
            stored = json.loads(options["spec"].read_text(encoding="utf-8"))
        except ValueError as error:
            raise CommandError(f"{options['spec']} is not JSON: {error}") from error
    for part, name, value in (
        ("swapper", "model", options["model"] or None),
        ("frame_enhancer", "model", options["frame_enhancer"] or None),
        ("frame_enhancer", "blend_percent", options["frame_blend"]),
    ):
        if value is not None:
            stored[part] = {**(stored.get(part) or {}), name: value}
    if "model" not in (stored.get("frame_enhancer") or {"model": ""}):
        raise CommandError("--frame-blend needs --frame-enhancer")
    return SwapSpec.from_json(stored)


def _read(path: Path) -> Image:
    return image_io.decode_image(path.read_bytes(), limits=_IMAGE_LIMITS)
