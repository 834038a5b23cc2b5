from __future__ import annotations

import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from inference.pipeline.errors import StoppedError
from inference.pipeline.types import Image
from inference.pipeline.video.errors import InvalidOutputError, InvalidTrimError
from inference.pipeline.video.formats import available_codecs, crf_of
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import (
    Frame,
    OutputOptions,
    TrackedFrameFn,
    TranscodeOptions,
    Trim,
    VideoCodec,
)
from inference.tests.pipeline.video.media import (
    LIMITS,
    Clip,
    Sound,
    Watcher,
    make_clip,
    packet_digests,
    read_frames,
    read_numbers,
    run,
    same,
    video_duration,
)

_MS = Fraction(1, 1000)
_UNEVEN_MS = (0, 40, 80, 200, 210, 400, 440, 480, 900, 940, 980, 1500)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("video-")]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("h264", "mp4"), ("h265", "mp4"), ("vp9", "webm"), ("av1", "mp4"), ("prores", "mov")],
)
def test_every_codec_keeps_every_frame_and_its_time(tmp_path: Path, codec: VideoCodec, suffix: str):
    assert codec in available_codecs()
    source = make_clip(tmp_path / "in.mp4", Clip(encoder={"bf": "2"}))
    target = tmp_path / f"out.{suffix}"
    report = run(source, target, output=OutputOptions(codec=codec))
    assert (report.frames_in, report.frames_out, report.duration_s) == (50, 50, Fraction(2))
    frames = read_frames(target)
    assert [number for number, _, _ in frames] == list(range(50))
    assert [at for _, at, _ in frames] == [Fraction(number, 25) for number in range(50)]
    assert video_duration(target) == 2
    expected = {"h264": "h264", "h265": "hevc", "prores": "prores"}.get(codec, codec)
    assert probe_video(target, limits=LIMITS).codec == expected


def test_hevc_in_mp4_carries_the_tag_that_players_expect(tmp_path: Path):
    run(make_clip(tmp_path / "in.mp4"), tmp_path / "o.mp4", output=OutputOptions(codec="h265"))
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_the_index_of_an_mp4_comes_first(tmp_path: Path):
    run(make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_frame_rate_is_kept_to_the_tick(tmp_path: Path, suffix: str):
    source = make_clip(tmp_path / "in.mkv", Clip(times=_UNEVEN_MS, tick_s=_MS))
    run(source, tmp_path / f"out.{suffix}")
    frames = read_frames(tmp_path / f"out.{suffix}")
    assert [number for number, _, _ in frames] == list(range(12))
    assert [at / _MS for _, at, _ in frames] == list(_UNEVEN_MS)


@pytest.mark.parametrize(
    ("fps", "count"),
    [(Fraction(10), 20), (Fraction(25), 50), (Fraction(30000, 1001), 60), (Fraction(60), 120)],
)
def test_a_new_rate_keeps_the_duration_exactly(tmp_path: Path, fps: Fraction, count: int):
    source = make_clip(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    report = run(source, target, output=OutputOptions(fps=fps))
    frames = read_frames(target)
    assert len(frames) == report.frames_out == count
    for place, (number, at, _) in enumerate(frames):
        assert at == place / fps
        # The frame that the source shows at this time.
        assert number == int(at * 25)
    assert report.duration_s == 2
    assert probe_video(target, limits=LIMITS).duration_s == 2
    shown = {number for number, _, _ in frames}
    assert report.dropped_count == 50 - len(shown)
    assert report.repeated_count == count - len(shown)


def test_a_new_rate_does_not_run_the_frame_function_on_dropped_frames(tmp_path: Path):
    seen: list[int] = []

    def note(frame: Frame) -> Image:
        seen.append(frame.index)
        return frame.image_bgr

    options = TranscodeOptions(limits=LIMITS, output=OutputOptions(fps=Fraction(5)))
    transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=note,
        options=options,
        observer=Watcher(),
    )
    assert len(seen) == 10


@pytest.mark.parametrize(
    ("scale", "size"), [(0.25, (24, 16)), (0.5, (48, 32)), (1.0, (96, 64)), (2.0, (192, 128))]
)
def test_the_result_is_scaled(tmp_path: Path, scale: float, size: tuple[int, int]):
    report = run(
        make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", output=OutputOptions(scale=scale)
    )
    assert (report.width, report.height) == size
    info = probe_video(tmp_path / "out.mp4", limits=LIMITS)
    assert (info.width, info.height) == size
    assert read_numbers(tmp_path / "out.mp4") == list(range(50))


def test_a_frame_function_may_change_the_size(tmp_path: Path):
    def double(frame: Frame) -> Image:
        return np.repeat(np.repeat(frame.image_bgr, 2, axis=0), 2, axis=1)

    report = transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=double,
        options=TranscodeOptions(limits=LIMITS),
        observer=Watcher(),
    )
    assert (report.width, report.height) == (192, 128)
    assert read_numbers(tmp_path / "out.mp4") == list(range(50))


