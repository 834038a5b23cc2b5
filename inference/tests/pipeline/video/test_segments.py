from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.pipeline.errors import StoppedError
from inference.pipeline.types import Image
from inference.pipeline.video.errors import InvalidOutputError, SegmentMismatchError
from inference.pipeline.video.join import join_segments
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.segments import plan_segments
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import (
    ContainerName,
    Frame,
    OutputOptions,
    Segment,
    TrackedFrameFn,
    TranscodeOptions,
    Trim,
    VideoCodec,
    VideoReport,
)
from inference.tests.pipeline.video.media import (
    LIMITS,
    Clip,
    Sound,
    Watcher,
    make_clip,
    packet_digests,
    packet_times,
    read_frames,
    same,
    video_duration,
)

_MS = Fraction(1, 1000)
_SECONDS = 9


def _clip(suffix: str, **changes: object) -> Clip:
    tick_s = {"mkv": _MS, "ts": Fraction(1, 90_000), "avi": Fraction(1, 25)}.get(
        suffix, Fraction(1, 12800)
    )
    step = round(Fraction(1, 25) / tick_s)
    clip = Clip(
        times=tuple(range(0, _SECONDS * 25 * step, step)),
        tick_s=tick_s,
        encoder={"g": "25", "bf": "3", "crf": "12"},
        sounds=(Sound(codec="mp3" if suffix == "avi" else "aac", seconds=_SECONDS),),
    )
    return dataclasses.replace(clip, **changes)  # type: ignore[arg-type]


def _render(
    source: Path, folder: Path, plan: Sequence[Segment], options: TranscodeOptions
) -> list[Path]:
    parts = [folder / f"part{segment.index}" for segment in plan]
    for segment, part in zip(plan, parts, strict=True):
        transcode(
            source=source,
            target=part,
            frame_fn=same,
            options=options,
            observer=Watcher(),
            segment=segment,
        )
    return parts


def _join(parts: Sequence[Path], **arguments: Any) -> VideoReport:
    return join_segments(parts, **arguments, observer=Watcher(stage="join"))


def _options(container: ContainerName = "mp4", **output: object) -> TranscodeOptions:
    return TranscodeOptions(
        limits=LIMITS,
        output=OutputOptions(container=container, **output),  # type: ignore[arg-type]
    )


