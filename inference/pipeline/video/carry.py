"""Carries sound, subtitles and attachments from the source into the result."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from inference.pipeline.video.audio import AudioTranscoder
from inference.pipeline.video.formats import OutputFormat
from inference.pipeline.video.opening import open_source, read_packets
from inference.pipeline.video.probe import stream_infos
from inference.pipeline.video.timing import OutputClock
from inference.pipeline.video.types import (
    AudioMode,
    ContainerName,
    StreamInfo,
    StreamOutcome,
    TranscodeOptions,
    VideoInfo,
)

if TYPE_CHECKING:
    from av.container.core import Chapter

# Subtitles that are already shown at the start of a part begin before it.
_LEAD_S: Final = 10
# How far behind the end of a part packets may lie among earlier ones.
_TAIL_S: Final = 10
_DAMAGES_MAX: Final = 25
_BY_PACKETS: Final = frozenset({"ac3", "eac3", "truehd", "mlp"})
_PACKET_ERRORS: Final = (
    av.error.InvalidDataError,
    av.error.PatchWelcomeError,
    av.error.ArgumentError,
)
# No pause in a sound track is longer; what jumps further is damage.
_JUMP_MAX_S: Final = 3600
_DURATION_MAX: Final = 2**31 - 1
_EMPTY_CUE: Final = b"\x00\x00"
# QuickTime knows these languages by their other code of ISO 639-2.
_MOV_LANGUAGES: Final = {
    "deu": "ger",
    "nld": "dut",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "sqi": "alb",
    "mkd": "mac",
}
_LEFT_OUT: Final = {
    "video": "covers and further pictures",
    # MP4 keeps chapter titles in such a stream; those are carried as chapters.
    "data": "data streams other than chapters",
}
_METADATA_KEYS: Final = frozenset({"language", "title", "handler_name", "alpha_mode"})


@dataclass(frozen=True, slots=True)
class CarryPlan:
    """What is carried and where it lies.

    Attributes:
        zero_s: time on the source's clock that becomes zero.
        end_s: end on the result's clock, None carries everything.
        is_trimmed: whether what lies before zero is left out.
    """

    container: ContainerName
    audio: AudioMode
    zero_s: Fraction
    end_s: Fraction | None
    is_trimmed: bool


def carry_plan(
    *, chosen: OutputFormat, options: TranscodeOptions, clock: OutputClock, info: VideoInfo
) -> CarryPlan:
    """What goes along with the pictures of a whole result."""
    trim = options.trim
    zero_s = clock.zero_pts * info.time_base
    end_s = None
    if trim is not None and trim.end_s is not None:
        end_s = info.origin_pts * info.time_base + trim.end_s - zero_s
    return CarryPlan(
        container=chosen.container,
        audio=options.output.audio,
        zero_s=zero_s,
        end_s=end_s,
        is_trimmed=trim is not None and trim.start_s > 0,
    )


class _Track(Protocol):
    packets_count: int
    damaged_count: int

    def feed(self, packet: Packet[Stream]) -> None:
        """Take a packet of the source."""

    def finish(self) -> None:
        """Write what is still held back."""


class StreamCarrier:
    """Reads the source a second time, without its pictures, in step with the encoder.

    Reading apart keeps memory flat even if the source stores all sound behind all pictures.
    Attachments need no packets. Close it after use.

    Args:
        poll: called before every packet; may raise.
    """

    def __init__(
        self,
        source: Path,
        *,
        info: VideoInfo,
        output: OutputContainer,
        plan: CarryPlan,
        poll: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._poll = poll
        self._output = output
        self._container = open_source(source)
        self._tracks: dict[int, _Track] = {}
        self._outcomes: list[StreamOutcome] = []
        self._damages_count = 0
        for stream, line in zip(
            self._container.streams, stream_infos(self._container), strict=True
        ):
            if stream.index != info.stream_index:
                self._outcomes.append(self._adopt(stream, line))
            if stream.index not in self._tracks:
                stream.discard = av.stream.Discard.all
        self._copy_chapters()
        self._packets = self._read()
        self._next = next(self._packets, None)

    def advance(self, *, until_s: Fraction | None) -> None:
        """Write everything that starts before a time of the result; None writes the rest."""
        while self._next is not None:
            if until_s is not None and self._time_of(self._next) >= until_s:
                return
            self._poll()
            self._tracks[self._next.stream_index].feed(self._next)
            self._next = next(self._packets, None)
        if until_s is None:
            for track in self._tracks.values():
                track.finish()

    def outcomes(self) -> tuple[StreamOutcome, ...]:
        """What happened to every stream but the pictures."""
        return tuple(self._final(outcome) for outcome in self._outcomes)

    def _final(self, outcome: StreamOutcome) -> StreamOutcome:
        track = self._tracks.get(outcome.stream.index)
        if track is None:
            return outcome
        if track.damaged_count and not track.packets_count:
            outcome = replace(outcome, outcome="lost", reason="all its packets are damaged")
        return replace(
            outcome, packets_count=track.packets_count, damaged_count=track.damaged_count
        )

    def close(self) -> None:
        """Close the source."""
        self._packets.close()
        self._container.close()

    def _adopt(self, stream: Stream, line: StreamInfo) -> StreamOutcome:
        """Decide what happens to a stream and make its counterpart in the result."""
        if stream.type == "audio":
            return self._adopt_audio(stream, line)
        if stream.type not in {"subtitle", "attachment"}:
            kind = _LEFT_OUT.get(stream.type, "streams of this kind")
            return StreamOutcome(line, "lost", f"{kind} are not carried over")
        if stream.type == "attachment" and self._plan.container != "mkv":
            return StreamOutcome(line, "lost", f".{self._plan.container} holds no attachments")
        return self._copy(stream, line)

    def _adopt_audio(self, stream: Stream, line: StreamInfo) -> StreamOutcome:
        mode = self._plan.audio
        if mode == "none":
            return StreamOutcome(line, "lost", "sound was switched off")
        if mode in {"auto", "copy"}:
            outcome = self._copy(stream, line)
            if outcome.outcome == "copied" or mode == "copy":
                return outcome
            reason = outcome.reason
        else:
            reason = f"{mode} was asked for"
        if stream.codec_context is None:
            return StreamOutcome(line, "lost", "its codec is unknown")
        codec = mode if mode in {"aac", "opus"} else self._usual_audio()
        assert isinstance(stream, AudioStream)
        try:
            track = AudioTranscoder(
                stream=stream,
                output=self._output,
                codec="libopus" if codec == "opus" else "aac",
                zero_s=self._plan.zero_s,
                end_s=self._plan.end_s,
            )
        except (av.error.FFmpegError, ValueError) as error:
            return StreamOutcome(line, "lost", f"it cannot be encoded as {codec}: {error}")
        self._describe(stream, track.target)
        self._tracks[stream.index] = track
        return StreamOutcome(line, "encoded", reason)

    def _usual_audio(self) -> str:
        return "opus" if self._plan.container == "webm" else "aac"

    def _copy(self, stream: Stream, line: StreamInfo) -> StreamOutcome:
        if stream.codec_context is None and stream.type != "attachment":
            return StreamOutcome(line, "lost", "its codec is unknown")
        reason = self._why_not(stream, line)
        if reason:
            return StreamOutcome(line, "lost", reason)
        target = self._output.add_stream_from_template(stream)
        self._describe(stream, target)
        if stream.type != "attachment":
            self._tracks[stream.index] = _PacketCopier(
                target=target, output=self._output, plan=self._plan, kind=stream.type
            )
        return StreamOutcome(line, "copied")

    def _why_not(self, stream: Stream, line: StreamInfo) -> str:
        """Why the container does not take a stream as it is; empty if it does.

        A trial in memory, because a header that cannot be written would end the whole run.
        """
        try:
            # Such an MP4 describes its streams at the start instead of at the end; some codecs
            # are only described by their packets.
            is_early = self._plan.container in {"mp4", "mov"} and line.codec not in _BY_PACKETS
            flags = {"movflags": "empty_moov"} if is_early else {}
            with av.open(
                io.BytesIO(), "w", format=self._output.format.name, container_options=flags
            ) as trial:
                trial.add_stream_from_template(stream)
                if stream.type != "attachment":
                    trial.start_encoding()
        except av.error.FFmpegError:
            return "its header is damaged"
        except ValueError:
            return f".{self._plan.container} does not take {line.codec}"
        return ""

    def _describe(self, source: Stream, target: Stream) -> None:
        """Language, title and roles (default, forced, commentary) go along."""
        kept = {key: value for key, value in source.metadata.items() if key in _METADATA_KEYS}
        if self._plan.container == "mov" and "language" in kept:
            kept["language"] = _MOV_LANGUAGES.get(kept["language"], kept["language"])
        target.metadata.update(kept)
        target.disposition = source.disposition

    def _copy_chapters(self) -> None:
        """Copy the chapters that lie in the result, moved to its clock and cut to it."""
        chapters: list[Chapter] = []
        for chapter in self._container.chapters():
            tick_s = chapter["time_base"] or Fraction(1, av.time_base)
            shift = round(self._plan.zero_s / tick_s)
            start, end = max(0, chapter["start"] - shift), chapter["end"] - shift
            if self._plan.end_s is not None:
                end = min(end, round(self._plan.end_s / tick_s))
            if end > start:
                chapters.append({**chapter, "start": start, "end": end, "time_base": tick_s})
        self._output.set_chapters(chapters)

    def _read(self) -> Generator[Packet[Stream], None, None]:
        if not self._tracks:
            return
        if self._plan.is_trimmed and self._plan.zero_s > _LEAD_S:
            # Where seeking fails, what lies before the part is read and left out.
            with suppress(av.error.FFmpegError):
                self._container.seek(int((self._plan.zero_s - _LEAD_S) * av.time_base))
        streams = [self._container.streams[index] for index in self._tracks]
        while True:
            try:
                for packet in read_packets(self._container, streams):
                    if packet.pts is None and packet.dts is None:
                        continue
                    end_s = self._plan.end_s
                    if end_s is not None and self._time_of(packet) > end_s + _TAIL_S:
                        return
                    yield packet
            except av.error.FFmpegError:
                # A damaged stretch: what lies behind it is still wanted.
                self._damages_count += 1
                if self._damages_count <= _DAMAGES_MAX:
                    continue
            return

    def _time_of(self, packet: Packet[Stream]) -> Fraction:
        ticks = packet.dts if packet.dts is not None else packet.pts
        return (ticks or 0) * packet.time_base - self._plan.zero_s


class _PacketCopier:
    """Copies packets bit by bit; only their clock is moved to the result's zero."""

    def __init__(
        self, *, target: Stream, output: OutputContainer, plan: CarryPlan, kind: str
    ) -> None:
        self._target = target
        self._output = output
        self._plan = plan
        self._is_subtitle = kind == "subtitle"
        self._last_dts: int | None = None
        self.packets_count = 0
        self.damaged_count = 0

    def feed(self, packet: Packet[Stream]) -> None:
        """Write a packet with the result's times, if it lies inside the wanted part."""
        tick_s = packet.time_base
        shift = round(self._plan.zero_s / tick_s)
        dts = (packet.dts if packet.dts is not None else packet.pts or 0) - shift
        pts = (packet.pts if packet.pts is not None else packet.dts or 0) - shift
        duration = min(max(packet.duration or 0, 0), _DURATION_MAX)
        if not self._is_inside(pts * tick_s, duration * tick_s) or self._is_filler(packet):
            return
        if self._is_subtitle and pts < 0:
            duration, pts, dts = duration + pts, 0, 0
        last = self._last_dts
        if last is not None and not self._is_subtitle and (dts - last) * tick_s > _JUMP_MAX_S:
            # After a damaged timestamp everything behind it would seem to go backwards.
            self.damaged_count += 1
            return
        if last is not None and dts <= last:
            # Containers insist on ascending times; a repeated one is moved by the least there is.
            dts = last + 1
            pts = max(pts, dts)
        if not duration and not self._is_subtitle and last is not None:
            # A last packet without duration would not be played.
            duration = dts - last
        packet.duration = duration
        packet.pts, packet.dts = pts, dts
        packet.stream = self._target
        self._last_dts = dts
        try:
            self._output.mux(packet)
        except _PACKET_ERRORS:
            # Some containers look into packets; one that makes no sense is not worth the rest.
            self.damaged_count += 1
        else:
            self.packets_count += 1

    def finish(self) -> None:
        """Nothing is held back."""

    def _is_filler(self, packet: Packet[Stream]) -> bool:
        """MP4 fills the gaps between subtitles with empty ones, and would do so once more."""
        return self._is_subtitle and packet.size == len(_EMPTY_CUE) and bytes(packet) == _EMPTY_CUE

    def _is_inside(self, start_s: Fraction, duration_s: Fraction) -> bool:
        if self._plan.end_s is not None and start_s >= self._plan.end_s:
            return False
        if self._is_subtitle:
            # One that is still shown at the start stays.
            return start_s >= 0 or start_s + duration_s > 0
        # Cut sound begins with the first whole packet; uncut, with what players drop themselves.
        return start_s >= 0 or not self._plan.is_trimmed
