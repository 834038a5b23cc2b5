"""HDR and wide colours to SDR BT.709, by published formulas; docs/video.md lists them.

Light is counted in units of 203 cd/m2, HDR's reference white (ITU-R BT.2408): 1 is SDR white.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.types import Doubles, Floats, Image
from inference.pipeline.video.types import WideColour

WHITE_NITS: Final = 203.0
_CODES: Final = 65536
_TONE_STEPS: Final = 16384
_HLG_PEAK_NITS: Final = 1000.0
# OOTF exponent of HLG on a display of 1000 cd/m2 (BT.2100).
_HLG_GAMMA: Final = 1.2
_SDR_GAMMA: Final = 2.4
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_LUMA_BT2020: Final = (0.2627, 0.6780, 0.0593)
# Linear RGB of the named primaries -> linear RGB of BT.709, all with the white point D65.
_TO_BT709: Final[dict[str, tuple[tuple[float, float, float], ...]]] = {
    "bt709": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "bt2020": (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    "p3": (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    ),
}


def to_sdr(rgb: NDArray[np.uint16], *, white_code: int, colour: WideColour) -> Image:
    """(H, W, 3) uint16 full-range R'G'B' of ``colour`` -> (H, W, 3) uint8 BGR, SDR BT.709.

    ``white_code`` is the code of the largest value, 65535 unless a converter rounds it.
    """
    light = _to_light(rgb, colour.transfer, white_code)
    if colour.transfer != "gamma":
        light = _compress(light, colour.peak_nits)
    matrix = np.asarray(_TO_BT709[colour.primaries], dtype=np.float32)
    # OpenCV multiplies each pixel by the matrix; its reversed rows give BGR.
    bgr = np.asarray(cv2.transform(light, matrix[::-1]), dtype=np.float32)
    np.clip(bgr, 0, 1, out=bgr)
    return np.rint(cv2.pow(bgr, 1 / _SDR_GAMMA) * 255).astype(np.uint8)


def pq_to_nits(code: Doubles) -> Doubles:
    """PQ EOTF (SMPTE ST 2084): code 0..1 -> cd/m2."""
    power = np.power(code, 1 / _PQ_M2)
    ratio = np.maximum(power - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * power)
    return np.asarray(10000 * np.power(ratio, 1 / _PQ_M1), dtype=np.float64)


def nits_to_pq(nits: Doubles) -> Doubles:
    """Inverse of ``pq_to_nits``."""
    power = np.power(nits / 10000, _PQ_M1)
    return np.asarray(np.power((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power), _PQ_M2))


def hlg_to_scene(code: Doubles) -> Doubles:
    """Inverse HLG OETF (BT.2100): code 0..1 -> scene light 0..1."""
    low = code**2 / 3
    high = (np.exp((code - _HLG_C) / _HLG_A) + _HLG_B) / 12
    return np.where(code <= 0.5, low, high)  # noqa: PLR2004 - the knee of the standard


def _to_light(rgb: NDArray[np.uint16], transfer: str, white_code: int) -> Floats:
    """Code values -> light of the display."""
    light = _code_table(transfer, white_code)[rgb]
    if transfer == "hlg":
        luma = light @ np.asarray(_LUMA_BT2020, dtype=np.float32)
        gain = cv2.pow(np.maximum(luma, 1e-6), _HLG_GAMMA - 1) * (_HLG_PEAK_NITS / WHITE_NITS)
        light *= np.asarray(gain, dtype=np.float32)[:, :, np.newaxis]
    return light


def _compress(light: Floats, peak_nits: float) -> Floats:
    """Bring highlights under SDR white; hue stays, because all channels are scaled alike."""
    brightest = light.max(axis=2)
    peak = peak_nits / WHITE_NITS
    # The square root spreads the table's steps over the dark tones.
    steps = np.sqrt(np.minimum(brightest / peak, 1)) * (_TONE_STEPS - 1)
    scale = _tone_table(peak_nits)[np.rint(steps).astype(np.int32)]
    return np.asarray(light * scale[:, :, np.newaxis], dtype=np.float32)


@lru_cache(maxsize=6)
def _code_table(transfer: str, white_code: int) -> Floats:
    """(65536,) float32: light of every 16-bit code."""
    code = np.minimum(np.arange(_CODES) / white_code, 1)
    if transfer == "pq":
        light = pq_to_nits(code) / WHITE_NITS
    elif transfer == "hlg":
        light = hlg_to_scene(code)
    else:
        light = code**_SDR_GAMMA
    return light.astype(np.float32)


@lru_cache(maxsize=8)
def _tone_table(peak_nits: float) -> Floats:
    """(16384,) float32: factor that brings a light down, by the square root of its share of peak.

    The roll-off is the Hermite spline of ITU-R BT.2390 in PQ, from the programme's peak to SDR
    white; below the knee nothing changes.
    """
    share = (np.arange(_TONE_STEPS) / (_TONE_STEPS - 1)) ** 2
    nits = np.maximum(share * peak_nits, 1e-6)
    if peak_nits <= WHITE_NITS:
        return np.ones(_TONE_STEPS, dtype=np.float32)
    peak, white = (float(nits_to_pq(np.asarray(value))) for value in (peak_nits, WHITE_NITS))
    level, top = nits_to_pq(nits) / peak, white / peak
    knee = 1.5 * top - 0.5
    t = np.clip((level - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * top
    )
    mapped = pq_to_nits(np.where(level < knee, level, spline) * peak)
    return (mapped / nits).astype(np.float32)
