"""Values of the video part: what a file is, what is wanted of it, what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, runtime_checkable

import numpy as np

from inference.pipeline.types import Image, Observer

#: A local file, or an open seekable binary file.
Source = Path | BinaryIO

StreamKind = Literal["video", "audio", "subtitle", "data", "attachment", "unknown"]
Transfer = Literal["pq", "hlg", "gamma"]
Primaries = Literal["bt709", "bt2020", "p3"]
VideoCodec = Literal["h264", "h265", "vp9", "av1", "prores"]
ContainerName = Literal["mp4", "mov", "mkv", "webm"]
AudioMode = Literal["auto", "copy", "aac", "opus", "none"]
Speed = Literal["fast", "balanced", "best"]
Tags = Literal["all", "public"]


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """How much video may come in; checked on the header and again while decoding."""

    bytes_max: int
    pixels_max: int
    side_max_px: int
    duration_max_s: float
    frames_max: int
    fps_max: float


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of a file; ``codec`` is FFmpeg's name of it, empty if unknown."""

    index: int
    kind: StreamKind
    codec: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become upright: transpose first, then the mirrorings."""

    is_transposed: bool = False
    is_mirrored_x: bool = False
    is_mirrored_y: bool = False

    def apply(self, image: Image) -> Image:
        """(H, W) or (H, W, C) as stored -> the same upright, contiguous."""
        if self.is_transposed:
            image = image.swapaxes(0, 1)
        if self.is_mirrored_x:
            image = image[:, ::-1]
        if self.is_mirrored_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


@dataclass(frozen=True, slots=True)
class WideColour:
    """Colours that must be brought to SDR BT.709.

    Attributes:
        transfer: ``pq`` (SMPTE ST 2084), ``hlg`` (ARIB STD-B67) or ``gamma`` (SDR in wide colours).
        primaries: colour primaries of the pixels.
        peak_nits: brightest light of the programme, cd/m2; unused for ``gamma``.
    """

    transfer: Transfer
    primaries: Primaries
    peak_nits: float


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file holds; pixel sizes are upright unless they say ``stored``.

    Attributes:
        container: FFmpeg's name of the demuxer, for example ``mov,mp4,m4a,3gp,3g2,mj2``.
        codec: name of the video codec.
        duration_s: exact, of the video stream where the container tells, else of the container.
        fps: mean frame rate.
        fps_base: lowest rate that represents all timestamps, as the container claims.
        frames_count: number of frames; see ``is_frames_count_exact``.
        sample_aspect_ratio: width of a pixel by its height, after rotation.
        wide_colour: set if frames are converted from HDR or wide colours.
        first_pts: of the first frame, in ``time_base``.
        origin_pts: what becomes time zero, in ``time_base``; see docs/video.md.
        dts_offset: set for containers without presentation times: pts = dts - offset.
    """

    container: str
    codec: str
    duration_s: Fraction
    fps: Fraction
    fps_base: Fraction | None
    frames_count: int
    is_frames_count_exact: bool
    width: int
    height: int
    stored_width: int
    stored_height: int
    orientation: Orientation
    sample_aspect_ratio: Fraction
    pixel_format: str
    bit_depth: int
    has_alpha: bool
    colour_matrix: int
    is_full_range: bool
    wide_colour: WideColour | None
    is_variable_rate: bool
    stream_index: int
    time_base: Fraction
    first_pts: int
    origin_pts: int
    dts_offset: int | None
    streams: tuple[StreamInfo, ...]
    bytes_count: int

    @property
    def frame_ticks(self) -> int:
        """Nominal duration of a frame in ``time_base``, at least 1."""
        return max(1, round(1 / (self.fps * self.time_base)))