def test_what_the_frame_function_draws_is_what_comes_out(tmp_path: Path):
    def invert(frame: Frame) -> Image:
        return 255 - frame.image_bgr

    transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=invert,
        options=TranscodeOptions(limits=LIMITS, workers_count=4),
        observer=Watcher(),
    )
    assert read_numbers(tmp_path / "out.mp4") == [255 - number for number in range(50)]


def test_frames_carry_their_number_and_time(tmp_path: Path):
    seen: dict[int, Fraction] = {}

    def note(frame: Frame) -> Image:
        seen[frame.index] = frame.time_s
        assert not frame.is_lead_in
        return frame.image_bgr

    source = make_clip(tmp_path / "in.mkv", Clip(times=_UNEVEN_MS, tick_s=_MS))
    transcode(
        source=source,
        target=tmp_path / "out.mp4",
        frame_fn=note,
        options=TranscodeOptions(limits=LIMITS),
        observer=Watcher(),
    )
    assert seen == {number: at * _MS for number, at in enumerate(_UNEVEN_MS)}


def test_tracking_sees_the_frames_in_order_and_hands_its_state_to_rendering(tmp_path: Path):
    tracked: list[int] = []
    rendered: dict[int, object] = {}

    def track(frame: Frame) -> object:
        tracked.append(frame.index)
        return tuple(tracked)

    def render(frame: Frame, state: object) -> Image:
        time.sleep(0.002 if frame.index % 3 == 0 else 0)
        rendered[frame.index] = state
        return frame.image_bgr

    transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=TrackedFrameFn(track=track, render=render),
        options=TranscodeOptions(limits=LIMITS, workers_count=3),
        observer=Watcher(),
    )
    assert tracked == list(range(50))
    assert rendered == {number: tuple(range(number + 1)) for number in range(50)}
    assert read_numbers(tmp_path / "out.mp4") == list(range(50))


