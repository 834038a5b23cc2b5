"""Pictures of the corpus."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from inference.tests.corpus.entries import NO_FACE, OK, PICTURE_OUTCOMES, Entry, picture
from inference.tests.corpus.fuzz import mutations

_SAMPLES = Path(__file__).resolve().parents[3] / "samples"
_FACE_BOX = (144, 20, 304, 212)
_SIZE = (120, 144)
_FUZZED_PER_SEED = 36
_UNSUPPORTED = "unsupported_image"
_UNREADABLE = "unreadable_image"
_TOO_LARGE = "image_too_large"


def face() -> Image.Image:
    """A face of about 70 px in an RGB picture of 120 x 144 px."""
    with Image.open(_SAMPLES / "astronaut.png") as photo:
        return photo.convert("RGB").crop(_FACE_BOX).resize(_SIZE)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def all_pictures() -> Iterator[Entry]:
    yield from _foreign()
    yield from _cut_short()
    yield from _unusual_but_right()
    yield from _sizes()
    yield from _lying_png()
    yield from _lying_jpeg_and_webp()
    yield from _polyglots()
    yield from _fuzzed()


def _foreign() -> Iterator[Entry]:
    image = face()
    yield picture("zero_bytes.jpg", b"", _UNREADABLE)
    for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "DDS", "JPEG2000", "SGI"):
        yield picture(f"{kind.lower()}.jpg", encoded(image, kind), _UNSUPPORTED)
    yield picture("pdf.jpg", encoded(image, "PDF"), _UNSUPPORTED)
    frames = [image, image.rotate(5)]
    animated = {"save_all": True, "append_images": frames[1:]}
    for kind in ("GIF", "PNG", "WEBP"):
        yield picture(
            f"animated.{kind.lower()}", encoded(frames[0], kind, **animated), _UNSUPPORTED
        )
    texts = {
        "one_byte": b"\xff",
        "text": b"this is no picture",
        "html": b"<!doctype html><script>alert(1)</script>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "xml_bomb": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n(x) run\n",
        "imagetragick": b'push graphic-context\nviewbox 0 0 9 9\nfill "url(https://x/|ls)"\n',
        "program": b"\x7fELF\x02\x01\x01" + bytes(200),
        "zeros": bytes(4096),
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100),
        "webp_of_sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        "byte_order_mark": b"\xef\xbb\xbf" + encoded(image, "JPEG"),
    }
    for name, data in texts.items():
        yield picture(f"{name}.png", data, _UNSUPPORTED)
    encrypted_like = np.random.default_rng(5).bytes(20_000)
    yield picture("encrypted_like.jpg", encrypted_like, _UNSUPPORTED)
    for kind, head in (("jpg", b"\xff\xd8\xff\xe0"), ("png", b"\x89PNG\r\n\x1a\n")):
        yield picture(f"signature_and_noise.{kind}", head + encrypted_like, _UNREADABLE)


def _cut_short() -> Iterator[Entry]:
    image = face()
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(image, kind)
        suffix = kind.lower()
        for length in (1, 2, 3, 4, 8, 12, 20, 40):
            codes = (_UNREADABLE, _UNSUPPORTED) if length < 12 else (_UNREADABLE,)
            yield picture(f"first_{length}.{suffix}", data[:length], *codes)
        for percent in (10, 25, 50, 75, 90):
            cut = data[: len(data) * percent // 100]
            yield picture(f"first_{percent}_percent.{suffix}", cut, _UNREADABLE)


def _unusual_but_right() -> Iterator[Entry]:
    image = face()
    for mode in ("1", "L", "LA", "P", "RGBA"):
        codes = (OK, NO_FACE) if mode == "1" else (OK,)
        data = encoded(image.convert(mode), "PNG")
        yield picture(f"mode_{mode}.png", data, *codes, size_px=_SIZE)
    deep = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    yield picture("grey_16_bit.png", encoded(Image.fromarray(deep), "PNG"), OK, size_px=_SIZE)
    yield picture("rgb_16_bit.png", _png_rgb_16_bit(image), OK, size_px=_SIZE)
    seen_through = image.copy()
    seen_through.putalpha(0)
    yield picture("all_transparent.png", encoded(seen_through, "PNG"), NO_FACE)
    for mode in ("L", "CMYK", "YCbCr"):
        data = encoded(image.convert(mode), "JPEG")
        yield picture(f"mode_{mode}.jpg", data, OK, size_px=_SIZE)
    yield picture("progressive.jpg", encoded(image, "JPEG", progressive=True), OK, size_px=_SIZE)
    yield picture("restarts.jpg", encoded(image, "JPEG", restart_marker_blocks=2), OK)
    yield picture("lossless.webp", encoded(image, "WEBP", lossless=True), OK, size_px=_SIZE)
    yield picture("alpha.webp", encoded(image.convert("RGBA"), "WEBP"), OK, size_px=_SIZE)
    mpo = encoded(image, "MPO", save_all=True, append_images=[image])
    yield picture("several_pictures.jpg", mpo, OK, size_px=_SIZE)
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        size = _SIZE[::-1] if orientation in (5, 6, 7, 8) else _SIZE
        data = encoded(image, "JPEG", exif=exif)
        yield picture(f"orientation_{orientation}.jpg", data, OK, size_px=size)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, icc in (("right", profile), ("cut", profile[:60]), ("noise", b"\1" * 400)):
        data = encoded(image, "JPEG", icc_profile=icc)
        yield picture(f"profile_{name}.jpg", data, OK, size_px=_SIZE)
    for name, exif_bytes in (("noise", b"Exif\0\0" + b"\xee" * 200), ("loop", _looping_exif())):
        data = encoded(image, "JPEG", exif=exif_bytes)
        yield picture(f"exif_{name}.jpg", data, OK, _UNREADABLE)


def _sizes() -> Iterator[Entry]:
    image = face()
    for size in ((1, 1), (2, 2), (3, 1), (1, 20), (20, 1), (7, 5), (16, 16)):
        for kind in ("PNG", "JPEG"):
            name = f"{size[0]}x{size[1]}.{kind.lower()}"
            yield picture(name, encoded(image.resize(size), kind), NO_FACE)
    for size in ((1, 21), (20_000, 10), (10, 12_000), (20_000, 1_100), (12_001, 700)):
        flat = Image.new("L", size)
        yield picture(f"{size[0]}x{size[1]}.png", encoded(flat, "PNG"), _TOO_LARGE)
    wide = Image.new("RGB", (2000, 144), (90, 90, 90))
    wide.paste(image, (930, 0))
    yield picture("wide.jpg", encoded(wide, "JPEG"), OK, NO_FACE, size_px=(2000, 144))
    # 25 megapixels that are 4 kilobytes as a file: within the limits, so they are looked at.
    yield picture("bomb.png", encoded(Image.new("1", (5000, 5000)), "PNG"), NO_FACE)
    crowd = np.tile(np.asarray(image.resize((24, 29))), (100, 100, 1))
    yield picture("ten_thousand_faces.jpg", encoded(Image.fromarray(crowd), "JPEG"), OK, NO_FACE)


def _lying_png() -> Iterator[Entry]:
    for width, height in (
        (2**31 - 1, 2**31 - 1),
        (50_000, 50_000),
        (1, 100_000),
        (100_000, 1),
        (6_400, 6_400),
    ):
        data = _png(width, height)
        yield picture(f"header_{width}x{height}.png", data, _TOO_LARGE)
    for width, height in ((0, 10), (10, 0), (0, 0), (2**32 - 1, 1)):
        data = _png(width, height)
        yield picture(f"header_{width}x{height}.png", data, _UNREADABLE, _TOO_LARGE)
    yield picture("header_without_pixels.png", _png(100, 100), _UNREADABLE)
    for name, depth, colours in (("depth_3", 3, 2), ("colours_9", 8, 9), ("depth_255", 255, 255)):
        yield picture(f"{name}.png", _png(9, 9, depth=depth, colours=colours), _UNREADABLE)
    right = encoded(face(), "PNG")
    huge_text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000), 9))
    huge_profile = _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000), 9))
    many = _chunk(b"tEXt", b"a\0b") * 20_000
    for name, extra in (("text", huge_text), ("profile", huge_profile), ("many_chunks", many)):
        data = right[:33] + extra + right[33:]
        yield picture(f"bomb_in_{name}.png", data, OK, _UNREADABLE)
    wrong_sum = bytearray(right)
    wrong_sum[29] ^= 0xFF
    yield picture("wrong_checksum.png", bytes(wrong_sum), _UNREADABLE)
    without_header = right[:8] + right[33:]
    yield picture("without_header.png", without_header, _UNREADABLE)
    yield picture("two_headers.png", right[:33] + right[8:], OK, _UNREADABLE)


def _lying_jpeg_and_webp() -> Iterator[Entry]:
    data = encoded(face(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    for height, width, codes in (
        (65_535, 65_535, (_TOO_LARGE,)),
        (20_000, 1_100, (_TOO_LARGE,)),
        (1, 65_500, (_TOO_LARGE,)),
        (0, 120, (_UNREADABLE,)),
        (144, 0, (_UNREADABLE,)),
        # The decoder runs out of data and may fill up what is missing.
        (3_000, 2_000, (_UNREADABLE, NO_FACE, OK)),
    ):
        lying = data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
        yield picture(f"frame_{width}x{height}.jpg", lying, *codes)
    for marker in (0xC4, 0xDA, 0xDB):
        place = data.index(bytes((0xFF, marker)))
        for length in (0, 1, 0xFFFF):
            lying = data[: place + 2] + length.to_bytes(2, "big") + data[place + 4 :]
            yield picture(f"segment_{marker:x}_{length}.jpg", lying, OK, NO_FACE, _UNREADABLE)
    yield picture("many_scans.jpg", _many_scans(), OK, _UNREADABLE, NO_FACE)
    comments = b"".join(b"\xff\xfe\xff\xff" + bytes(65_533) for _ in range(40))
    yield picture("long_comments.jpg", data[:2] + comments + data[2:], OK, size_px=_SIZE)
    webp = encoded(face(), "WEBP")
    yield picture("length_0.webp", webp[:4] + bytes(4) + webp[8:], _UNREADABLE, OK)
    yield picture("length_max.webp", webp[:4] + b"\xff" * 4 + webp[8:], _UNREADABLE, OK)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2
    body = b"WEBP" + canvas + webp[12:]
    lying = b"RIFF" + struct.pack("<I", len(body)) + body
    yield picture("canvas_of_16777216.webp", lying, _UNREADABLE, _TOO_LARGE)


def _polyglots() -> Iterator[Entry]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("hello.txt", "hello")
    script = b"<script>alert(1)</script>"
    for kind in ("JPEG", "PNG", "WEBP"):
        data, suffix = encoded(face(), kind), kind.lower()
        for name, tail in (("archive", out.getvalue()), ("script", script), ("twice", data)):
            yield picture(f"with_{name}.{suffix}", data + tail, OK, size_px=_SIZE)
        yield picture(f"behind_script.{suffix}", script + data, _UNSUPPORTED)
        yield picture(f"named_wrongly_{suffix}.gif", data, OK, size_px=_SIZE)
    yield picture("gif_head.jpg", b"GIF89a" + encoded(face(), "JPEG"), _UNSUPPORTED)


def _fuzzed() -> Iterator[Entry]:
    image = face()
    seeds = (
        ("jpg", encoded(image, "JPEG", quality=85)),
        ("progressive.jpg", encoded(image, "JPEG", progressive=True, exif=Image.Exif())),
        ("png", encoded(image.resize((90, 108)), "PNG")),
        ("palette.png", encoded(image.convert("P"), "PNG")),
        ("webp", encoded(image, "WEBP")),
        ("alpha.webp", encoded(image.convert("RGBA"), "WEBP", lossless=True)),
    )
    for place, (suffix, data) in enumerate(seeds):
        damaged = mutations(data, count=_FUZZED_PER_SEED, seed=place)
        for number, mutant in enumerate(damaged):
            yield picture(f"fuzz_{number:03}.{suffix}", mutant, *PICTURE_OUTCOMES)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *, depth: int = 8, colours: int = 2) -> bytes:
    """A PNG that announces a size and has next to no pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")


def _png_rgb_16_bit(image: Image.Image) -> bytes:
    samples = np.asarray(image, dtype=">u2") * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _looping_exif() -> bytes:
    """A directory whose pointer to the next one points at itself."""
    directory = struct.pack(">H", 1) + struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    return b"Exif\0\0MM\0\x2a" + struct.pack(">I", 8) + directory


def _many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated two hundred times."""
    data = encoded(face().resize((800, 960)), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    return data[:-2] + scan * 200 + data[-2:]