@dataclass(frozen=True, slots=True)
class Trim:
    """The part ``start_s <= time < end_s``, counted from the start of the video."""

    start_s: Fraction = Fraction(0)
    end_s: Fraction | None = None


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the result is encoded.

    Attributes:
        container: None takes it from the target's suffix; segments need it named.
        codec: None takes the container's usual one: h264, or vp9 for .webm.
        quality: 0 (smallest file) .. 100 (nearly lossless); see docs/video.md.
        speed: how long the encoder may search; ``best`` gives smaller files.
        fps: None keeps every timestamp; else frames are dropped or repeated.
        scale: 0.25..4 of the processed size; sides are rounded to even numbers.
        audio: ``auto`` copies, and encodes only what the container does not take; ``copy`` never
            encodes; ``aac`` and ``opus`` always do; ``none`` leaves sound out.
        keep_alpha: carry transparency into .webm (vp9) and .mov (prores).
        encoder_threads: fixed, because some encoders' bytes depend on it.
        metadata: written beside, and over, the source's own.
        tags: ``all`` keeps the source's own; ``public`` keeps the names of a work, and nothing that
            says where, when, by whom and with what it was taken.
    """

    container: ContainerName | None = None
    codec: VideoCodec | None = None
    quality: int = 80
    speed: Speed = "fast"
    fps: Fraction | None = None
    scale: float = 1.0
    audio: AudioMode = "auto"
    keep_alpha: bool = True
    encoder_threads: int = 2
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Tags = "all"


class Overlay(Protocol):
    """Draws something onto frames, from several threads."""

    def apply(
        self, image_bgr: Image, *, alpha: Image | None, time_s: Fraction
    ) -> tuple[Image, Image | None]:
        """New (H, W, 3) uint8 BGR and (H, W) uint8 alpha, of the frame at a time of the result."""


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """Everything about a run that is data.

    Attributes:
        trim: the part that is wanted; a segment's plan has it in it, and only what looks at the
            whole needs it beside one.
        workers_count: threads that run the frame function.
        decoder_threads: threads of the video decoder.
        lead_in_frames: frames before the start of a trim or segment that are shown to the frame
            function for warm-up and then dropped.
        corrupt_frames_max: how many undecodable packets and missing frames are tolerated.
        overlay: drawn onto every frame of the result, over all that was done to it.
    """

    limits: VideoLimits
    output: OutputOptions = field(default_factory=OutputOptions)
    trim: Trim | None = None
    workers_count: int = 2
    decoder_threads: int = 1
    lead_in_frames: int = 0
    corrupt_frames_max: int = 25
    overlay: Overlay | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video that can be rendered alone; plain numbers, so that it travels as JSON.

    Attributes:
        index: position among the segments.
        zero_pts: source pts that is time zero of the whole result.
        start_pts: first pts inside, in the source's time base; None is the very start.
        end_pts: first pts behind, None is the end.
        first_frame: number of the first frame among the frames of the result.
        frames_count: frames that are expected inside.
        starts_at_key: whether decoding can begin at its first frame.
    """

    index: int
    zero_pts: int
    start_pts: int | None
    end_pts: int | None
    first_frame: int
    frames_count: int
    starts_at_key: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame.

    Attributes:
        image_bgr: (H, W, 3) uint8 BGR, upright, SDR BT.709.
        alpha: (H, W) uint8, 255 is opaque; only if it is kept.
        index: number among the frames of this run; negative for lead-in frames.
        time_s: exact time in the result.
        is_lead_in: shown for warm-up; its result is dropped.
    """

    image_bgr: Image
    alpha: Image | None
    index: int
    time_s: Fraction
    is_lead_in: bool


#: (frame) -> (H', W', 3) uint8 BGR; called from several threads, in any order.
FrameFn = Callable[[Frame], Image]


@dataclass(frozen=True, slots=True)
class TrackedFrameFn:
    """A frame function with a part that needs the frames in order.

    Attributes:
        track: called once per frame in display order by one thread; what it returns goes to
            ``render``.
        render: called from several threads, in any order.
    """

    track: Callable[[Frame], object]
    render: Callable[[Frame, object], Image]


@dataclass(frozen=True, slots=True)
class VideoProgress:
    """How far a run is; ``fps`` and ``eta_s`` are measured on this run."""

    frames_done: int
    frames_total: int
    fps: float
    eta_s: float | None


@runtime_checkable
class FrameObserver(Observer, Protocol):
    """An observer that also wants frame numbers; called from the thread that runs the job."""

    def frames_done(self, progress: VideoProgress) -> None:
        """Report that another frame is written."""


@dataclass(frozen=True, slots=True)
class StreamOutcome:
    """What happened to a stream other than the pictures.

    Attributes:
        outcome: ``copied`` bit by bit, ``encoded`` anew, or ``lost``.
        reason: why it was encoded or lost; empty for copies.
        packets_count: packets written.
        damaged_count: packets that were left out because they are damaged.
    """

    stream: StreamInfo
    outcome: Literal["copied", "encoded", "lost"]
    reason: str = ""
    packets_count: int = 0
    damaged_count: int = 0


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What a run did.

    Attributes:
        frames_in: frames decoded inside the wanted part.
        frames_out: frames written.
        dropped_count: frames left out because of a lower output rate.
        repeated_count: frames written again because of a higher output rate.
        repaired_pts_count: timestamps that were missing or went backwards.
        corrupt_packets_count: packets that could not be decoded.
        concealed_count: frames that the decoder had to guess in part.
        duration_s: exact, of the pictures written.
        is_alpha_kept: whether transparency is in the result.
        width: of the result.
        height: of the result.
        streams: what happened to every other stream.
    """

    frames_in: int
    frames_out: int
    dropped_count: int
    repeated_count: int
    repaired_pts_count: int
    corrupt_packets_count: int
    concealed_count: int
    duration_s: Fraction
    is_alpha_kept: bool
    width: int
    height: int
    streams: tuple[StreamOutcome, ...] = ()