@pytest.mark.parametrize(
    ("start", "end", "first", "stop"),
    [
        (Fraction(0), Fraction(1), 0, 25),
        (Fraction(1), None, 25, 50),
        (Fraction(1, 2), Fraction(3, 2), 13, 38),
        # 0.52 s is frame 13: the start is inside, the end is not.
        (Fraction(13, 25), Fraction(14, 25), 13, 14),
        (Fraction(1), Fraction(99), 25, 50),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_a_trim_is_exact_to_the_frame(
    tmp_path: Path,
    suffix: str,
    start: Fraction,
    end: Fraction | None,
    first: int,
    stop: int,
):
    tick_s = {"mkv": _MS, "ts": Fraction(1, 90_000), "avi": Fraction(1, 25)}.get(
        suffix, Fraction(1, 12800)
    )
    step = round(Fraction(1, 25) / tick_s)
    clip = Clip(
        times=tuple(range(0, 50 * step, step)), tick_s=tick_s, encoder={"g": "12", "bf": "2"}
    )
    source = make_clip(tmp_path / f"in.{suffix}", clip)
    report = run(source, tmp_path / "out.mp4", trim=Trim(start, end))
    frames = read_frames(tmp_path / "out.mp4")
    assert [number for number, _, _ in frames] == list(range(first, stop))
    assert frames[0][1] == 0
    assert report.duration_s == Fraction(stop - first, 25)


@pytest.mark.parametrize(
    ("start", "end"),
    [(Fraction(5), None), (Fraction(1), Fraction(1)), (Fraction(-1), None)],
)
def test_an_impossible_trim_is_refused(tmp_path: Path, start: Fraction, end: Fraction | None):
    source = make_clip(tmp_path / "in.mp4")
    with pytest.raises(InvalidTrimError):
        run(source, tmp_path / "out.mp4", trim=Trim(start, end))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_lead_in_frames_are_shown_and_not_written(tmp_path: Path, suffix: str):
    tick_s = _MS if suffix == "mkv" else Fraction(1, 12800)
    step = round(Fraction(1, 25) / tick_s)
    source = make_clip(
        tmp_path / f"in.{suffix}",
        Clip(times=tuple(range(0, 50 * step, step)), tick_s=tick_s, encoder={"g": "10"}),
    )
    seen: list[tuple[int, bool]] = []

    def track(frame: Frame) -> object:
        seen.append((frame.index, frame.is_lead_in))
        return None

    transcode(
        source=source,
        target=tmp_path / "out.mp4",
        frame_fn=TrackedFrameFn(track=track, render=lambda frame, _: frame.image_bgr),
        options=TranscodeOptions(
            limits=LIMITS, trim=Trim(Fraction(1), Fraction(6, 5)), lead_in_frames=15
        ),
        observer=Watcher(),
    )
    assert seen == [(index, index < 0) for index in range(-15, 5)]
    assert read_numbers(tmp_path / "out.mp4") == [25, 26, 27, 28, 29]


def test_a_single_frame_and_no_sound_work(tmp_path: Path):
    report = run(make_clip(tmp_path / "in.mp4", Clip(times=(0,))), tmp_path / "out.mp4")
    assert (report.frames_out, report.duration_s, report.streams) == (1, Fraction(1, 25), ())
    assert read_numbers(tmp_path / "out.mp4") == [0]


@pytest.mark.parametrize(
    "output",
    [
        OutputOptions(codec="h264", container="webm"),
        OutputOptions(codec="prores", container="mp4"),
        OutputOptions(scale=0.2),
        OutputOptions(scale=4.5),
        OutputOptions(quality=101),
        OutputOptions(quality=-1),
        OutputOptions(fps=Fraction(1, 2)),
        OutputOptions(fps=Fraction(500)),
        OutputOptions(encoder_threads=0),
    ],
)
def test_an_impossible_output_is_refused(tmp_path: Path, output: OutputOptions):
    source = make_clip(tmp_path / "in.mp4")
    with pytest.raises(InvalidOutputError):
        run(source, tmp_path / "out.mp4", output=output)
    assert not (tmp_path / "out.mp4").exists()


def test_an_unknown_container_names_the_known_ones(tmp_path: Path):
    with pytest.raises(InvalidOutputError) as caught:
        run(make_clip(tmp_path / "in.mp4"), tmp_path / "out.wmv")
    assert caught.value.available == ("mp4", "mov", "mkv", "webm")


def test_quality_maps_to_the_documented_factors():
    assert [crf_of("h264", quality) for quality in (0, 40, 80, 90, 100)] == [51, 34, 18, 11, 4]
    assert [crf_of("vp9", quality) for quality in (0, 80, 100)] == [63, 24, 6]


def test_a_higher_quality_is_closer_to_the_source_and_larger(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(encoder={"crf": "1"}))
    sizes = []
    for quality in (20, 60, 95):
        target = tmp_path / f"{quality}.mp4"
        run(source, target, output=OutputOptions(quality=quality))
        sizes.append(target.stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_the_same_run_gives_the_same_pictures(tmp_path: Path, codec: VideoCodec):
    source = make_clip(tmp_path / "in.mp4")
    for name in ("a.mkv", "b.mkv"):
        output = OutputOptions(codec=codec, encoder_threads=2)
        run(source, tmp_path / name, output=output, workers_count=3)
    digests = [packet_digests(tmp_path / name, "video") for name in ("a.mkv", "b.mkv")]
    assert digests[0] == digests[1]


def test_progress_grows_to_one_and_counts_frames(tmp_path: Path):
    watcher = Watcher()
    transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=same,
        options=TranscodeOptions(limits=LIMITS),
        observer=watcher,
    )
    assert watcher.fractions == sorted(watcher.fractions)
    assert watcher.fractions[-1] == 1.0
    assert watcher.fractions.count(1.0) == 1
    assert [step.frames_done for step in watcher.steps] == list(range(1, 51))
    assert {step.frames_total for step in watcher.steps} == {50}
    assert watcher.steps[-1].fps > 0
    assert watcher.steps[-1].eta_s == 0


def test_the_expected_number_of_frames_follows_trim_and_rate(tmp_path: Path):
    watcher = Watcher()
    transcode(
        source=make_clip(tmp_path / "in.mp4"),
        target=tmp_path / "out.mp4",
        frame_fn=same,
        options=TranscodeOptions(
            limits=LIMITS,
            trim=Trim(Fraction(1, 2), Fraction(3, 2)),
            output=OutputOptions(fps=Fraction(10)),
        ),
        observer=watcher,
    )
    assert {step.frames_total for step in watcher.steps} == {10}
    assert len(watcher.steps) == 10


def test_stopping_ends_all_threads_and_leaves_the_old_result(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(),)))
    (tmp_path / "out.mp4").write_bytes(b"the old result")
    with pytest.raises(StoppedError) as caught:
        transcode(
            source=source,
            target=tmp_path / "out.mp4",
            frame_fn=same,
            options=TranscodeOptions(limits=LIMITS),
            observer=Watcher(stop_after=7),
        )
    assert caught.value.stage == "video"
    assert (tmp_path / "out.mp4").read_bytes() == b"the old result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    assert _threads() == []


