"""Decodes a sound track and encodes it anew, cut to the sample."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

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
# Smaller differences between timestamps and counted samples are rounding.
_GAP_MIN_S: Final = 0.1
_GAP_MAX_S: Final = 600


class AudioTranscoder:
    """Encodes the part of a track from zero to ``end_s``; gaps become silence.

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
        layout = stream.layout.name
        target = output.add_stream(codec, rate=rate)
        assert isinstance(target, AudioStream)
        target.codec_context.layout = layout
        target.codec_context.bit_rate = _BITS_PER_CHANNEL[codec] * stream.channels
        target.codec_context.open()
        self.target = target
        self.packets_count = 0
        self.damaged_count = 0
        self._stream = stream
        self._output = output
        self._rate = rate
        self._layout = layout
        self._zero_s = zero_s
        self._end = None if end_s is None else round(end_s * rate)
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
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
        for piece in self._resampler.resample(frame):
            self._write(np.asarray(piece.to_ndarray(), dtype=np.float32))

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
            channels = frame.layout.nb_channels
            self._write(np.zeros((channels, gap), dtype=np.float32))

    def _write(self, samples: Floats) -> None:
        """Encode (channels, n) float32 samples that start at the current position."""
        start = self._position or 0
        self._position = start + samples.shape[1]
        if start < 0:
            samples, start = samples[:, -start:], 0
        if self._end is not None:
            samples = samples[:, : max(0, self._end - start)]
        if samples.shape[1] == 0:
            return
        contiguous = np.ascontiguousarray(samples)
        frame = AudioFrame.from_ndarray(contiguous, format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = start, Fraction(1, self._rate)
        self._mux(frame)

    def _mux(self, frame: AudioFrame | None) -> None:
        for packet in self.target.encode(frame):
            self._output.mux(packet)
            self.packets_count += 1
