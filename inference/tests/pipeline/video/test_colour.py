from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from inference.pipeline.types import Image
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import DecodeRange, FrameReader
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import OutputOptions, VideoInfo
from inference.tests.pipeline.video.media import (
    LIMITS,
    Clip,
    add_pictures,
    make_clip,
    numbered,
    run,
)

_LOSSLESS_H264 = {"qp": "0"}
# Luma and chroma codes of 10 bits: shadows, skin, white, highlights, saturated colours.
_PATCHES_10 = (
    (64, 512, 512),
    (300, 480, 560),
    (420, 460, 570),
    (502, 512, 512),
    (580, 512, 512),
    (650, 500, 530),
    (769, 512, 512),
    (940, 512, 512),
    (350, 700, 450),
    (400, 420, 720),
)


def _decode_all(path: Path, *, keep_alpha: bool = False) -> tuple[VideoInfo, list[Image]]:
    info = probe_video(path, limits=LIMITS)
    reader = FrameReader(path, info=info, limits=LIMITS, corrupt_frames_max=0)
    converter = FrameConverter(info=info, keep_alpha=keep_alpha)
    return info, [converter.to_bgr(item.frame)[0] for item in reader.frames(DecodeRange())]


def _write_patches(
    path: Path,
    patches: Sequence[tuple[int, int, int]],
    *,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    tags: dict[str, int],
    size: tuple[int, int] = (64, 64),
) -> Path:
    """One lossless frame of a single colour for every patch of Y, Cb and Cr codes."""
    with av.open(str(path), "w") as output:
        stream = add_pictures(output, codec, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for number, patch in enumerate(patches):
            frame = VideoFrame(*size, pixel_format)
            dtype = np.uint16 if "10" in pixel_format else np.uint8
            for plane, code in zip(frame.planes, patch, strict=True):
                count = plane.buffer_size // dtype().itemsize
                plane.update(np.full(count, code, dtype).tobytes())
            for name, value in tags.items():
                setattr(frame, name, value)
            frame.pts = number
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return path


def _rgb_codes(
    patch: tuple[int, int, int], *, bits: int, kr: float, kb: float, is_full: bool
) -> tuple[float, float, float]:
    """Y'CbCr codes -> R'G'B' 0..1 in float64, by the definition of ITU-R BT.601/709/2020."""
    unit = 2 ** (bits - 8)
    top = 2**bits - 1
    luma = patch[0] / top if is_full else (patch[0] / unit - 16) / 219
    span = top / unit if is_full else 224
    cb, cr = ((code / unit - 128) / span for code in patch[1:])
    red = luma + 2 * (1 - kr) * cr
    blue = luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return red, green, blue


@pytest.mark.parametrize(
    ("matrix", "kr", "kb", "size"),
    [
        pytest.param(1, 0.2126, 0.0722, (64, 64), id="bt709"),
        pytest.param(6, 0.299, 0.114, (64, 64), id="bt601"),
        pytest.param(9, 0.2627, 0.0593, (64, 64), id="bt2020-matrix"),
        pytest.param(2, 0.299, 0.114, (64, 64), id="untagged-small-is-bt601"),
        pytest.param(2, 0.2126, 0.0722, (1280, 720), id="untagged-hd-is-bt709"),
    ],
)
@pytest.mark.parametrize("colour_range", [1, 2], ids=["limited", "full"])
def test_matrix_and_range_are_right(
    tmp_path: Path,
    matrix: int,
    kr: float,
    kb: float,
    size: tuple[int, int],
    colour_range: int,
):
    patches = [(60, 120, 140), (128, 128, 128), (180, 110, 150), (90, 150, 100)]
    path = _write_patches(
        tmp_path / "clip.mp4",
        patches,
        codec="libx264",
        pixel_format="yuv420p",
        options=_LOSSLESS_H264,
        tags={"colorspace": matrix, "color_range": colour_range},
        size=size,
    )
    info, images = _decode_all(path)
    assert info.is_full_range == (colour_range == 2)
    for patch, image in zip(patches, images, strict=True):
        rgb = _rgb_codes(patch, bits=8, kr=kr, kb=kb, is_full=colour_range == 2)
        expected = np.clip(np.asarray(rgb[::-1]) * 255, 0, 255)
        assert np.abs(image[32, 32] - expected).max() <= 1


def _pq_nits(code: float) -> float:
    """SMPTE ST 2084, scalar."""
    m1, m2 = 0.1593017578125, 78.84375
    c1, c2, c3 = 0.8359375, 18.8515625, 18.6875
    power = max(code, 0.0) ** (1 / m2)
    return float(10000.0 * (max(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1))


def _pq_code(nits: float) -> float:
    m1, m2 = 0.1593017578125, 78.84375
    c1, c2, c3 = 0.8359375, 18.8515625, 18.6875
    power = (nits / 10000.0) ** m1
    return float(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def _hlg_nits(rgb: Sequence[float]) -> list[float]:
    """ITU-R BT.2100 HLG on a display of 1000 cd/m2, scalar."""
    scene = []
    for code in rgb:
        clipped = min(max(code, 0.0), 1.0)
        if clipped <= 0.5:
            scene.append(clipped * clipped / 3)
        else:
            scene.append((math.exp((clipped - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luma = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000.0 * luma**0.2 * light for light in scene]


def _rolled_off(nits: float, peak: float) -> float:
    """ITU-R BT.2390 EETF from ``peak`` to 203 cd/m2."""
    top = _pq_code(203.0) / _pq_code(peak)
    level = _pq_code(nits) / _pq_code(peak)
    if top >= 1:
        return nits
    knee = 1.5 * top - 0.5
    if level >= knee:
        t = (level - knee) / (1 - knee)
        level = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (3 * t**2 - 2 * t**3) * top
        )
    return _pq_nits(level * _pq_code(peak))


def _reference_sdr(
    patch: tuple[int, int, int], *, transfer: str, peak: float = 1000.0, is_full: bool = False
) -> np.ndarray:
    """BGR 0..255 in float64 from 10-bit BT.2020 codes, by the formulas in docs/video.md."""
    rgb = _rgb_codes(patch, bits=10, kr=0.2627, kb=0.0593, is_full=is_full)
    if transfer == "pq":
        nits = [_pq_nits(min(max(code, 0.0), 1.0)) for code in rgb]
    else:
        nits = _hlg_nits(rgb)
    brightest = min(max(nits), peak)
    factor = _rolled_off(brightest, peak) / brightest if brightest > 1e-6 else 1.0
    red, green, blue = (value * factor / 203.0 for value in nits)
    linear = (
        1.6604910 * red - 0.5876411 * green - 0.0728499 * blue,
        -0.1245505 * red + 1.1328999 * green - 0.0083494 * blue,
        -0.0181508 * red - 0.1005789 * green + 1.1187297 * blue,
    )
    return np.asarray([255 * min(max(value, 0.0), 1.0) ** (1 / 2.4) for value in linear[::-1]])


@pytest.mark.parametrize(("transfer", "code"), [("pq", 16), ("hlg", 18)])
def test_hdr_becomes_sdr_by_the_documented_formula(tmp_path: Path, transfer: str, code: int):
    path = _write_patches(
        tmp_path / "hdr.mp4",
        _PATCHES_10,
        codec="libx264",
        pixel_format="yuv420p10le",
        options=_LOSSLESS_H264,
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": code, "color_range": 1},
    )
    info, images = _decode_all(path)
    assert info.wide_colour is not None
    assert (info.wide_colour.transfer, info.bit_depth) == (transfer, 10)
    assert len(images) == len(_PATCHES_10)
    for patch, image in zip(_PATCHES_10, images, strict=True):
        expected = _reference_sdr(patch, transfer=transfer)
        # One level of rounding, and what a 10-bit code near black weighs after the gamma.
        assert np.abs(image[32, 32] - expected).max() <= 1.5, patch


@pytest.mark.parametrize(("transfer", "code"), [("pq", 16), ("hlg", 18)])
def test_hevc_carries_hdr_as_well(tmp_path: Path, transfer: str, code: int):
    """Its lossless mode is not dependable, so this one is nearly lossless."""
    path = _write_patches(
        tmp_path / "hdr.mp4",
        _PATCHES_10,
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"crf": "1", "x265-params": "log-level=error:keyint=1"},
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": code, "color_range": 1},
    )
    info, images = _decode_all(path)
    assert info.wide_colour is not None
    assert (info.codec, info.wide_colour.transfer, info.bit_depth) == ("hevc", transfer, 10)
    for patch, image in zip(_PATCHES_10, images, strict=True):
        expected = _reference_sdr(patch, transfer=transfer)
        assert np.abs(image[32, 32] - expected).max() <= 4, patch


@pytest.mark.parametrize(
    ("params", "peak"),
    [
        ("cll=4000,400", 4000),
        (
            "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(20000000,1)",
            2000,
        ),
        ("annexb=0", 1000),
        ("cll=100,50", 203),
    ],
)
def test_the_peak_of_a_programme_is_read_and_used(tmp_path: Path, params: str, peak: int):
    path = _write_patches(
        tmp_path / "hdr.mp4",
        _PATCHES_10,
        codec="libx264",
        pixel_format="yuv420p10le",
        options=_LOSSLESS_H264 | {"x264-params": params},
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1},
    )
    info, images = _decode_all(path)
    assert info.wide_colour is not None
    assert info.wide_colour.peak_nits == peak
    for patch, image in zip(_PATCHES_10, images, strict=True):
        expected = _reference_sdr(patch, transfer="pq", peak=float(peak))
        assert np.abs(image[32, 32] - expected).max() <= 1.5, patch


def test_full_range_hdr_is_right(tmp_path: Path):
    path = _write_patches(
        tmp_path / "hdr.mp4",
        _PATCHES_10,
        codec="libx264",
        pixel_format="yuv420p10le",
        options=_LOSSLESS_H264,
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": 18, "color_range": 2},
    )
    _, images = _decode_all(path)
    for patch, image in zip(_PATCHES_10, images, strict=True):
        expected = _reference_sdr(patch, transfer="hlg", is_full=True)
        assert np.abs(image[32, 32] - expected).max() <= 1.5, patch


def test_a_transcoded_hdr_video_is_tagged_as_plain_bt709(tmp_path: Path):
    path = _write_patches(
        tmp_path / "hdr.mp4",
        _PATCHES_10,
        codec="libx264",
        pixel_format="yuv420p10le",
        options=_LOSSLESS_H264,
        tags={"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1},
    )
    run(path, tmp_path / "sdr.mp4", output=OutputOptions(quality=100))
    info, images = _decode_all(tmp_path / "sdr.mp4")
    assert info.wide_colour is None
    assert (info.colour_matrix, info.is_full_range, info.pixel_format) == (1, False, "yuv420p")
    with av.open(str(tmp_path / "sdr.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
    grey = _reference_sdr(_PATCHES_10[3], transfer="pq")
    assert np.abs(images[3][32, 32] - grey).max() <= 3


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_colours_survive_the_best_quality(tmp_path: Path, codec: str):
    colours = [(200, 40, 30), (30, 180, 60), (40, 60, 210), (250, 250, 250), (12, 12, 12)]

    def paint(number: int, size: tuple[int, int]) -> Image:
        return np.full((size[1], size[0], 3), colours[number], dtype=np.uint8)

    source = make_clip(
        tmp_path / "in.mkv",
        Clip(
            codec="ffv1",
            pixel_format="bgr0",
            times=tuple(range(0, 200, 40)),
            tick_s=Fraction(1, 1000),
            paint=paint,
        ),
    )
    suffix = "webm" if codec == "vp9" else "mp4"
    target = tmp_path / f"out.{suffix}"
    run(source, target, output=OutputOptions(quality=100, codec=codec))  # type: ignore[arg-type]
    _, images = _decode_all(target)
    assert len(images) == len(colours)
    for colour, image in zip(colours, images, strict=True):
        assert np.abs(image[32, 48].astype(int) - colour).max() <= 4


def _corner_image(number: int, size: tuple[int, int]) -> Image:
    """A bright block at the top left, a darker one at the top right; no symmetry."""
    image = numbered(0, size) // 8
    image[: size[1] // 4, : size[0] // 4] = 250
    image[: size[1] // 4, -size[0] // 4 :] = 140
    return image


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_rotation_and_mirroring_are_applied_and_cleared(
    tmp_path: Path, degrees: int, *, is_mirrored: bool
):
    stored = _corner_image(0, (96, 64))
    path = tmp_path / "turned.mov"
    with av.open(str(path), "w") as output:
        stream = add_pictures(output, "libx264", options={"crf": "5"})
        stream.width, stream.height = 96, 64
        stream.set_display_rotation(degrees, hflip=is_mirrored)
        for number in range(3):
            frame = VideoFrame.from_ndarray(stored, "bgr24")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    # The rotation counts against the clock, as NumPy's does; the mirroring comes after it.
    upright = np.rot90(stored, degrees // 90)
    if is_mirrored:
        upright = upright[:, ::-1]
    run(path, tmp_path / "out.mp4", output=OutputOptions(quality=95))
    info, images = _decode_all(tmp_path / "out.mp4")
    assert (info.width, info.height) == (upright.shape[1], upright.shape[0])
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0
    assert np.abs(images[0].astype(int) - upright).mean() < 6


def _with_alpha(number: int, size: tuple[int, int]) -> Image:
    image = np.dstack([numbered(number, size), np.zeros(size[::-1], dtype=np.uint8)])
    image[:, : size[0] // 2, 3] = 255
    image[:, size[0] // 2 :, 3] = 60 + number
    return image


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format", "options"),
    [
        ("webm", "libvpx-vp9", "yuva420p", {"crf": "4", "b": "0", "auto-alt-ref": "0"}),
        ("mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("mov", "png", "rgba", {}),
    ],
)
@pytest.mark.parametrize("target_suffix", ["webm", "mov"])
def test_transparency_is_kept_where_the_container_allows_it(
    tmp_path: Path,
    suffix: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    target_suffix: str,
):
    source = make_clip(
        tmp_path / f"in.{suffix}",
        Clip(
            codec=codec,
            pixel_format=pixel_format,
            encoder=options,
            paint=_with_alpha,
            times=tuple(range(0, 400, 40)),
            tick_s=Fraction(1, 1000),
        ),
    )
    info = probe_video(source, limits=LIMITS)
    assert info.has_alpha
    target = tmp_path / f"out.{target_suffix}"
    report = run(source, target, output=OutputOptions(quality=95))
    assert report.is_alpha_kept
    assert report.frames_out == 10
    info = probe_video(target, limits=LIMITS)
    assert info.has_alpha
    reader = FrameReader(target, info=info, limits=LIMITS, corrupt_frames_max=0)
    converter = FrameConverter(info=info, keep_alpha=True)
    for number, item in enumerate(reader.frames(DecodeRange())):
        _, alpha = converter.to_bgr(item.frame)
        assert alpha is not None
        assert abs(int(alpha[32, 10]) - 255) <= 4
        assert abs(int(alpha[32, 80]) - (60 + number)) <= 6


def test_transparency_is_laid_over_white_where_it_cannot_be_kept(tmp_path: Path):
    def half(number: int, size: tuple[int, int]) -> Image:
        image = np.zeros((size[1], size[0], 4), dtype=np.uint8)
        image[:, : size[0] // 2, 3] = 255
        return image

    source = make_clip(tmp_path / "in.mov", Clip(codec="png", pixel_format="rgba", paint=half))
    report = run(source, tmp_path / "out.mp4")
    assert not report.is_alpha_kept
    _, images = _decode_all(tmp_path / "out.mp4")
    assert images[0][32, 10].max() < 8
    assert images[0][32, 80].min() > 247


@pytest.mark.parametrize("size", [(97, 65), (96, 65), (95, 64)])
def test_odd_sides_are_padded_by_one_pixel(tmp_path: Path, size: tuple[int, int]):
    source = make_clip(
        tmp_path / "odd.mkv",
        Clip(
            codec="ffv1",
            pixel_format="bgr0",
            size=size,
            times=tuple(range(0, 200, 40)),
            tick_s=Fraction(1, 1000),
        ),
    )
    report = run(source, tmp_path / "out.mp4", output=OutputOptions(quality=100))
    assert (report.width, report.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    _, images = _decode_all(tmp_path / "out.mp4")
    inside = images[0][: size[1], : size[0]].astype(int)
    # Nothing moves: the sharp edges between the bars stay where they were.
    assert np.abs(inside - numbered(0, size)).mean() < 4
