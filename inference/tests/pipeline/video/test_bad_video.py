from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import time
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import pytest

from inference.pipeline.errors import PipelineError
from inference.pipeline.video.errors import (
    EncryptedVideoError,
    NoVideoStreamError,
    UnreadableVideoError,
    UnsupportedVideoError,
    VideoTooLargeError,
    VideoTooLongError,
)
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import VideoLimits
from inference.tests.pipeline.video.media import (
    LIMITS,
    Clip,
    Sound,
    make_clip,
    number_of,
    numbered,
    read_numbers,
    run,
)

_MS = Fraction(1, 1000)
_REPOSITORY = Path(__file__).parents[4]
_LONG = Clip(times=tuple(range(0, 200 * 512, 512)), encoder={"g": "20", "crf": "10"})


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", UnreadableVideoError, id="empty"),
        pytest.param(b"\x00", UnsupportedVideoError, id="one-byte"),
        pytest.param(b"just words, no video " * 50, UnsupportedVideoError, id="text"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(500), UnsupportedVideoError, id="png"),
        pytest.param(b"GIF89a" + bytes(500), UnsupportedVideoError, id="gif"),
        pytest.param(b"%PDF-1.7\n" + bytes(500), UnsupportedVideoError, id="pdf"),
        pytest.param(
            b"\x00\x00\x00\x18ftypmp42" + bytes(600), UnreadableVideoError, id="mp4-start-only"
        ),
        pytest.param(b"\x1aE\xdf\xa3" + bytes(600), UnreadableVideoError, id="mkv-start-only"),
        pytest.param(
            b"RIFF\xff\xff\x00\x00AVI LIST" + bytes(90), UnreadableVideoError, id="avi-start-only"
        ),
    ],
)
def test_what_is_no_video_is_named_so(tmp_path: Path, data: bytes, error: type[PipelineError]):
    with pytest.raises(error):
        probe_video(_write(tmp_path / "file.mp4", data), limits=LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\n{neighbour}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {neighbour}\n",
        "<?xml version='1.0'?><MPD><Period><BaseURL>{neighbour}</BaseURL></Period></MPD>",
    ],
)
def test_playlists_never_open_other_files(tmp_path: Path, text: str):
    neighbour = make_clip(tmp_path / "secret.mp4")
    playlist = _write(tmp_path / "list.mp4", text.format(neighbour=neighbour).encode())
    with pytest.raises(UnsupportedVideoError):
        probe_video(playlist, limits=LIMITS)