def test_a_plan_covers_every_frame_once_and_travels_as_json(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    assert [(part.index, part.first_frame, part.frames_count) for part in plan] == [
        (0, 0, 75),
        (1, 75, 75),
        (2, 150, 75),
    ]
    assert all(part.starts_at_key for part in plan)
    for before, after in pairwise(plan):
        assert before.end_pts == after.start_pts
    assert plan[-1].end_pts == _SECONDS * 12800
    sent = json.dumps([dataclasses.asdict(part) for part in plan])
    assert tuple(Segment(**part) for part in json.loads(sent)) == plan


def test_a_short_rest_joins_the_part_before_it(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    plan = plan_segments(source, target_s=4, limits=LIMITS)
    assert [part.frames_count for part in plan] == [100, 125]


def test_a_video_with_one_key_frame_stays_whole(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4", encoder={"g": "999", "keyint_min": "999"}))
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert [part.frames_count for part in plan] == [_SECONDS * 25]


@pytest.mark.parametrize(
    ("suffix", "codec", "container"),
    [
        ("mp4", "h264", "mp4"),
        ("mkv", "h264", "mp4"),
        ("ts", "h264", "mkv"),
        ("avi", "h264", "mp4"),
        ("ts", "h265", "mp4"),
        ("mkv", "vp9", "webm"),
        ("mp4", "av1", "mkv"),
        ("avi", "prores", "mov"),
    ],
)
def test_joined_parts_equal_a_run_that_was_not_split(
    tmp_path: Path, suffix: str, codec: VideoCodec, container: ContainerName
):
    source = make_clip(tmp_path / f"in.{suffix}", _clip(suffix, size=(64, 48)))
    options = _options(container, codec=codec)
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    assert len(plan) == 3
    parts = _render(source, tmp_path, plan, options)
    joined, whole = tmp_path / f"joined.{container}", tmp_path / f"whole.{container}"
    report = _join(parts, segments=plan, source=source, target=joined, options=options)
    unsplit = transcode(
        source=source, target=whole, frame_fn=same, options=options, observer=Watcher()
    )
    frames, expected = read_frames(joined), read_frames(whole)
    assert [number for number, _, _ in frames] == list(range(_SECONDS * 25))
    assert [(number, at) for number, at, _ in frames] == [
        (number, at) for number, at, _ in expected
    ]
    assert report.frames_out == unsplit.frames_out == _SECONDS * 25
    assert report.duration_s == unsplit.duration_s == _SECONDS
    assert video_duration(joined) == video_duration(whole)
    assert [line.outcome for line in report.streams] == [line.outcome for line in unsplit.streams]
    assert packet_digests(joined, "audio") == packet_digests(whole, "audio")
    assert packet_times(joined, "audio") == packet_times(whole, "audio")
    if (suffix, container) == ("mp4", "mp4"):
        assert packet_digests(joined, "audio") == packet_digests(source, "audio")
    a, b = (probe_video(path, limits=LIMITS) for path in (joined, whole))
    assert a == dataclasses.replace(b, bytes_count=a.bytes_count)


@pytest.mark.parametrize("open_gop", [True, False])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_parts_of_open_groups_of_pictures_decode_to_the_same_pixels(
    tmp_path: Path, *, codec: str, open_gop: bool
):
    switch = f"open-gop={int(open_gop)}"
    params = f"keyint=25:min-keyint=25:scenecut=0:bframes=4:{switch}"
    encoder = (
        {"x264-params": params}
        if codec == "libx264"
        else {"x265-params": f"{params}:log-level=error"}
    )
    source = make_clip(tmp_path / "in.mp4", _clip("mp4", codec=codec, encoder=encoder))
    seen: dict[Fraction, bytes] = {}
    split: dict[Fraction, bytes] = {}

    def keep(frames: dict[Fraction, bytes]) -> object:
        def note(frame: Frame) -> Image:
            frames[frame.time_s] = frame.image_bgr.tobytes()
            return frame.image_bgr

        return note

    options = _options()
    for frames, segment in [
        (seen, None),
        *((split, p) for p in plan_segments(source, target_s=2, limits=LIMITS)),
    ]:
        transcode(
            source=source,
            target=tmp_path / "out.mp4",
            frame_fn=keep(frames),  # type: ignore[arg-type]
            options=options,
            observer=Watcher(),
            segment=segment,
        )
    assert len(seen) == _SECONDS * 25
    assert split == seen


def test_a_lost_part_can_be_rendered_alone_and_gives_the_same_result(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    options = _options()
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    parts = _render(source, tmp_path, plan, options)
    first = tmp_path / "first.mp4"
    _join(parts, segments=plan, source=source, target=first, options=options)
    parts[1].unlink()
    _render(source, tmp_path, plan[1:2], options)
    again = tmp_path / "again.mp4"
    _join(parts, segments=plan, source=source, target=again, options=options)
    assert packet_digests(first, "video") == packet_digests(again, "video")
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("fps", [Fraction(10), Fraction(30000, 1001), Fraction(50)])
def test_a_new_rate_is_the_same_with_and_without_parts(tmp_path: Path, fps: Fraction):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    options = _options(fps=fps)
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert len(plan) >= 4
    parts = _render(source, tmp_path, plan, options)
    joined, whole = tmp_path / "joined.mp4", tmp_path / "whole.mp4"
    report = _join(parts, segments=plan, source=source, target=joined, options=options)
    unsplit = transcode(
        source=source, target=whole, frame_fn=same, options=options, observer=Watcher()
    )
    assert [f[:2] for f in read_frames(joined)] == [f[:2] for f in read_frames(whole)]
    assert report.duration_s == unsplit.duration_s == _SECONDS


def test_a_variable_rate_is_the_same_with_and_without_parts(tmp_path: Path):
    times = [number * 40 + (number * number) % 23 for number in range(225)]
    source = make_clip(tmp_path / "in.mkv", _clip("mkv", times=times))
    options = _options()
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert len(plan) >= 3
    parts = _render(source, tmp_path, plan, options)
    joined = tmp_path / "joined.mp4"
    _join(parts, segments=plan, source=source, target=joined, options=options)
    assert [at / _MS for _, at, _ in read_frames(joined)] == times


def test_a_trim_is_planned_and_joined(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    trim = Trim(Fraction(33, 25), Fraction(200, 25))
    plan = plan_segments(source, target_s=3, limits=LIMITS, trim=trim)
    assert [(part.first_frame, part.frames_count) for part in plan] == [(0, 92), (92, 75)]
    assert [part.starts_at_key for part in plan] == [False, True]
    options = dataclasses.replace(_options(), trim=trim)
    parts = _render(source, tmp_path, plan, options)
    joined, whole = tmp_path / "joined.mp4", tmp_path / "whole.mp4"
    _join(parts, segments=plan, source=source, target=joined, options=options)
    transcode(source=source, target=whole, frame_fn=same, options=options, observer=Watcher())
    assert [f[0] for f in read_frames(joined)] == list(range(33, 200))
    assert [f[:2] for f in read_frames(joined)] == [f[:2] for f in read_frames(whole)]
    assert packet_digests(joined, "audio") == packet_digests(whole, "audio")


def test_a_frame_that_is_held_long_behind_a_trim_ends_with_it(tmp_path: Path):
    # The third frame stays for 50 s, of which the trim takes one.
    source = make_clip(tmp_path / "in.mkv", _clip("mkv", times=(0, 40, 80, 50_000), sounds=()))
    trim = Trim(Fraction(0), Fraction(1))
    plan = plan_segments(source, target_s=2, limits=LIMITS, trim=trim)
    options = dataclasses.replace(_options(), trim=trim)
    parts = _render(source, tmp_path, plan, options)
    report = _join(
        parts, segments=plan, source=source, target=tmp_path / "joined.mp4", options=options
    )
    unsplit = transcode(
        source=source,
        target=tmp_path / "whole.mp4",
        frame_fn=same,
        options=options,
        observer=Watcher(),
    )
    assert report.frames_out == unsplit.frames_out == 3
    assert report.duration_s == unsplit.duration_s == 1


def test_a_part_shows_its_lead_in_to_the_tracker(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    seen: list[tuple[int, bool, Fraction]] = []

    def track(frame: Frame) -> object:
        seen.append((frame.index, frame.is_lead_in, frame.time_s))
        return None

    options = dataclasses.replace(_options(), lead_in_frames=8)
    report = transcode(
        source=source,
        target=tmp_path / "part",
        frame_fn=TrackedFrameFn(track=track, render=lambda frame, _: frame.image_bgr),
        options=options,
        observer=Watcher(),
        segment=plan[1],
    )
    assert report.frames_out == 75
    assert seen == [(index, index < 0, 3 + Fraction(index, 25)) for index in range(-8, 75)]


def test_transparency_survives_splitting(tmp_path: Path):
    def paint(number: int, size: tuple[int, int]) -> Image:
        image = np.full((size[1], size[0], 4), 128, dtype=np.uint8)
        image[:, :, 3] = number
        return image

    source = make_clip(
        tmp_path / "in.mov",
        Clip(codec="png", pixel_format="rgba", paint=paint, times=tuple(range(0, 200 * 512, 512))),
    )
    options = _options("webm", quality=95)
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert len(plan) == 4
    parts = _render(source, tmp_path, plan, options)
    joined = tmp_path / "joined.webm"
    report = _join(parts, segments=plan, source=source, target=joined, options=options)
    assert report.is_alpha_kept
    info = probe_video(joined, limits=LIMITS)
    assert info.has_alpha
    assert info.duration_s == 8
    assert len(read_frames(joined)) == 200


def test_a_video_with_broken_timestamps_is_not_split(tmp_path: Path):
    # A transport stream whose clock starts anew in the middle: two files in one.
    tick_s = Fraction(1, 90_000)
    clip = Clip(times=tuple(range(0, 75 * 3600, 3600)), tick_s=tick_s, encoder={"g": "25"})
    first = make_clip(tmp_path / "a.ts", clip).read_bytes()
    source = tmp_path / "twice.ts"
    source.write_bytes(first + first)
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert len(plan) == 1
    options = _options()
    parts = _render(source, tmp_path, plan, options)
    joined, whole = tmp_path / "joined.mp4", tmp_path / "whole.mp4"
    _join(parts, segments=plan, source=source, target=joined, options=options)
    report = transcode(
        source=source, target=whole, frame_fn=same, options=options, observer=Watcher()
    )
    assert report.frames_out == 150
    assert report.repaired_pts_count > 0
    assert [f[:2] for f in read_frames(joined)] == [f[:2] for f in read_frames(whole)]


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    options = _options()
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    parts = _render(source, tmp_path, plan, options)

    def join(files: Sequence[Path], segments: Sequence[Segment] = plan) -> None:
        target = tmp_path / "joined.mp4"
        with pytest.raises(SegmentMismatchError):
            _join(files, segments=segments, source=source, target=target, options=options)
        assert not target.exists()

    join(parts[:2])
    join([parts[1], parts[0], parts[2]])
    join([parts[0], parts[0], parts[2]])
    join([parts[0], parts[2]], [plan[0], plan[2]])
    join([])
    other = tmp_path / "other"
    other.mkdir()
    lower = dataclasses.replace(options, output=OutputOptions(container="mp4", scale=0.5))
    foreign = _render(source, other, plan, lower)
    join([parts[0], foreign[1], parts[2]])
    cut = tmp_path / "cut"
    cut.write_bytes(parts[1].read_bytes()[: parts[1].stat().st_size // 3])
    join([parts[0], cut, parts[2]])


def test_a_part_needs_to_know_the_final_container(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    with pytest.raises(InvalidOutputError):
        _render(source, tmp_path, plan, TranscodeOptions(limits=LIMITS))


def test_joining_can_be_stopped_and_leaves_nothing(tmp_path: Path):
    class Stopper(Watcher):
        def should_stop(self) -> bool:
            return len(self.fractions) >= 20

    source = make_clip(tmp_path / "in.mp4", _clip("mp4"))
    options = _options()
    plan = plan_segments(source, target_s=3, limits=LIMITS)
    parts = _render(source, tmp_path, plan, options)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoppedError):
        join_segments(
            parts,
            segments=plan,
            source=source,
            target=tmp_path / "joined.mp4",
            options=options,
            observer=Stopper(stage="join"),
        )
    assert sorted(tmp_path.iterdir()) == before
