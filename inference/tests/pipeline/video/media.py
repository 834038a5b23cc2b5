"""Makes small media files with known content, so that tests can tell every frame and sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.pipeline.types import Image
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import (
    Frame,
    OutputOptions,
    TranscodeOptions,
    VideoLimits,
    VideoProgress,
    VideoReport,
)

LIMITS = VideoLimits(
    bytes_max=50_000_000,
    pixels_max=1920 * 1080,
    side_max_px=2048,
    duration_max_s=120.0,
    frames_max=4000,
    fps_max=120.0,
)
_BITS = 8
_RATE_HZ = 48_000


@dataclass(frozen=True)
class Sound:
    """A tone; ``start_s`` and ``seconds`` on the file's clock."""

    codec: str = "aac"
    seconds: float = 2.0
    hertz: float = 440.0
    language: str | None = None
    layout: str = "stereo"


@dataclass(frozen=True)
class Clip:
    """What a test clip is made of; ``times`` are the frames' pts in ``tick_s``."""

    codec: str = "libx264"
    size: tuple[int, int] = (96, 64)
    times: Sequence[int] = tuple(range(0, 50 * 512, 512))
    tick_s: Fraction = Fraction(1, 12800)
    fps: Fraction = Fraction(25)
    pixel_format: str = "yuv420p"
    encoder: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    sounds: Sequence[Sound] = ()
    subtitles: Sequence[tuple[int, int, str]] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: Sequence[tuple[int, int, str]] = ()
    rotation: float | None = None
    paint: Callable[[int, tuple[int, int]], Image] | None = None


def make_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip; every frame carries its number as a bar code, see ``number_of``."""
    clip = clip or Clip()
    with av.open(str(path), "w", container_options=clip.container) as output:
        output.metadata.update(clip.metadata)
        stream = add_pictures(output, clip.codec, fps=clip.fps, options=clip.encoder)
        stream.width, stream.height = clip.size
        stream.pix_fmt = clip.pixel_format
        stream.codec_context.time_base = clip.tick_s
        stream.time_base = clip.tick_s
        if clip.rotation is not None:
            stream.set_display_rotation(clip.rotation)
        tracks = [_add_sound(output, sound) for sound in clip.sounds]
        captions = None
        if clip.subtitles:
            captions = output.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
            captions.time_base = Fraction(1, 1000)
        if clip.chapters:
            output.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(clip.chapters)
                ]
            )
        for number, pts in enumerate(clip.times):
            paint = clip.paint or numbered
            frame = _to_frame(paint(number, clip.size))
            frame.pts, frame.time_base = pts, clip.tick_s
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
        for sound, track in zip(clip.sounds, tracks, strict=True):
            _write_sound(output, track, sound)
        if captions is not None:
            _write_captions(output, captions, clip.subtitles, is_mov=path.suffix != ".mkv")
    return path


def add_pictures(
    output: OutputContainer, codec: str, *, fps: Fraction = Fraction(25), options: dict[str, str]
) -> VideoStream:
    stream = output.add_stream(codec, rate=fps, options=options)
    assert isinstance(stream, VideoStream)
    return stream


def numbered(number: int, size: tuple[int, int]) -> Image:
    """(H, W, 3) uint8 BGR: ``number`` as eight vertical bars, dark or bright, over a grey ramp."""
    width, height = size
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    image[height // 2 :] = np.linspace(40, 215, width, dtype=np.uint8)[np.newaxis, :, np.newaxis]
    for bit in range(_BITS):
        left, right = width * bit // _BITS, width * (bit + 1) // _BITS
        image[: height // 2, left:right] = 220 if number >> bit & 1 else 35
    return image


def number_of(image: Image) -> int:
    """The number that ``numbered`` drew (modulo 256), from a frame of any size."""
    height, width = image.shape[:2]
    row = image[height // 8 : height * 3 // 8].mean(axis=(0, 2))
    bits = (row[int(width * (bit + 0.5) / _BITS)] > 128 for bit in range(_BITS))
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def read_frames(path: Path) -> list[tuple[int, Fraction, int]]:
    """(number, time, duration in ticks) of every frame, by a plain decode."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (
                number_of(np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)),
                (frame.pts or 0) * _tick_of(stream),
                frame.duration,
            )
            for frame in container.decode(stream)
        ]


