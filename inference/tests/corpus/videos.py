"""Videos of the corpus."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from inference.pipeline.types import Image
from inference.tests.corpus import pictures
from inference.tests.corpus.entries import NO_FACE, OK, VIDEO_OUTCOMES, Entry, video
from inference.tests.corpus.fuzz import mutations
from inference.tests.pipeline.video.media import Clip, Sound, make_clip

_FRAMES = 3
_FACE_FROM = 2
_MS = Fraction(1, 1000)
_SIZE = (120, 144)
_FUZZED_PER_SEED = 18
_UNSUPPORTED = "unsupported_video"
_UNREADABLE = "unreadable_video"
_TOO_LARGE = "video_too_large"
_TOO_LONG = "video_too_long"
_NO_STREAM = "no_video_stream"
_MILLIONS = 50_000_000
# Half a file may have half a film, a header that names nothing, or nothing at all.
_OF_A_PART = (OK, NO_FACE, _UNREADABLE, _NO_STREAM)


def moving_face(number: int, size: tuple[int, int]) -> Image:
    """The face, one px further to the side in every frame."""
    face = np.asarray(pictures.face().resize(size), dtype=np.uint8)[:, :, ::-1]
    return np.ascontiguousarray(np.roll(face, number, axis=1))


def late_face(number: int, size: tuple[int, int]) -> Image:
    """The face, from a later frame on."""
    if number < _FACE_FROM:
        return np.full((size[1], size[0], 3), 80, dtype=np.uint8)
    return moving_face(number, size)


CLIP = Clip(
    size=_SIZE, times=tuple(range(0, _FRAMES * 512, 512)), paint=moving_face, encoder={"bf": "0"}
)
IN_MS = replace(CLIP, times=tuple(range(0, _FRAMES * 40, 40)), tick_s=_MS)
IN_FRAMES = replace(CLIP, codec="mpeg4", times=tuple(range(_FRAMES)), tick_s=Fraction(1, 25))
IN_90_KHZ = replace(CLIP, times=tuple(range(0, _FRAMES * 3600, 3600)), tick_s=Fraction(1, 90_000))


def all_videos(folder: Path) -> Iterator[Entry]:
    """Every video; ``folder`` is for files on the way."""
    maker = _Maker(folder)
    base = maker.make("clip.mp4", CLIP)
    yield from _right(maker)
    yield from _clocks(maker)
    yield from _foreign(maker, base)
    yield from _without_pictures(maker)
    yield from _lying(maker, base)
    yield from _damaged(maker, base)
    yield from _fuzzed(maker, base)


class _Maker:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str, clip: Clip) -> bytes:
        path = make_clip(self._folder / name, clip)
        data = path.read_bytes()
        path.unlink()
        return data

    def sound(self, name: str, codec: str) -> bytes:
        """A file with half a second of silence and nothing else."""
        path = self._folder / name
        with av.open(str(path), "w") as output:
            track = output.add_stream(codec, rate=48_000)
            assert isinstance(track, AudioStream)
            track.layout = "stereo"
            quiet = np.zeros((2, 24_000), dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(quiet, "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            fifo = av.AudioFifo()
            resampler = av.AudioResampler(format=track.format, layout="stereo", rate=48_000)
            for part in resampler.resample(frame):
                fifo.write(part)
            while piece := fifo.read(track.frame_size or 1024):
                output.mux(track.encode(piece))
            output.mux(track.encode(None))
        data = path.read_bytes()
        path.unlink()
        return data


def _right(maker: _Maker) -> Iterator[Entry]:
    for name, clip in (
        ("plain.mp4", CLIP),
        ("plain.mov", CLIP),
        ("plain.mkv", IN_MS),
        ("plain.avi", IN_FRAMES),
        ("plain.ts", IN_90_KHZ),
        ("plain.flv", IN_MS),
        ("plain.webm", replace(IN_MS, codec="libvpx-vp9", encoder={"deadline": "realtime"})),
        ("pngs.mov", replace(CLIP, codec="png", pixel_format="rgb24", encoder={})),
        ("pictures.avi", replace(IN_FRAMES, codec="mjpeg", pixel_format="yuvj420p", encoder={})),
        ("raw.avi", replace(IN_FRAMES, codec="rawvideo", pixel_format="bgr24", encoder={})),
        ("ten_bit.mp4", replace(CLIP, codec="libx265", pixel_format="yuv420p10le", encoder={})),
        ("fragments.mp4", replace(CLIP, container={"movflags": "frag_keyframe+empty_moov"})),
        ("index_first.mp4", replace(CLIP, container={"movflags": "+faststart"})),
        ("odd_size.mkv", replace(IN_MS, size=(121, 145), pixel_format="yuv444p")),
        ("rotated.mp4", replace(CLIP, rotation=0.0)),
        ("sound_longer.mp4", replace(CLIP, sounds=(Sound(seconds=3),))),
        ("sound_shorter.mp4", replace(CLIP, sounds=(Sound(seconds=0.05),))),
        ("eight_sounds.mkv", replace(IN_MS, sounds=(Sound(seconds=0.2),) * 8)),
        ("subtitles.mkv", replace(IN_MS, subtitles=((0, 100, "Hello"), (50, 9000, "<b>")))),
        ("odd_tags.mp4", replace(CLIP, metadata={"title": "\u202e../../etc\n" * 50})),
    ):
        yield video(name, maker.make(name, clip), OK, frames_count=_FRAMES)
    late = maker.make("late.mp4", replace(CLIP, paint=late_face))
    with_face = _FRAMES - _FACE_FROM
    yield video("late_face.mp4", late, OK, frames_count=_FRAMES, frames_swapped_max=with_face)
    for name, clip in (
        ("no_face.mp4", replace(CLIP, paint=None)),
        ("one_frame.mp4", replace(CLIP, times=(0,), paint=None)),
        ("tiny.avi", replace(IN_FRAMES, codec="rawvideo", pixel_format="bgr24", size=(2, 2))),
        ("one_px.avi", replace(IN_FRAMES, codec="rawvideo", pixel_format="bgr24", size=(1, 1))),
    ):
        small = replace(clip, encoder={}, paint=None)
        yield video(name, maker.make(name, small), NO_FACE)


def _clocks(maker: _Maker) -> Iterator[Entry]:
    for name, times in (
        ("uneven", (0, 3, 900)),
        ("late_start", tuple(range(36_000_000, 36_000_000 + _FRAMES * 40, 40))),
        ("slow", (0, 2000, 4000)),
    ):
        data = maker.make("clip.mkv", replace(IN_MS, times=times))
        yield video(f"{name}.mkv", data, OK, frames_count=_FRAMES)
    below_zero = replace(
        CLIP,
        times=tuple(range(-512, (_FRAMES - 1) * 512, 512)),
        container={"use_editlist": "0", "avoid_negative_ts": "disabled"},
    )
    yield video("negative_times.mp4", maker.make("clip.mp4", below_zero), OK)
    too_fast = replace(IN_MS, times=tuple(range(_FRAMES)), fps=Fraction(1000))
    yield video("thousand_a_second.mkv", maker.make("clip.mkv", too_fast), _TOO_LONG)
    hours = replace(IN_MS, times=(0, 40, 80, 12 * 3600 * 1000))
    yield video("twelve_hours.mkv", maker.make("clip.mkv", hours), _TOO_LONG)


def _foreign(maker: _Maker, base: bytes) -> Iterator[Entry]:
    face = pictures.face()
    playlist = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    for name, data in (
        ("text.mp4", b"this is no video"),
        ("playlist.mp4", playlist),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("remote.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/latest\n"),
        ("sdp.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
        ("dash.mp4", b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/</BaseURL></MPD>'),
        ("archive.mp4", b"PK\3\4" + bytes(300)),
        ("encrypted_like.mp4", np.random.default_rng(7).bytes(60_000)),
        ("zeros.mp4", bytes(10_000)),
        ("picture.mp4", pictures.encoded(face, "JPEG")),
        ("animation.mp4", pictures.encoded(face, "GIF", save_all=True, append_images=[face])),
        ("behind_picture.mp4", pictures.encoded(face, "JPEG") + base),
    ):
        yield video(name, data, _UNSUPPORTED)
    yield video("zero_bytes.mp4", b"", _UNREADABLE)
    out = io.BytesIO(base)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("hello.txt", "hello")
    yield video("with_archive.mp4", out.getvalue(), OK, frames_count=_FRAMES)
    yield video("named_wrongly.avi", base, OK, frames_count=_FRAMES)
    rare = replace(IN_MS, codec="snow", encoder={"strict": "-2"})
    yield video("rare_codec.mkv", maker.make("clip.mkv", rare), _UNSUPPORTED)


def _without_pictures(maker: _Maker) -> Iterator[Entry]:
    yield video("sound.mp4", maker.sound("s.mp4", "aac"), _NO_STREAM)
    yield video("sound.mkv", maker.sound("s.mkv", "flac"), _NO_STREAM)
    yield video("sound.ogg", maker.sound("s.ogg", "libopus"), _NO_STREAM)
    yield video("sound.mp3", maker.sound("s.mp3", "libmp3lame"), _UNSUPPORTED)
    yield video("sound.wav", maker.sound("s.wav", "pcm_s16le"), _UNSUPPORTED)
    locked = replace(
        CLIP,
        container={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
            "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
        },
    )
    yield video("encrypted.mp4", maker.make("clip.mp4", locked), "encrypted_video")


def _lying(maker: _Maker, base: bytes) -> Iterator[Entry]:
    known = (OK, _UNREADABLE, _TOO_LARGE, _TOO_LONG, _UNSUPPORTED, NO_FACE, _NO_STREAM)
    size_at = base.index(b"avc1", base.index(b"stsd")) + 28
    for size in (0, 1, 0x7FFF, 0xFFFF):
        lying = base[:size_at] + struct.pack(">HH", size, size) + base[size_at + 4 :]
        yield video(f"header_{size}x{size}.mp4", lying, *known)
    yield video("wide.mkv", maker.make("c.mkv", replace(IN_MS, size=(4000, 64))), _TOO_LARGE)
    yield video("thin.mkv", maker.make("c.mkv", replace(IN_MS, size=(32, 1800))), _TOO_LARGE)
    for table, offset, values in (
        (b"stsz", 8, (1, _MILLIONS)),
        (b"stts", 8, (_MILLIONS,)),
        (b"stsc", 8, (_MILLIONS,)),
        (b"stco", 8, (_MILLIONS,)),
        (b"stsd", 8, (_MILLIONS,)),
        (b"elst", 8, (_MILLIONS,)),
        (b"dref", 8, (_MILLIONS,)),
    ):
        at = base.index(table) + offset
        packed = struct.pack(f">{len(values)}I", *values)
        lying = base[:at] + packed + base[at + len(packed) :]
        yield video(f"millions_in_{table.decode()}.mp4", lying, *known)
    for name, table, offset, value in (
        ("no_clock", b"mdhd", 16, 0),
        ("fastest_clock", b"mdhd", 16, 0xFFFFFFFF),
        ("no_rate", b"stts", 16, 0),
        ("slowest_rate", b"stts", 16, 0x7FFFFFFF),
        ("no_film_clock", b"mvhd", 16, 0),
        ("no_duration", b"mdhd", 20, 0),
        ("endless", b"mdhd", 20, 0xFFFFFFFF),
        ("chunk_at_the_end", b"stco", 12, 0xFFFFFFF0),
        ("chunk_in_the_header", b"stco", 12, 0),
    ):
        at = base.index(table) + offset
        lying = base[:at] + value.to_bytes(4, "big") + base[at + 4 :]
        yield video(f"{name}.mp4", lying, *known)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mdat"):
        at = base.index(box) - 4
        for size in (0, 1, 7, 0xFFFFFFFF):
            lying = base[:at] + size.to_bytes(4, "big") + base[at + 4 :]
            yield video(f"box_{box.decode()}_{size}.mp4", lying, *known)


def _damaged(maker: _Maker, base: bytes) -> Iterator[Entry]:
    indexed = maker.make("c.mp4", replace(CLIP, container={"movflags": "+faststart"}))
    matroska = maker.make("c.mkv", IN_MS)
    for name, data in (("mp4", base), ("indexed.mp4", indexed), ("mkv", matroska)):
        for percent in (5, 25, 50, 75):
            cut = data[: len(data) * percent // 100]
            yield video(f"first_{percent}_percent.{name}", cut, *_OF_A_PART)
    for length in (1, 4, 8, 12, 40):
        yield video(f"first_{length}.mp4", base[:length], _UNREADABLE, _UNSUPPORTED)
    start, end = base.index(b"mdat") + 4, base.index(b"moov") - 4
    noise = np.random.default_rng(9).bytes(end - start)
    for name, pixels in (("zeros", bytes(end - start)), ("noise", noise)):
        broken = base[:start] + pixels + base[end:]
        yield video(f"pixels_of_{name}.mp4", broken, _UNREADABLE)
    yield video("without_index.mp4", base[:end], _UNREADABLE)
    boxes = b"".join(struct.pack(">I4s", 8 * (200 - depth), b"moov") for depth in range(200))
    yield video("boxes_in_boxes.mp4", base[:32] + boxes, *VIDEO_OUTCOMES - {OK})
    yield video("thousands_of_boxes.mp4", base[:32] + b"\0\0\0\x08free" * 50_000, _UNREADABLE)


def _fuzzed(maker: _Maker, base: bytes) -> Iterator[Entry]:
    vp9 = replace(IN_MS, codec="libvpx-vp9", encoder={"deadline": "realtime"})
    seeds = (
        ("mp4", base),
        ("sound.mp4", maker.make("c.mp4", replace(CLIP, sounds=(Sound(seconds=0.2),)))),
        ("mkv", maker.make("c.mkv", IN_MS)),
        ("avi", maker.make("c.avi", IN_FRAMES)),
        ("ts", maker.make("c.ts", IN_90_KHZ)),
        ("webm", maker.make("c.webm", vp9)),
    )
    for place, (suffix, data) in enumerate(seeds):
        damaged = mutations(data, count=_FUZZED_PER_SEED, seed=100 + place)
        for number, mutant in enumerate(damaged):
            yield video(f"fuzz_{number:03}.{suffix}", mutant, *VIDEO_OUTCOMES)
