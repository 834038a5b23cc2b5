"""Decoded frames to upright BGR and back: matrix, range, HDR, transparency, orientation, size."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, cast

import av.error
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.reformatter import Interpolation as Flags

from inference.pipeline.types import Image
from inference.pipeline.video.errors import UnsupportedVideoError
from inference.pipeline.video.tonemap import to_sdr
from inference.pipeline.video.types import Primaries, Transfer, VideoInfo, WideColour

_EXACT: Final = Flags.ACCURATE_RND | Flags.FULL_CHR_H_INT | Flags.FULL_CHR_H_INP
_CONVERT: Final = int(Flags.BICUBIC | _EXACT)
_RESIZE: Final = int(Flags.LANCZOS | _EXACT)
_MATTE: Final = 255.0
# Codes of ISO/IEC 23091-2 (H.273), which FFmpeg uses too.
_MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# White of 16-bit RGB: as stored, and as FFmpeg's scaler makes it from YCbCr (measured).
_RGB_WHITE: Final = 65535
_YUV_WHITE: Final = 65283
_HD_SIDE_PX: Final = (1280, 720)
_PEAK_NITS: Final = 1000.0
_PEAK_LIMITS_NITS: Final = (203.0, 10000.0)
_P3_PRIMARIES: Final = (11, 12)


def matrix_of(frame: VideoFrame) -> int:
    """H.273 code of the YCbCr matrix; if untagged BT.709 from 720 lines on, else BT.601."""
    if frame.colorspace in _MATRICES:
        return frame.colorspace
    is_hd = frame.width >= _HD_SIDE_PX[0] or frame.height >= _HD_SIDE_PX[1]
    return 1 if is_hd else 6


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black is 0 and white is the largest code."""
    name = frame.format.name
    return frame.color_range == ColorRange.JPEG or name.startswith("yuvj") or frame.format.is_rgb


def wide_colour_of(frame: VideoFrame) -> WideColour | None:
    """What has to be converted to SDR BT.709, None if nothing has."""
    transfers: dict[int, Transfer] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
    transfer = transfers.get(frame.color_trc, "gamma")
    is_bt2020 = frame.color_primaries == ColorPrimaries.BT2020
    is_p3 = frame.color_primaries in _P3_PRIMARIES
    if transfer == "gamma" and not is_bt2020 and not is_p3:
        return None
    peak = _peak_nits(frame) if transfer == "pq" else _PEAK_NITS
    primaries: Primaries = "bt2020" if is_bt2020 else "p3" if is_p3 else "bt709"
    return WideColour(transfer=transfer, primaries=primaries, peak_nits=peak)


def side_data_of(frame: VideoFrame) -> dict[str, bytes]:
    """Raw side data of a frame by FFmpeg's name of its kind."""
    # The library's annotation says it is a typed dictionary; it is a sequence of records.
    records = cast("Iterable[SideData]", frame.side_data)
    return {record.type.name: bytes(record) for record in records}