def read_numbers(path: Path) -> list[int]:
    return [number for number, _, _ in read_frames(path)]


def packet_digests(path: Path, kind: str, index: int = 0) -> list[str]:
    """SHA-256 of every packet of a stream."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][index]
        return [
            hashlib.sha256(bytes(packet)).hexdigest()
            for packet in container.demux(stream)
            if packet.size
        ]


def packet_times(path: Path, kind: str, index: int = 0) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][index]
        return [
            (packet.pts or 0) * packet.time_base
            for packet in container.demux(stream)
            if packet.size
        ]


def video_duration(path: Path) -> Fraction:
    """Exact duration of the pictures: last end minus first start."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [
            (packet.pts or 0, packet.duration or 0)
            for packet in container.demux(stream)
            if packet.size
        ]
        ticks = max(pts + duration for pts, duration in times) - min(pts for pts, _ in times)
        return ticks * _tick_of(stream)


def _tick_of(stream: Stream) -> Fraction:
    assert stream.time_base is not None
    return stream.time_base


def _to_frame(image: Image) -> VideoFrame:
    return VideoFrame.from_ndarray(image, "bgr24" if image.shape[2] == 3 else "bgra")


def _add_sound(output: OutputContainer, sound: Sound) -> AudioStream:
    track = output.add_stream(sound.codec, rate=_RATE_HZ)
    assert isinstance(track, AudioStream)
    track.layout = sound.layout
    if sound.language:
        track.metadata["language"] = sound.language
    return track


def _write_sound(output: OutputContainer, track: AudioStream, sound: Sound) -> None:
    count = round(sound.seconds * _RATE_HZ)
    for start in range(0, count, 1024):
        t = np.arange(start, min(start + 1024, count)) / _RATE_HZ
        wave = (0.3 * np.sin(2 * np.pi * sound.hertz * t)).astype(np.float32)
        waves = np.repeat(wave, track.channels)[np.newaxis]
        frame = AudioFrame.from_ndarray(waves, "flt", sound.layout)
        frame.sample_rate = _RATE_HZ
        frame.pts, frame.time_base = start, Fraction(1, _RATE_HZ)
        for packet in track.encode(frame):
            output.mux(packet)
    for packet in track.encode(None):
        output.mux(packet)


def _write_captions(
    output: OutputContainer,
    track: Stream,
    captions: Sequence[tuple[int, int, str]],
    *,
    is_mov: bool,
) -> None:
    for start, end, text in captions:
        raw = text.encode()
        packet = av.Packet(len(raw).to_bytes(2, "big") + raw if is_mov else raw)
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration = end - start
        packet.stream = track
        output.mux(packet)


class Watcher:
    """An observer that keeps what it was told and may stop after some frames."""

    def __init__(self, *, stop_after: int | None = None, stage: str = "video") -> None:
        self.fractions: list[float] = []
        self.steps: list[VideoProgress] = []
        self._stop_after = stop_after
        self._stage = stage

    def progress(self, stage: str, fraction: float) -> None:
        assert stage == self._stage
        self.fractions.append(fraction)

    def frames_done(self, progress: VideoProgress) -> None:
        self.steps.append(progress)

    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.steps) >= self._stop_after


def same(frame: Frame) -> Image:
    """A frame function that changes nothing."""
    return frame.image_bgr


def run(
    source: Path, target: Path, *, output: OutputOptions | None = None, **options: Any
) -> VideoReport:
    """Transcode without change; ``options`` are fields of ``TranscodeOptions``."""
    return transcode(
        source=source,
        target=target,
        frame_fn=same,
        options=TranscodeOptions(
            limits=options.pop("limits", LIMITS), output=output or OutputOptions(), **options
        ),
        observer=Watcher(),
    )
