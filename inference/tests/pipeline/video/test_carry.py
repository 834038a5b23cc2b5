from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from av.stream import Disposition

from inference.pipeline.video.types import OutputOptions, Trim, VideoReport
from inference.tests.pipeline.video.media import (
    Clip,
    Sound,
    add_pictures,
    make_clip,
    packet_digests,
    packet_times,
    read_frames,
    run,
)

_TWO_TRACKS = (Sound(language="fra"), Sound(hertz=880, language="deu"))
_MS = Fraction(1, 1000)


def _outcomes(report: VideoReport) -> list[tuple[str, str]]:
    return [(line.stream.codec, line.outcome) for line in report.streams]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_every_sound_track_is_copied_bit_by_bit(tmp_path: Path, suffix: str):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=_TWO_TRACKS))
    target = tmp_path / f"out.{suffix}"
    report = run(source, target)
    assert _outcomes(report) == [("aac", "copied"), ("aac", "copied")]
    for track, line in enumerate(report.streams):
        digests = packet_digests(source, "audio", track)
        assert packet_digests(target, "audio", track) == digests
        assert line.packets_count == len(digests) > 90
    with av.open(str(target)) as container:
        # QuickTime files know German by its other code.
        german = "ger" if suffix == "mov" else "deu"
        assert [stream.language for stream in container.streams.audio] == ["fra", german]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_stays_where_it_was_beside_the_pictures(tmp_path: Path, suffix: str):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(),)))
    target = tmp_path / f"out.{suffix}"
    run(source, target)
    distance = packet_times(source, "audio")[0] - read_frames(source)[0][1]
    kept = packet_times(target, "audio")[0] - read_frames(target)[0][1]
    # Matroska counts milliseconds.
    assert abs(kept - distance) <= (0 if suffix == "mp4" else _MS)


def test_pictures_and_sound_with_different_starts_keep_their_distance(tmp_path: Path):
    late = tuple(range(10 * 512, 60 * 512, 512))
    source = make_clip(tmp_path / "in.mp4", Clip(times=late, sounds=(Sound(),)))
    run(source, tmp_path / "out.mp4")
    frames = read_frames(tmp_path / "out.mp4")
    assert frames[0][1] == Fraction(2, 5)
    assert packet_times(tmp_path / "out.mp4", "audio") == packet_times(source, "audio")


def test_a_stream_that_starts_late_starts_at_zero_afterwards(tmp_path: Path):
    start = 90_000 * 3
    clip = Clip(
        times=tuple(range(start, start + 50 * 3600, 3600)),
        tick_s=Fraction(1, 90_000),
    )
    run(make_clip(tmp_path / "in.ts", clip), tmp_path / "out.mp4")
    assert read_frames(tmp_path / "out.mp4")[0][1] == 0


def test_sound_longer_than_the_pictures_is_kept_whole(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(seconds=5.0),)))
    report = run(source, tmp_path / "out.mp4")
    assert report.duration_s == 2
    assert packet_digests(tmp_path / "out.mp4", "audio") == packet_digests(source, "audio")
    assert packet_times(tmp_path / "out.mp4", "audio")[-1] > Fraction(49, 10)


def test_sound_shorter_than_the_pictures_is_kept_whole(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(seconds=0.5),)))
    run(source, tmp_path / "out.mp4")
    assert packet_digests(tmp_path / "out.mp4", "audio") == packet_digests(source, "audio")


def test_a_trim_cuts_sound_at_packets_and_keeps_it_in_step(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(),)))
    start, end = Fraction(13, 25), Fraction(38, 25)
    report = run(source, tmp_path / "out.mp4", trim=Trim(start, end))
    assert _outcomes(report) == [("aac", "copied")]
    before = dict(zip(packet_digests(source, "audio"), packet_times(source, "audio"), strict=True))
    after = dict(
        zip(
            packet_digests(tmp_path / "out.mp4", "audio"),
            packet_times(tmp_path / "out.mp4", "audio"),
            strict=True,
        )
    )
    # The very packets of the part, each as much earlier as the pictures: to a tick of the file.
    inside = {key for key, at in before.items() if start <= at < end}
    assert set(after) == inside
    for key, at in after.items():
        assert abs(before[key] - start - at) <= Fraction(1, 12_800)
    packet_s = Fraction(1024, 48_000)
    assert min(after.values()) < packet_s
    assert max(after.values()) > end - start - packet_s


