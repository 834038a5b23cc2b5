"""Opens files for reading: containers and codecs by an allow list, no network, no other files."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from inference.pipeline.video.boxes import check_tables
from inference.pipeline.video.errors import (
    NoVideoStreamError,
    UnreadableVideoError,
    UnsupportedVideoError,
)
from inference.pipeline.video.types import Source

StreamT = TypeVar("StreamT", bound=Stream)

# Playlists, image sequences and concat scripts are left out on purpose: they open other files.
_DEMUXERS: Final = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,nut"
# Decoders in wide use; rare ones are the usual door for crafted files.
_CODECS: Final = frozenset(
    [
        "h264",
        "hevc",
        "av1",
        "vp8",
        "vp9",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "png",
        "prores",
        "dnxhd",
        "qtrle",
        "ffv1",
        "theora",
        "wmv2",
        "wmv3",
        "vc1",
        "msmpeg4v2",
        "msmpeg4v3",
        "h263",
        "flv1",
        "rawvideo",
    ]
)
_LIMITS: Final = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "file",
    "max_streams": "64",
    "probesize": "5000000",
    "analyzeduration": "10000000",
}
_ALPHA_DECODERS: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_PADDING_PX: Final = 65536
_OPEN_TIMEOUT_S: Final = 20.0
_READ_TIMEOUT_S: Final = 60.0
# Cut files whose container is recognised are damaged rather than foreign.
_SIGNATURES: Final = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1aE\xdf\xa3"), (0, b"FLV"))
_HEAD_BYTES: Final = 12


def open_source(source: Source, *, pixels_max: int | None = None) -> InputContainer:
    """Open a media file; the caller closes it.

    Args:
        source: a local file.
        pixels_max: decoders refuse larger frames, already while the header is read.

    Raises:
        UnsupportedVideoError: no container that we read.
        UnreadableVideoError: an empty or damaged file.
    """
    head = _read_head(source)
    if not head:
        raise UnreadableVideoError("the file is empty")
    if head[:4] != b"RIFF":
        _check_boxes(source)
    # The prefix keeps a file name from being taken for a protocol.
    file: object = f"file:{source}" if isinstance(source, Path) else source
    options = decoder_guard(pixels_max) if pixels_max else {}
    try:
        return av.open(
            file,
            "r",
            options=options,
            container_options=dict(_LIMITS),
            metadata_errors="replace",
            timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S),
        )
    except (av.error.FFmpegError, ValueError) as error:
        if _is_known(head):
            raise UnreadableVideoError(f"the file is damaged or cut short: {error}") from error
        raise UnsupportedVideoError("the file is not a video of a format we read") from error


def decoder_guard(pixels_max: int) -> dict[str, str]:
    """Options that keep a decoder from allocating far more than the limits allow.

    Decoders count with padding, so the guard is loose; the exact size is checked apart.
    """
    return {"max_pixels": str(2 * pixels_max + _PADDING_PX)}


def read_packets(
    container: InputContainer, streams: Sequence[StreamT]
) -> Generator[Packet[StreamT], None, None]:
    """The packets of some streams in the file's order; only those that hold data."""
    try:
        for packet in container.demux(*streams):
            # An empty packet would tell a decoder that the stream ends.
            if packet.size:
                yield cast("Packet[StreamT]", packet)
    except IndexError:
        # Streams that appear midway confuse the library behind the last packet, never before.
        return


def main_video_stream(container: InputContainer) -> VideoStream:
    """The stream with the moving picture: the default one, else the first; covers do not count.

    Raises:
        NoVideoStreamError: there is none.
        UnsupportedVideoError: its codec is none that we decode.
    """
    disposition = av.stream.Disposition
    moving = [s for s in container.streams.video if not s.disposition & disposition.attached_pic]
    if not moving:
        raise NoVideoStreamError("the file has no video stream")
    stream = next((s for s in moving if s.disposition & disposition.default), moving[0])
    codec = codec_name(stream)
    if codec not in _CODECS:
        raise UnsupportedVideoError(f"the video codec is {codec or 'unknown'}: not supported")
    return stream


def codec_name(stream: av.stream.Stream) -> str:
    """FFmpeg's name of a stream's codec, empty if it has none or there is no decoder for it."""
    if isinstance(stream, av.stream.DataStream):
        return stream.name or ""
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else ""


def _read_head(source: Source) -> bytes:
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return file.read(_HEAD_BYTES)
        source.seek(0)
        head = source.read(_HEAD_BYTES)
        source.seek(0)
    except OSError as error:
        raise UnreadableVideoError(f"the file cannot be read: {error.strerror}") from error
    return head


def _check_boxes(source: Source) -> None:
    if isinstance(source, Path):
        with source.open("rb") as file:
            check_tables(file)
        return
    check_tables(source)
    source.seek(0)


def _is_known(head: bytes) -> bool:
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return is_avi or any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES)


def alpha_decoder(stream: VideoStream, *, pixels_max: int | None) -> av.VideoCodecContext | None:
    """A decoder that yields transparency where FFmpeg's usual one drops it, else None.

    VP8 and VP9 keep transparency as a second picture beside each packet.
    """
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    name = _ALPHA_DECODERS.get(codec_name(stream))
    if tags.get("alpha_mode") != "1" or name is None:
        return None
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    if pixels_max:
        decoder.options = decoder_guard(pixels_max)
    return decoder