class FrameConverter:
    """Converts frames of one video; keeps scratch state, so each thread needs its own.

    Args:
        info: the video.
        keep_alpha: hand out transparency; otherwise it is laid over white, like a picture's.
    """

    def __init__(self, *, info: VideoInfo, keep_alpha: bool) -> None:
        self._info = info
        self._keep_alpha = keep_alpha and info.has_alpha
        self._reader = VideoReformatter()
        self._writer = VideoReformatter()

    def to_bgr(self, frame: VideoFrame) -> tuple[Image, Image | None]:
        """A decoded frame -> upright (H, W, 3) uint8 BGR and (H, W) uint8 alpha or None."""
        orient = self._info.orientation.apply
        wide = self._info.wide_colour
        if wide is not None:
            rgb = self._read(frame, "rgb48le")
            white = _RGB_WHITE if frame.format.is_rgb else _YUV_WHITE
            sdr = to_sdr(rgb.astype(np.uint16, copy=False), white_code=white, colour=wide)
            return orient(sdr), None
        if not self._info.has_alpha:
            return orient(self._read(frame, "bgr24")), None
        bgra = orient(self._read(frame, "bgra"))
        if self._keep_alpha:
            return np.ascontiguousarray(bgra[:, :, :3]), np.ascontiguousarray(bgra[:, :, 3])
        return _lay_over_white(bgra), None

    def from_bgr(
        self,
        image_bgr: Image,
        *,
        alpha: Image | None,
        size_px: tuple[int, int],
        pixel_format: str,
    ) -> VideoFrame:
        """(H, W, 3) uint8 BGR -> a frame of the encoder: limited-range BT.709.

        A side that is one pixel short is padded by its last column or row; any other difference
        is resampled.
        """
        pads = (size_px[1] - image_bgr.shape[0], size_px[0] - image_bgr.shape[1])
        if alpha is not None:
            if alpha.shape != image_bgr.shape[:2]:
                alpha = np.asarray(cv2.resize(alpha, image_bgr.shape[1::-1]), dtype=np.uint8)
            image_bgr = np.dstack([image_bgr, alpha])
        if pads != (0, 0) and set(pads) <= {0, 1}:
            border = (0, pads[0], 0, pads[1], cv2.BORDER_REPLICATE)
            image_bgr = np.asarray(cv2.copyMakeBorder(image_bgr, *border), dtype=np.uint8)
        layout = "bgr24" if alpha is None else "bgra"
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), layout)
        is_same_size = (frame.width, frame.height) == size_px
        result = self._writer.reformat(
            frame,
            width=size_px[0],
            height=size_px[1],
            format=pixel_format,
            interpolation=_CONVERT if is_same_size else _RESIZE,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        result.color_primaries = ColorPrimaries.BT709
        result.color_trc = ColorTrc.BT709
        return result

    def _read(self, frame: VideoFrame, layout: str) -> Image:
        is_rgb = frame.format.is_rgb
        size = (self._info.stored_width, self._info.stored_height)
        is_same_size = (frame.width, frame.height) == size
        try:
            converted = self._reader.reformat(
                frame,
                # A stream that changes its size midway is brought back to the first one.
                width=size[0],
                height=size[1],
                format=layout,
                interpolation=_CONVERT if is_same_size else _RESIZE,
                src_colorspace=None if is_rgb else _MATRICES[matrix_of(frame)],
                src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
        except av.error.FFmpegError as error:
            raise UnsupportedVideoError(f"pixels of '{frame.format.name}' are not read") from error
        pixels: Image = np.asarray(converted.to_ndarray())
        # Decoders look back at their own frames, which frame functions may draw on.
        return pixels.copy() if converted is frame else pixels


def _lay_over_white(bgra: Image) -> Image:
    colour, alpha = bgra[:, :, :3].astype(np.float32), bgra[:, :, 3:].astype(np.float32) / 255
    return np.rint(colour * alpha + _MATTE * (1 - alpha)).astype(np.uint8)


def _peak_nits(frame: VideoFrame) -> float:
    """Brightest light of a PQ programme: MaxCLL, else the mastering display's, else 1000."""
    side_data = side_data_of(frame)
    peak = 0.0
    if len(light := side_data.get("CONTENT_LIGHT_LEVEL", b"")) >= struct.calcsize("=II"):
        peak = float(struct.unpack_from("=II", light)[0])
    # AVMasteringDisplayMetadata: eight rationals of colours, then minimum and maximum luminance.
    mastering = side_data.get("MASTERING_DISPLAY_METADATA", b"")
    if not peak and len(mastering) >= struct.calcsize("=22i"):
        values = struct.unpack_from("=22i", mastering)
        if values[21] and values[19]:
            peak = values[18] / values[19]
    low, high = _PEAK_LIMITS_NITS
    return min(max(peak, low), high) if peak else _PEAK_NITS
