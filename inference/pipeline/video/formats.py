"""Which container, codec, encoder and encoder settings an output gets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.codec.codec import UnknownCodecError

from inference.pipeline.video.errors import InvalidOutputError
from inference.pipeline.video.types import (
    ContainerName,
    OutputOptions,
    Speed,
    VideoCodec,
    VideoInfo,
)

_ENCODERS: Final[dict[VideoCodec, str]] = {
    "h264": "libx264",
    "h265": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "prores": "prores_ks",
}
# The first codec of a container is its default.
_CODECS: Final[dict[ContainerName, tuple[VideoCodec, ...]]] = {
    "mp4": ("h264", "h265", "vp9", "av1"),
    "mov": ("h264", "h265", "prores"),
    "mkv": ("h264", "h265", "vp9", "av1", "prores"),
    "webm": ("vp9", "av1"),
}
_MUXERS: Final[dict[ContainerName, str]] = {
    "mp4": "mp4",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "webm",
}
# Constant rate factor at the qualities 0, 80 and 100; linear between them.
_CRF: Final[dict[VideoCodec, tuple[int, int, int]]] = {
    "h264": (51, 18, 4),
    "h265": (51, 21, 6),
    "vp9": (63, 24, 6),
    "av1": (63, 26, 8),
}
_QUALITY_KNEE: Final = 80
_QUALITY_MAX: Final = 100
_SCALE_RANGE: Final = (0.25, 4.0)
_FPS_RANGE: Final = (1, 240)
_SIDE_MAX_PX: Final = 16384
_THREADS_MAX: Final = 64
_GOP_S: Final = 2
_GOP_RANGE: Final = (12, 240)
_SPEEDS: Final[dict[VideoCodec, dict[Speed, str]]] = {
    "h264": {"fast": "veryfast", "balanced": "medium", "best": "slow"},
    "h265": {"fast": "veryfast", "balanced": "medium", "best": "slow"},
    "vp9": {"fast": "5", "balanced": "3", "best": "1"},
    "av1": {"fast": "10", "balanced": "8", "best": "5"},
}


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The decided output.

    Attributes:
        container: the container of the finished file.
        muxer: FFmpeg's name of what is written now; for a segment that is an inner format.
        encoder: FFmpeg's name of the encoder.
        pixel_format: what the encoder gets.
        is_alpha_kept: whether transparency is encoded.
    """

    container: ContainerName
    muxer: str
    codec: VideoCodec
    encoder: str
    pixel_format: str
    is_alpha_kept: bool


def available_codecs() -> tuple[VideoCodec, ...]:
    """The codecs that this build of FFmpeg can encode."""
    return tuple(codec for codec, encoder in _ENCODERS.items() if _has_encoder(encoder))


def choose_format(
    *, target: Path, options: OutputOptions, info: VideoInfo, is_segment: bool
) -> OutputFormat:
    """Decide and check an output.

    Raises:
        InvalidOutputError: an unknown container, a codec that it or this build does not have, or
            a value out of range.
    """
    _check_ranges(options)
    container = options.container or _container_of(target)
    wants_alpha = options.keep_alpha and info.has_alpha and info.wide_colour is None
    codec = options.codec or _default_codec(container, wants_alpha=wants_alpha)
    encoder = _encoder_for(container, codec)
    is_alpha_kept = wants_alpha and _takes_alpha(container, codec)
    return OutputFormat(
        container=container,
        muxer=_segment_muxer(codec, is_alpha_kept) if is_segment else _MUXERS[container],
        codec=codec,
        encoder=encoder,
        pixel_format=_pixel_format(codec, is_alpha_kept),
        is_alpha_kept=is_alpha_kept,
    )


def output_size(width: int, height: int, *, scale: float) -> tuple[int, int]:
    """Even sides of the encoded picture; odd ones become one pixel larger.

    Raises:
        InvalidOutputError: a side beyond what encoders take.
    """
    sides = []
    for side in (width, height):
        scaled = side if scale == 1 else round(side * scale)
        sides.append(max(2, scaled + scaled % 2))
    if max(sides) > _SIDE_MAX_PX:
        raise InvalidOutputError(f"the result would be {sides[0]} x {sides[1]} px")
    return sides[0], sides[1]


