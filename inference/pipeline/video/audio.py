"""Decodes a sound track and encodes it anew, cut to the sample."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from inference.pipeline.types import Floats

_OPUS_RATE_HZ: Final = 48_000
_AAC_RATES_HZ: Final = (
    8000,
    11025,
    12000,
    16000,
    22050,
    24000,
    32000,
    44100,
    48000,
    64000,
    88200,
    96000,
)
_BITS_PER_CHANNEL: Final = {"aac": 96_000, "libopus": 64_000}
# Uncompressed sound often only says how many channels it has.
_USUAL_LAYOUTS: Final = {1: "mono", 2: "stereo", 5: "5.0", 6: "5.1", 8: "7.1"}
_SAMPLE_FORMATS: Final = {"aac": "fltp", "libopus": "flt"}
# Smaller differences between timestamps and counted samples are rounding.
_GAP_MIN_S: Final = 0.1
_GAP_MAX_S: Final = 600


def _fitting_layout(stream: AudioStream, *, codec: str, rate: int) -> str:
    """The track's own channels if the encoder takes them, else the nearest that it takes.

    A trial, because a stream that cannot be encoded could not be taken out of the file again.
    """
    usual = _USUAL_LAYOUTS.get(stream.channels, "stereo")
    for layout in (stream.layout.name, usual):
        trial = av.CodecContext.create(codec, "w")
        assert isinstance(trial, av.AudioCodecContext)
        with suppress(av.error.FFmpegError, ValueError):
            _set_up(trial, rate=rate, layout=layout)
            return layout
    last = av.CodecContext.create(codec, "w")
    assert isinstance(last, av.AudioCodecContext)
    _set_up(last, rate=rate, layout="stereo")
    return "stereo"


def _set_up(context: av.AudioCodecContext, *, rate: int, layout: str) -> None:
    context.sample_rate = rate
    context.layout = layout
    context.format = _SAMPLE_FORMATS[context.name]
    context.bit_rate = _BITS_PER_CHANNEL[context.name] * context.channels
    context.open()


class AudioTranscoder:
    """Encodes the part of a track from zero to ``end_s``; gaps become silence.

    Raises ``FFmpegError`` or ``ValueError`` if the track cannot be encoded; the result then has no
    stream for it.

    Attributes:
        target: the stream in the result.
        packets_count: packets written so far.
        damaged_count: packets that could not be decoded.
    """

    def __init__(
        self,
        *,
        stream: AudioStream,
        output: OutputContainer,
        codec: str,
        zero_s: Fraction,
        end_s: Fraction | None,
    ) -> None:
        rate = stream.rate if codec == "aac" and stream.rate in _AAC_RATES_HZ else _OPUS_RATE_HZ
        layout = _fitting_layout(stream, codec=codec, rate=rate)
        target = output.add_stream(codec, rate=rate)
        assert isinstance(target, AudioStream)
        _set_up(target.codec_context, rate=rate, layout=layout)
        self.target = target
        self.packets_count = 0
        self.damaged_count = 0
        self._stream = stream
        self._output = output
        self._rate = rate
        self._layout = layout
        self._zero_s = zero_s
        self._end = None if end_s is None else round(end_s * rate)
        self._resampler = self._new_resampler()
        self._form: tuple[str, str, int] | None = None
        self._position: int | None = None

    def feed(self, packet: Packet[Stream]) -> None:
        """Decode a packet and encode its samples; a damaged packet becomes a gap."""
        try:
            frames = self._stream.decode(packet)
        except (av.error.FFmpegError, ValueError):
            self.damaged_count += 1
            return
        for frame in frames:
            self._resample(frame)

    def finish(self) -> None:
        """Write what the decoder, the resampler and the encoder hold back."""
        try:
            held = self._stream.decode(None)
        except (av.error.FFmpegError, ValueError):
            held = []
        for frame in held:
            self._resample(frame)
        self._resample(None)
        self._mux(None)

    def _resample(self, frame: AudioFrame | None) -> None:
        if frame is not None:
            self._place(frame)
        for piece in self._resampled(frame):
            interleaved = np.asarray(piece.to_ndarray(), dtype=np.float32)
            self._write(interleaved.reshape(-1, self.target.channels))

    def _resampled(self, frame: AudioFrame | None) -> list[AudioFrame]:
        if frame is not None:
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            if form != self._form:
                # The track changes its rate or channels midway, as broadcasts do.
                self._resampler, self._form = self._new_resampler(), form
        try:
            return self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError):
            self.damaged_count += 1
            return []

    def _new_resampler(self) -> AudioResampler:
        # Interleaved, because the library reads beyond the planes of eight channels.
        return AudioResampler(format="flt", layout=self._layout, rate=self._rate)

    def _place(self, frame: AudioFrame) -> None:
        """Follow the timestamps where they leave the count of samples."""
        if frame.pts is None or not frame.time_base:
            self._position = self._position or 0
            return
        wanted = round((frame.pts * frame.time_base - self._zero_s) * self._rate)
        if self._position is None:
            self._position = wanted
        gap = wanted - self._position
        if _GAP_MIN_S * self._rate < gap < _GAP_MAX_S * self._rate:
            self._write(np.zeros((gap, self.target.channels), dtype=np.float32))

    def _write(self, samples: Floats) -> None:
        """Encode (n, channels) float32 samples that start at the current position."""
        start = self._position or 0
        self._position = start + len(samples)
        if start < 0:
            samples, start = samples[-start:], 0
        if self._end is not None:
            samples = samples[: max(0, self._end - start)]
        if len(samples) == 0:
            return
        # Damaged packets decode to infinities, on which an encoder would search for ever.
        finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        interleaved = np.clip(finite, -1, 1).reshape(1, -1)
        frame = AudioFrame.from_ndarray(interleaved, format="flt", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = start, Fraction(1, self._rate)
        self._mux(frame)

    def _mux(self, frame: AudioFrame | None) -> None:
        for packet in self.target.encode(frame):
            self._output.mux(packet)
            self.packets_count += 1