def test_a_deadline_ends_a_run_whose_frame_function_is_slow(tmp_path: Path):
    class Deadline(Watcher):
        def __init__(self) -> None:
            super().__init__()
            self.at = time.monotonic() + 0.5

        def should_stop(self) -> bool:
            return time.monotonic() >= self.at

    def slow(frame: Frame) -> Image:
        time.sleep(0.4)
        return frame.image_bgr

    started_at = time.monotonic()
    with pytest.raises(StoppedError):
        transcode(
            source=make_clip(tmp_path / "in.mp4"),
            target=tmp_path / "out.mp4",
            frame_fn=slow,
            options=TranscodeOptions(limits=LIMITS),
            observer=Deadline(),
        )
    # Alone, the frame function would need 10 s.
    assert time.monotonic() - started_at < 5
    assert _threads() == []


def test_an_error_of_the_frame_function_surfaces_and_nothing_is_left(tmp_path: Path):
    def fail(frame: Frame) -> Image:
        if frame.index == 30:
            raise LookupError("no such face")
        return frame.image_bgr

    with pytest.raises(LookupError, match="no such face"):
        transcode(
            source=make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(),))),
            target=tmp_path / "out.mp4",
            frame_fn=fail,
            options=TranscodeOptions(limits=LIMITS, workers_count=3),
            observer=Watcher(),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]
    assert _threads() == []


def test_a_frame_function_that_returns_no_picture_is_a_bug(tmp_path: Path):
    def wrong(frame: Frame) -> Image:
        return frame.image_bgr[:, :, 0]

    with pytest.raises(TypeError, match="frame function"):
        transcode(
            source=make_clip(tmp_path / "in.mp4"),
            target=tmp_path / "out.mp4",
            frame_fn=wrong,
            options=TranscodeOptions(limits=LIMITS),
            observer=Watcher(),
        )


def test_frames_of_different_sizes_are_refused(tmp_path: Path):
    def shrinking(frame: Frame) -> Image:
        return np.ascontiguousarray(frame.image_bgr[: 64 - 2 * (frame.index // 10)])

    with pytest.raises(InvalidOutputError, match="differ in size"):
        transcode(
            source=make_clip(tmp_path / "in.mp4"),
            target=tmp_path / "out.mp4",
            frame_fn=shrinking,
            options=TranscodeOptions(limits=LIMITS),
            observer=Watcher(),
        )


def test_the_pixel_aspect_is_kept(tmp_path: Path):
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 96, 64
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number in range(3):
            frame = av.VideoFrame(96, 64, "yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    run(path, tmp_path / "out.mp4")
    assert probe_video(tmp_path / "out.mp4", limits=LIMITS).sample_aspect_ratio == Fraction(4, 3)