@pytest.mark.parametrize("codec", ["ac3", "eac3", "mp3", "flac", "libopus", "alac", "mp2"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_other_sound_codecs_are_copied_too(tmp_path: Path, codec: str, suffix: str):
    clip = Clip(times=tuple(range(0, 2000, 40)), tick_s=_MS, sounds=(Sound(codec),))
    source = make_clip(tmp_path / "in.mkv", clip)
    target = tmp_path / f"out.{suffix}"
    report = run(source, target)
    assert [line.outcome for line in report.streams] == ["copied"]
    assert packet_digests(target, "audio") == packet_digests(source, "audio")


def _samples(path: Path) -> tuple[Fraction, np.ndarray]:
    """Start and samples of the first channel, decoded."""
    with av.open(str(path)) as container:
        # Interleaved: the library reads beyond the planes of eight channels.
        resampler = AudioResampler(format="flt")
        frames = list(container.decode(audio=0))
        start = (frames[0].pts or 0) * (frames[0].time_base or Fraction(1))
        pieces = [piece for frame in frames for piece in resampler.resample(frame)]
        return start, np.concatenate(
            [piece.to_ndarray().reshape(piece.samples, -1)[:, 0] for piece in pieces]
        )


@pytest.mark.parametrize(("codec", "suffix"), [("aac", "mp4"), ("opus", "webm")])
def test_encoding_anew_cuts_to_the_sample_and_keeps_the_tone(
    tmp_path: Path, codec: str, suffix: str
):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(hertz=440),)))
    target = tmp_path / f"out.{suffix}"
    report = run(
        source,
        target,
        trim=Trim(Fraction(1, 2), Fraction(3, 2)),
        output=OutputOptions(audio=codec),  # type: ignore[arg-type]
    )
    assert _outcomes(report) == [("aac", "encoded")]
    assert report.streams[0].reason == f"{codec} was asked for"
    start, samples = _samples(target)
    assert abs(float(start)) < 0.03
    assert abs(len(samples) / 48_000 + float(start) - 1) < 0.05
    middle = samples[12_000:36_000] * np.hanning(24_000)
    peak_hz = float(np.argmax(np.abs(np.fft.rfft(middle))) * 48_000 / 24_000)
    assert abs(peak_hz - 440) <= 2


def test_sound_that_changes_its_channels_is_encoded_through(tmp_path: Path):
    parts: list[bytes] = []
    for layout in ("mono", "stereo", "mono"):
        clip = Clip(
            times=tuple(range(0, 50 * 3600, 3600)),
            tick_s=Fraction(1, 90_000),
            sounds=(Sound(layout=layout),),
        )
        parts.append(make_clip(tmp_path / f"{len(parts)}.ts", clip).read_bytes())
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(parts))
    report = run(source, tmp_path / "out.mp4", output=OutputOptions(audio="aac"))
    assert _outcomes(report) == [("aac", "encoded")]
    _, samples = _samples(tmp_path / "out.mp4")
    assert abs(len(samples) / 48_000 - 6) < 0.3


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize(
    ("layout", "source_codec"),
    [
        ("mono", "pcm_s16le"),
        ("stereo", "flac"),
        ("5.1", "pcm_s16le"),
        ("5.1", "flac"),
        ("7.1", "pcm_s16le"),
        ("7.1", "flac"),
        ("hexagonal", "pcm_s16le"),
    ],
)
def test_every_number_of_channels_can_be_encoded(
    tmp_path: Path, layout: str, codec: str, source_codec: str
):
    clip = Clip(
        times=tuple(range(0, 2000, 40)), tick_s=_MS, sounds=(Sound(source_codec, layout=layout),)
    )
    source = make_clip(tmp_path / "in.mkv", clip)
    target = tmp_path / ("out.mp4" if codec == "aac" else "out.webm")
    output = OutputOptions(audio=codec)  # type: ignore[arg-type]
    report = run(source, target, output=output)
    assert [line.outcome for line in report.streams] == ["encoded"]
    start, samples = _samples(target)
    assert abs(len(samples) / 48_000 + float(start) - 2) < 0.1


def test_infinite_samples_do_not_hold_up_the_encoder(tmp_path: Path):
    """As floats can hold them, and as damaged packets decode to them."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        pictures = add_pictures(output, "libx264", options={})
        pictures.width, pictures.height = 96, 64
        sound = output.add_stream("pcm_f32le", rate=48_000)
        assert isinstance(sound, av.AudioStream)
        sound.layout = "mono"
        for number in range(10):
            frame = av.VideoFrame(96, 64, "yuv420p")
            frame.pts = number
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        loud = np.full((1, 4800), 0.1, dtype=np.float32)
        loud[0, ::7], loud[0, 1::7], loud[0, 2::7] = np.inf, np.nan, 1e30
        samples = av.AudioFrame.from_ndarray(loud, "flt", "mono")
        samples.sample_rate, samples.pts = 48_000, 0
        output.mux(sound.encode(samples))
    report = run(source, tmp_path / "out.mp4", output=OutputOptions(audio="aac"))
    assert _outcomes(report) == [("pcm_f32le", "encoded")]
    _, decoded = _samples(tmp_path / "out.mp4")
    assert np.isfinite(decoded).all()


def test_what_the_container_does_not_take_is_encoded_or_reported(tmp_path: Path):
    source = make_clip(tmp_path / "in.mp4", Clip(sounds=(Sound(),), subtitles=((0, 900, "one"),)))
    report = run(source, tmp_path / "auto.webm")
    assert _outcomes(report) == [("aac", "encoded"), ("mov_text", "lost")]
    assert "webm" in report.streams[1].reason
    strict = run(source, tmp_path / "copy.webm", output=OutputOptions(audio="copy"))
    assert _outcomes(strict) == [("aac", "lost"), ("mov_text", "lost")]
    silent = run(source, tmp_path / "none.mp4", output=OutputOptions(audio="none"))
    assert _outcomes(silent) == [("aac", "lost"), ("mov_text", "copied")]
    assert silent.streams[0].reason == "sound was switched off"


def _cues(path: Path) -> list[tuple[bytes, int]]:
    """Text and start in ms; MP4 puts a length before the text, and empty cues into gaps."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        prefix = 2 if container.format.name.startswith("mov") else 0
        return [
            (bytes(packet)[prefix:], round((packet.pts or 0) * packet.time_base * 1000))
            for packet in container.demux(stream)
            if packet.size > prefix
        ]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_subtitles_go_along(tmp_path: Path, suffix: str):
    clip = Clip(
        times=tuple(range(0, 2000, 40)) if suffix == "mkv" else Clip().times,
        tick_s=_MS if suffix == "mkv" else Clip().tick_s,
        subtitles=((200, 900, "one"), (1000, 1800, "two")),
    )
    source = make_clip(tmp_path / f"in.{suffix}", clip)
    report = run(source, tmp_path / f"out.{suffix}")
    assert report.streams[0].outcome == "copied"
    target = tmp_path / f"out.{suffix}"
    assert _cues(target) == _cues(source) == [(b"one", 200), (b"two", 1000)]