def crf_of(codec: VideoCodec, quality: int) -> int:
    """The constant rate factor of a quality 0..100."""
    worst, usual, best = _CRF[codec]
    if quality <= _QUALITY_KNEE:
        return round(worst + (usual - worst) * quality / _QUALITY_KNEE)
    share = (quality - _QUALITY_KNEE) / (_QUALITY_MAX - _QUALITY_KNEE)
    return round(usual + (best - usual) * share)


def encoder_options(
    *, chosen: OutputFormat, options: OutputOptions, fps: Fraction
) -> dict[str, str]:
    """Settings of the encoder: closed groups of pictures, a fixed number of threads."""
    codec, threads = chosen.codec, options.encoder_threads
    if codec == "prores":
        return {"profile": "4444" if chosen.is_alpha_kept else "hq", "vendor": "apl0"}
    gop = str(gop_size(fps))
    common = {"crf": str(crf_of(codec, options.quality)), "g": gop, "flags": "+cgop"}
    speed = _SPEEDS[codec][options.speed]
    if codec == "h264":
        return common | {"preset": speed}
    if codec == "h265":
        # The picture threads change the bytes, so they are pinned; the pool is what is limited.
        pinned = f"log-level=error:open-gop=0:frame-threads=1:pools={threads}"
        return common | {"preset": speed, "x265-params": pinned}
    if codec == "vp9":
        alpha = {"auto-alt-ref": "0"} if chosen.is_alpha_kept else {}
        return common | {"b": "0", "deadline": "good", "cpu-used": speed, "row-mt": "1"} | alpha
    return common | {"preset": speed, "svtav1-params": f"lp={threads}"}


def gop_size(fps: Fraction) -> int:
    """Frames between key frames: two seconds."""
    low, high = _GOP_RANGE
    return min(max(round(_GOP_S * fps), low), high)


def _check_ranges(options: OutputOptions) -> None:
    low, high = _SCALE_RANGE
    if not low <= options.scale <= high:
        raise InvalidOutputError(f"the scale must be {low} to {high}")
    if not 0 <= options.quality <= _QUALITY_MAX:
        raise InvalidOutputError(f"the quality must be 0 to {_QUALITY_MAX}")
    slowest, fastest = _FPS_RANGE
    if options.fps is not None and not slowest <= options.fps <= fastest:
        raise InvalidOutputError(f"the frame rate must be {slowest} to {fastest}")
    if not 1 <= options.encoder_threads <= _THREADS_MAX:
        raise InvalidOutputError(f"encoder threads must be 1 to {_THREADS_MAX}")


def _container_of(target: Path) -> ContainerName:
    for name in _CODECS:
        if target.suffix.lower() == f".{name}":
            return name
    raise InvalidOutputError(
        f"'{target.suffix}' is no container that we write", available=list(_CODECS)
    )


def _default_codec(container: ContainerName, *, wants_alpha: bool) -> VideoCodec:
    return "prores" if wants_alpha and container == "mov" else _CODECS[container][0]


def _encoder_for(container: ContainerName, codec: VideoCodec) -> str:
    present = set(available_codecs())
    choice = [name for name in _CODECS[container] if name in present]
    if codec not in choice:
        raise InvalidOutputError(f"no {codec} in .{container} files", available=choice)
    return _ENCODERS[codec]


def _has_encoder(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except UnknownCodecError:
        return False
    return True


def _takes_alpha(container: ContainerName, codec: VideoCodec) -> bool:
    return (codec == "vp9" and container in {"webm", "mkv"}) or codec == "prores"


def _pixel_format(codec: VideoCodec, is_alpha_kept: bool) -> str:  # noqa: FBT001 - private
    if codec == "prores":
        return "yuva444p10le" if is_alpha_kept else "yuv422p10le"
    return "yuva420p" if is_alpha_kept else "yuv420p"


def _segment_muxer(codec: VideoCodec, is_alpha_kept: bool) -> str:  # noqa: FBT001 - private
    if codec == "prores":
        return "mov"
    # NUT keeps every timestamp exactly, but not the second picture of VP9 with transparency.
    return "matroska" if codec == "vp9" and is_alpha_kept else "nut"
