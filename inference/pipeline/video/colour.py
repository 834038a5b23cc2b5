"""Decoded frames to upright BGR and back: matrix, range, HDR, transparency, orientation, size."""

from __future__ import annotations

from typing import Final

import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.reformatter import Interpolation as Flags

from inference.pipeline.types import Image
from inference.pipeline.video.errors import UnsupportedVideoError
from inference.pipeline.video.tags import MATRICES, is_full_range, matrix_of
from inference.pipeline.video.tonemap import to_sdr
from inference.pipeline.video.types import VideoInfo

_EXACT: Final = Flags.ACCURATE_RND | Flags.FULL_CHR_H_INT | Flags.FULL_CHR_H_INP
_CONVERT: Final = int(Flags.BICUBIC | _EXACT)
_RESIZE: Final = int(Flags.LANCZOS | _EXACT)
_MATTE: Final = 255.0
# White of 16-bit RGB: as stored, and as FFmpeg's scaler makes it from YCbCr (measured).
_RGB_WHITE: Final = 65535
_YUV_WHITE: Final = 65283


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
                src_colorspace=None if is_rgb else MATRICES[matrix_of(frame)],
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