def test_a_subtitle_that_is_shown_at_the_start_of_a_trim_stays(tmp_path: Path):
    source = make_clip(
        tmp_path / "in.mkv",
        Clip(
            times=tuple(range(0, 2000, 40)),
            tick_s=_MS,
            subtitles=((100, 300, "gone"), (800, 1400, "cut"), (1500, 1900, "later")),
        ),
    )
    run(source, tmp_path / "out.mkv", trim=Trim(Fraction(1), Fraction(7, 4)))
    with av.open(str(tmp_path / "out.mkv")) as container:
        cues = [
            (bytes(packet), packet.pts, packet.duration)
            for packet in container.demux(container.streams.subtitles[0])
            if packet.size
        ]
    assert cues == [(b"cut", 0, 400), (b"later", 500, 400)]


def test_tags_chapters_and_roles_go_along_and_rotation_does_not(tmp_path: Path):
    source = make_clip(
        tmp_path / "in.mp4",
        Clip(
            sounds=_TWO_TRACKS,
            metadata={
                "title": "A walk",
                "comment": "in the rain",
                "creation_time": "2020-01-02T03:04:05.000000Z",
            },
            chapters=((0, 800, "first"), (800, 2000, "second")),
            rotation=90,
        ),
    )
    report = run(source, tmp_path / "out.mp4", output=OutputOptions(metadata={"artist": "me"}))
    assert (report.width, report.height) == (64, 96)
    with av.open(str(tmp_path / "out.mp4")) as container:
        tags = container.metadata
        assert (tags["title"], tags["comment"], tags["artist"]) == ("A walk", "in the rain", "me")
        assert tags["creation_time"] == "2020-01-02T03:04:05.000000Z"
        chapters = [
            (chapter["start"] * (chapter["time_base"] or 0), chapter["metadata"]["title"])
            for chapter in container.chapters()
        ]
        assert chapters == [(0, "first"), (Fraction(4, 5), "second")]
        assert container.streams.audio[0].disposition & Disposition.default
        assert next(container.decode(video=0)).rotation == 0


def test_chapters_are_cut_with_the_pictures(tmp_path: Path):
    source = make_clip(
        tmp_path / "in.mp4",
        Clip(chapters=((0, 400, "gone"), (400, 1200, "cut"), (1200, 2000, "last"))),
    )
    run(source, tmp_path / "out.mp4", trim=Trim(Fraction(1), Fraction(8, 5)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        spans = [
            (
                chapter["metadata"]["title"],
                chapter["start"] * (chapter["time_base"] or 0),
                chapter["end"] * (chapter["time_base"] or 0),
            )
            for chapter in container.chapters()
        ]
    assert spans == [
        ("cut", 0, Fraction(1, 5)),
        ("last", Fraction(1, 5), Fraction(3, 5)),
    ]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_a_label_of_ours_can_be_read_back_from_every_container(tmp_path: Path, suffix: str):
    label = '{"Label":"1","ContentProducer":"x"}'
    run(
        make_clip(tmp_path / "in.mp4"),
        tmp_path / f"out.{suffix}",
        output=OutputOptions(metadata={"AIGC": label}),
    )
    with av.open(str(tmp_path / f"out.{suffix}")) as container:
        assert container.metadata["AIGC"] == label


def test_attachments_go_from_matroska_to_matroska(tmp_path: Path):
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 96, 64
        output.add_attachment("font.ttf", "font/ttf", b"not really a font")
        for number in range(5):
            frame = av.VideoFrame(96, 64, "yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    kept = run(path, tmp_path / "out.mkv")
    assert [line.outcome for line in kept.streams] == ["copied"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        attachment = container.streams.attachments[0]
        assert (attachment.name, attachment.data) == ("font.ttf", b"not really a font")
    lost = run(path, tmp_path / "out.mp4")
    assert [line.outcome for line in lost.streams] == ["lost"]
