"""Writes a result: encoded pictures, carried streams, metadata; whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from inference.pipeline.video.errors import InvalidOutputError
from inference.pipeline.video.formats import OutputFormat, encoder_options, gop_size
from inference.pipeline.video.opening import open_source
from inference.pipeline.video.timing import OutputClock, Shot, encoder_rate
from inference.pipeline.video.types import OutputOptions, VideoInfo

_MP4_FAMILY: Final = frozenset({"mp4", "mov"})
_PUBLIC_TAGS: Final = frozenset(
    ["title", "album", "genre", "copyright", "show", "episode_id", "season_number", "track", "disc"]
)
# The tags that MP4's usual place for metadata knows; others need the newer one.
_USUAL_TAGS: Final = frozenset(
    [
        "title",
        "artist",
        "album_artist",
        "composer",
        "album",
        "date",
        "comment",
        "genre",
        "copyright",
        "description",
        "synopsis",
        "show",
        "episode_id",
        "network",
        "lyrics",
        "grouping",
        "track",
        "disc",
        "creation_time",
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "location",
    ]
)
_BRANDS: Final = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to; it becomes ``target`` at the end, or vanishes if the block raises."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        part.replace(target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


@contextmanager
def open_output(
    path: Path, *, muxer: str, metadata: Mapping[str, str], tick_s: Fraction
) -> Iterator[OutputContainer]:
    """Open a file for writing; it is finished at the end of the block."""
    options = {}
    if muxer == "nut":
        # Only presentation times are stored, and those are never negative.
        options["avoid_negative_ts"] = "disabled"
    if muxer in _MP4_FAMILY:
        # Without it, starts and durations of the whole file are rounded to milliseconds.
        options["movie_timescale"] = str(tick_s.denominator)
        flags = "+faststart"
        if not metadata.keys() <= _USUAL_TAGS:
            flags += "+use_metadata_tags"
        options["movflags"] = flags
    output = av.open(str(path), "w", format=muxer, container_options=options)
    output.metadata.update(metadata)
    try:
        yield output
    except BaseException:
        with suppress(av.error.FFmpegError, ValueError):
            output.close()
        raise
    output.close()


def result_metadata(source: Path, *, options: OutputOptions) -> dict[str, str]:
    """The source's tags, without what describes its container, and the asked ones over them.

    For the public, those that stay are listed: cameras invent new names for places and people.
    """
    with open_source(source) as container:
        kept = {
            key: value
            for key, value in container.metadata.items()
            if key not in _BRANDS and (options.tags == "all" or key.lower() in _PUBLIC_TAGS)
        }
    return kept | dict(options.metadata)


class VideoEncoder:
    """Encodes the frames of one result.

    Args:
        output: the open file; the encoder's stream becomes its first.
        size_px: width and height, even.

    Raises:
        InvalidOutputError: the encoder refuses the size or its settings.
    """

    def __init__(
        self,
        output: OutputContainer,
        *,
        chosen: OutputFormat,
        options: OutputOptions,
        info: VideoInfo,
        clock: OutputClock,
        size_px: tuple[int, int],
    ) -> None:
        self.tick_s = clock.tick_s
        fps = encoder_rate(clock, info)
        settings = encoder_options(chosen=chosen, options=options, fps=fps)
        try:
            stream = output.add_stream(chosen.encoder, rate=fps, options=settings)
            assert isinstance(stream, VideoStream)
            context = stream.codec_context
            context.width, context.height = size_px
            context.pix_fmt = chosen.pixel_format
            context.sample_aspect_ratio = info.sample_aspect_ratio
            context.time_base = clock.tick_s
            context.thread_count = options.encoder_threads
            context.gop_size = gop_size(fps)
            mark_stream(stream, chosen=chosen)
            stream.time_base = clock.tick_s
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise InvalidOutputError(
                f"{chosen.codec} cannot encode {size_px[0]} x {size_px[1]} px: {error}"
            ) from error
        self._stream = stream
        self._durations: dict[int, int] = {}

    def encode(self, frame: VideoFrame, shot: Shot) -> Iterator[Packet[VideoStream]]:
        """Hand a frame to the encoder; yields the packets that are ready."""
        frame.pts, frame.time_base = shot.pts, self.tick_s
        frame.duration = shot.duration
        # Decoders mark key frames; the encoder would repeat that choice.
        frame.pict_type = 0
        self._durations[shot.pts] = shot.duration
        yield from self._finished(self._stream.encode(frame))

    def flush(self) -> Iterator[Packet[VideoStream]]:
        """The packets that the encoder holds back."""
        yield from self._finished(self._stream.encode(None))

    def _finished(self, packets: list[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            yield packet


def mark_stream(stream: VideoStream, *, chosen: OutputFormat) -> None:
    """Tag a stream: limited-range BT.709, and the codec's name that players expect."""
    context: VideoCodecContext = stream.codec_context
    context.color_range = ColorRange.MPEG
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.colorspace = Colorspace.ITU709
    if chosen.codec == "h265" and chosen.muxer in _MP4_FAMILY:
        context.codec_tag = "hvc1"
    if chosen.is_alpha_kept and chosen.codec == "vp9":
        stream.metadata["alpha_mode"] = "1"
