"""What a frame says about its colours; light enough for the web process."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, cast

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from inference.pipeline.video.types import Primaries, Transfer, WideColour

#: Codes of ISO/IEC 23091-2 (H.273), which FFmpeg uses too.
MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_HD_SIDE_PX: Final = (1280, 720)
_PEAK_NITS: Final = 1000.0
_PEAK_LIMITS_NITS: Final = (203.0, 10000.0)


def matrix_of(frame: VideoFrame) -> int:
    """H.273 code of the YCbCr matrix; if untagged BT.709 from 1280 x 720 on, else BT.601."""
    if frame.colorspace in MATRICES:
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
    is_p3 = frame.color_primaries == ColorPrimaries.SMPTE432
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