@pytest.mark.parametrize("name", ["http:x.mp4", "pipe:0", "a%03d.mp4", "concat:a|b.mp4"])
def test_a_file_name_is_never_a_protocol_or_pattern(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "plain.mp4").rename(tmp_path / name)
    assert probe_video(Path(name), limits=LIMITS).frames_count == 50


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path: Path):
    for path in (tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(UnreadableVideoError):
            probe_video(path, limits=LIMITS)


def test_sound_alone_is_no_video(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    source = make_clip(path, Clip(sounds=(Sound(),)))
    with av.open(str(source)) as container, av.open(str(tmp_path / "s.mp4"), "w") as output:
        stream = container.streams.audio[0]
        copy = output.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    with pytest.raises(NoVideoStreamError):
        probe_video(tmp_path / "s.mp4", limits=LIMITS)


def test_encrypted_pictures_are_refused(tmp_path: Path):
    path = make_clip(
        tmp_path / "locked.mp4",
        Clip(
            container={
                "encryption_scheme": "cenc-aes-ctr",
                "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
                "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
            }
        ),
    )
    with pytest.raises(EncryptedVideoError):
        probe_video(path, limits=LIMITS)


def test_an_uncommon_codec_is_not_supported(tmp_path: Path):
    clip = Clip(codec="snow", times=tuple(range(0, 400, 40)), tick_s=_MS, encoder={"strict": "-2"})
    with pytest.raises(UnsupportedVideoError, match="snow"):
        probe_video(make_clip(tmp_path / "clip.mkv", clip), limits=LIMITS)


def test_a_header_of_huge_size_is_refused_without_decoding(tmp_path: Path):
    wide = make_clip(tmp_path / "wide.mkv", Clip(size=(4000, 64), times=(0, 40), tick_s=_MS))
    started_at = time.monotonic()
    with pytest.raises(VideoTooLargeError):
        probe_video(wide, limits=LIMITS)
    assert time.monotonic() - started_at < 10


def test_a_container_that_lies_about_the_size_does_no_harm(tmp_path: Path):
    data = bytearray(make_clip(tmp_path / "clip.mp4").read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    assert data[at : at + 4] == bytes((0, 96, 0, 64))
    data[at : at + 4] = b"\xff\xff\xff\xff"
    lying = _write(tmp_path / "lying.mp4", bytes(data))
    try:
        info = probe_video(lying, limits=LIMITS)
    except VideoTooLargeError:
        return
    assert (info.width, info.height) == (96, 64)


_ANNOUNCED = 50_000_000


def _with_rows(data: bytes, name: bytes, offset: int, *values: int) -> bytes:
    """Overwrite 32-bit numbers behind the name of a table."""
    at = data.index(name) + offset
    packed = struct.pack(f">{len(values)}I", *values)
    return data[:at] + packed + data[at + len(packed) :]


def _announcing(data: bytes) -> bytes:
    """An MP4 of a few kilobytes that announces fifty million frames of one byte."""
    data = _with_rows(data, b"stsz", 8, 1, _ANNOUNCED)
    data = _with_rows(data, b"stsc", 16, _ANNOUNCED)
    return _with_rows(data, b"stts", 12, _ANNOUNCED)


def test_tables_that_announce_millions_of_frames_are_refused_before_they_are_read(
    tmp_path: Path,
):
    data = _announcing(make_clip(tmp_path / "clip.mp4").read_bytes())
    started_at = time.monotonic()
    with pytest.raises(VideoTooLongError, match="announces"):
        probe_video(_write(tmp_path / "bomb.mp4", data), limits=LIMITS)
    assert time.monotonic() - started_at < 2
    # The same where a demuxer would only find the tables by looking into padding.
    hidden = data.replace(b"moov", b"free")
    with pytest.raises(VideoTooLongError, match="announces"):
        probe_video(_write(tmp_path / "hidden.mp4", hidden), limits=LIMITS)
    with pytest.raises(VideoTooLongError, match="announces"):
        probe_video(io.BytesIO(data), limits=LIMITS)


def test_fragments_that_announce_millions_of_frames_are_refused(tmp_path: Path):
    clip = Clip(container={"movflags": "frag_keyframe+empty_moov"})
    data = make_clip(tmp_path / "clip.mp4", clip).read_bytes()
    assert probe_video(tmp_path / "clip.mp4", limits=LIMITS).width == 96
    lying = _write(tmp_path / "bomb.mp4", _with_rows(data, b"trun", 8, _ANNOUNCED))
    with pytest.raises(VideoTooLongError, match="announces"):
        probe_video(lying, limits=LIMITS)


def test_an_edit_list_that_shows_everything_again_and_again_is_refused(tmp_path: Path):
    data = make_clip(tmp_path / "clip.mp4").read_bytes()
    # Within the track, so that the sizes of the boxes around it still fit.
    at = data.index(b"elst") - 4
    rows = 60_000
    edits = struct.pack(">III", 2000, 0, 65536) * rows
    box = struct.pack(">I4sII", 16 + len(edits), b"elst", 0, rows) + edits
    old = int.from_bytes(data[at : at + 4], "big")
    grown = data[:at] + box + data[at + old :]
    for name in (b"moov", b"trak", b"edts"):
        place = grown.index(name) - 4
        size = int.from_bytes(grown[place : place + 4], "big") + len(box) - old
        grown = grown[:place] + size.to_bytes(4, "big") + grown[place + 4 :]
    with pytest.raises(VideoTooLongError, match="announces"):
        probe_video(_write(tmp_path / "edits.mp4", grown), limits=LIMITS)


def test_long_uncompressed_sound_is_not_mistaken_for_a_lie(tmp_path: Path):
    clip = Clip(times=tuple(range(0, 1500 * 512, 512)), sounds=(Sound("pcm_s16le", 60.0),))
    path = make_clip(tmp_path / "clip.mov", clip)
    # 2,880,000 samples, each of which the container counts.
    assert probe_video(path, limits=LIMITS).duration_s == 60


def test_a_codec_that_hides_a_larger_picture_is_refused(tmp_path: Path):
    """The container says 96 x 64, the pictures inside are 1600 x 1200."""
    large = make_clip(tmp_path / "large.mp4", Clip(size=(1600, 1200), times=(0, 512)))
    data = bytearray(large.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    data[at : at + 4] = bytes((0, 96, 0, 64))
    hidden = _write(tmp_path / "hidden.mp4", bytes(data))
    small = VideoLimits(
        bytes_max=10**7,
        pixels_max=320 * 240,
        side_max_px=400,
        duration_max_s=60,
        frames_max=1000,
        fps_max=60,
    )
    with pytest.raises((VideoTooLargeError, UnreadableVideoError)):
        probe_video(hidden, limits=small)


def test_more_frames_than_the_header_says_hit_the_limit_while_decoding(tmp_path: Path):
    # Matroska has no count, so only decoding tells; the header claims one second.
    path = make_clip(tmp_path / "c.mkv", Clip(times=tuple(range(0, 200 * 5, 5)), tick_s=_MS))
    limits = VideoLimits(
        bytes_max=10**7,
        pixels_max=10**6,
        side_max_px=1000,
        duration_max_s=60,
        frames_max=60,
        fps_max=1000,
    )
    with pytest.raises(VideoTooLongError):
        run(path, tmp_path / "out.mp4", limits=limits)
    assert not (tmp_path / "out.mp4").exists()


def test_bytes_behind_the_video_are_ignored(tmp_path: Path):
    path = make_clip(tmp_path / "both.mp4")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("hello.txt", "hello")
    run(path, tmp_path / "out.mp4")
    assert read_numbers(tmp_path / "out.mp4") == list(range(50))


def test_a_picture_in_front_of_the_video_makes_it_foreign(tmp_path: Path):
    video = make_clip(tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(PipelineError):
        probe_video(_write(tmp_path / "p.mp4", b"\xff\xd8\xff\xe0" + video), limits=LIMITS)


def test_a_video_without_its_index_is_unreadable(tmp_path: Path):
    data = make_clip(tmp_path / "clip.mp4", _LONG).read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    cut = _write(tmp_path / "cut.mp4", data[: data.index(b"moov") - 100])
    with pytest.raises(UnreadableVideoError):
        probe_video(cut, limits=LIMITS)
    half_index = (data.index(b"moov") + len(data)) // 2
    with pytest.raises(PipelineError):
        probe_video(_write(tmp_path / "cut.mp4", data[:half_index]), limits=LIMITS)


def test_a_video_cut_short_behind_its_index_is_unreadable(tmp_path: Path):
    clip = Clip(times=_LONG.times, encoder=_LONG.encoder, container={"movflags": "+faststart"})
    data = make_clip(tmp_path / "clip.mp4", clip).read_bytes()
    cut = _write(tmp_path / "cut.mp4", data[: len(data) // 2])
    assert probe_video(cut, limits=LIMITS).frames_count == 200
    with pytest.raises(UnreadableVideoError, match=r"missing|damaged"):
        run(cut, tmp_path / "out.mp4")
    assert list(tmp_path.glob(".*")) == []


def _corrupted(path: Path, *, share: float, seed: int) -> Path:
    """Overwrite random bytes of the packets of the middle third."""
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)  # noqa: S311 - a repeatable corpus
    low, high = len(data) // 3, len(data) * 2 // 3
    for _ in range(max(1, round((high - low) * share))):
        data[chance.randrange(low, high)] = chance.randrange(256)
    return _write(path.with_stem("damaged"), bytes(data))


def test_a_few_bad_bytes_are_survived_and_counted(tmp_path: Path):
    path = make_clip(tmp_path / "clip.mkv", Clip(times=tuple(range(0, 8000, 40)), tick_s=_MS))
    report = run(_corrupted(path, share=0.0005, seed=2), tmp_path / "out.mp4")
    assert 195 <= report.frames_in <= 200
    assert report.frames_out == len(read_numbers(tmp_path / "out.mp4")) == report.frames_in
    assert report.corrupt_packets_count + report.concealed_count + (200 - report.frames_in) > 0


def test_too_much_damage_is_an_error_and_leaves_nothing(tmp_path: Path):
    path = make_clip(
        tmp_path / "clip.mov",
        Clip(codec="png", pixel_format="rgb24", times=tuple(range(0, 8000, 40)), tick_s=_MS),
    )
    damaged = _corrupted(path, share=0.05, seed=2)
    with pytest.raises(UnreadableVideoError):
        run(damaged, tmp_path / "out.mp4", corrupt_frames_max=10)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_odd_timestamps_give_every_frame_in_order(tmp_path: Path, suffix: str):
    tick_s = {"mkv": _MS, "ts": Fraction(1, 90_000), "avi": Fraction(1, 25)}[suffix]
    step = round(Fraction(1, 25) / tick_s)
    start = 0 if suffix == "avi" else 10_000 * step
    clip = Clip(
        codec="libx264",
        times=tuple(range(start, start + 60 * step, step)),
        tick_s=tick_s,
        encoder={"bf": "2"},
    )
    path = make_clip(tmp_path / f"clip.{suffix}", clip)
    run(path, tmp_path / "out.mp4")
    assert read_numbers(tmp_path / "out.mp4") == list(range(60))


def test_negative_timestamps_are_moved_to_zero(tmp_path: Path):
    clip = Clip(
        times=tuple(range(-10 * 512, 40 * 512, 512)),
        container={"use_editlist": "0", "avoid_negative_ts": "disabled"},
    )
    path = make_clip(tmp_path / "clip.mp4", clip)
    report = run(path, tmp_path / "out.mp4")
    assert report.frames_out == report.frames_in
    assert len(read_numbers(tmp_path / "out.mp4")) == report.frames_in >= 40


_FUZZ = """
import json, sys, time
from pathlib import Path
from inference.pipeline.errors import PipelineError
from inference.tests.pipeline.video.media import run
for name in sys.argv[1:]:
    path, started = Path(name), time.monotonic()
    print(json.dumps({"file": path.name, "start": True}), flush=True)
    try:
        run(path, path.with_suffix(".out.mp4"))
        outcome = "ok"
    except PipelineError as error:
        outcome = error.code
    print(json.dumps({"file": path.name, "outcome": outcome,
                      "seconds": time.monotonic() - started}), flush=True)
"""


def test_mutated_files_are_documented_errors_or_results_and_never_crash(tmp_path: Path):
    seeds = [
        make_clip(tmp_path / "a.mp4", Clip(size=(64, 48), sounds=(Sound(seconds=1),))),
        make_clip(
            tmp_path / "b.mkv",
            Clip(size=(64, 48), times=tuple(range(0, 1000, 40)), tick_s=_MS),
        ),
        make_clip(
            tmp_path / "c.avi",
            Clip(codec="mpeg4", size=(64, 48), times=tuple(range(25)), tick_s=Fraction(1, 25)),
        ),
        make_clip(
            tmp_path / "d.ts",
            Clip(
                size=(64, 48),
                times=tuple(range(0, 90000, 3600)),
                tick_s=Fraction(1, 90000),
                sounds=(Sound(seconds=1),),
            ),
        ),
        make_clip(
            tmp_path / "e.webm",
            Clip(codec="libvpx-vp9", size=(64, 48), times=tuple(range(0, 1000, 40)), tick_s=_MS),
        ),
    ]
    chance = random.Random(20261124)  # noqa: S311 - a repeatable corpus
    corpus = []
    for number in range(150):
        seed = seeds[number % len(seeds)]
        data = bytearray(seed.read_bytes())
        for _ in range(chance.choice((1, 4, 30))):
            # Headers are where the damage is interesting.
            reach = chance.choice((200, 2000, len(data)))
            data[chance.randrange(min(reach, len(data)))] = chance.randrange(256)
        if number % 3 == 0:
            del data[chance.randrange(len(data)) :]
        corpus.append(_write(tmp_path / f"{number:03}{seed.suffix}", bytes(data)))
    child = subprocess.run(
        [sys.executable, "-c", _FUZZ, *map(str, corpus)],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, (lines[-1:], child.stderr[-2000:])
    outcomes = [line for line in lines if "outcome" in line]
    assert len(outcomes) == len(corpus)
    known = {
        "ok",
        "unsupported_video",
        "unreadable_video",
        "no_video_stream",
        "encrypted_video",
        "video_too_large",
        "video_too_long",
    }
    assert {line["outcome"] for line in outcomes} <= known
    assert max(line["seconds"] for line in outcomes) < 30
    assert list(tmp_path.glob(".*.part")) == []


def test_a_painted_number_can_be_read_again():
    """The other tests rely on it."""
    assert [number_of(numbered(number, (96, 64))) for number in range(256)] == list(range(256))
