"""Looks at the tables of an MP4 or QuickTime file before FFmpeg does, and refuses lying ones.

These containers count samples in runs: a file of a few kilobytes can announce billions, and a
demuxer that believes it fills the memory while it opens the file. Tables are searched for by name
instead of by structure: whatever way a demuxer may find one, it is seen here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from inference.pipeline.video.errors import UnreadableVideoError, VideoTooLongError

# What an index may hold in all: an hour at 60 frames a second with eight sound tracks fits.
ENTRIES_MAX: Final = 2_000_000
_HEADER: Final = struct.Struct(">I4s")
_LARGE: Final = struct.Struct(">Q")
_COUNT: Final = struct.Struct(">I")
_TOP_LEVEL_MAX: Final = 100_000
# Tables beyond this are not of a video within any sensible limits.
_TABLES_MAX_BYTES: Final = 128 * 1024 * 1024
_PADDING: Final = frozenset({b"free", b"skip", b"hoov", b"uuid"})
# Uncompressed sound is indexed by chunks of at least this many samples.
_CHUNK_SAMPLES: Final = 160


def check_tables(file: BinaryIO) -> None:
    """Refuse a file of the MP4 family whose tables announce more than any video has.

    Args:
        file: open for reading at any position; files of other formats pass.

    Raises:
        VideoTooLongError: more entries than ``ENTRIES_MAX``.
        UnreadableVideoError: tables that are compressed, larger than any video's, or behind an
            endless row of boxes.
    """
    entries = 0.0
    for kind, start, end in _top_level(file):
        file.seek(start)
        # Demuxers look for a lost index in padding too.
        if kind in _PADDING and file.read(8)[4:] not in {b"mvhd", b"cmov"}:
            continue
        if end - start > _TABLES_MAX_BYTES:
            raise UnreadableVideoError("the index of the video is absurdly large")
        file.seek(start)
        content = file.read(end - start)
        if b"cmov" in content:
            raise UnreadableVideoError("a compressed index is not supported")
        entries += _entries_count(content)
        if entries > ENTRIES_MAX:
            raise VideoTooLongError("the index of the video announces millions of frames")


def _top_level(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of every box of the file but the pictures and sounds."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(_TOP_LEVEL_MAX):
        file.seek(at)
        head = file.read(_HEADER.size + _LARGE.size)
        if len(head) < _HEADER.size:
            return
        length, kind = _HEADER.unpack_from(head)
        start = at + _HEADER.size
        if length == 1 and len(head) == _HEADER.size + _LARGE.size:
            length, start = _LARGE.unpack_from(head, _HEADER.size)[0], start + _LARGE.size
        end = size if length == 0 else min(at + length, size)
        # Other formats end here at the latest: their first bytes are no box that fits.
        if end < start or not all(32 <= letter < 127 for letter in kind):  # noqa: PLR2004 - ASCII
            return
        if kind != b"mdat":
            yield kind, start, end
        at = end
    raise UnreadableVideoError("the file is an endless row of boxes")


def _entries_count(content: bytes) -> float:
    """How many index entries a demuxer makes of the tables, at most."""
    entries = 0.0
    for fragment in _find(content, b"trun"):
        entries += fragment[0]
    movie_scale = max((scale for scale, _ in _clocks(content, b"mvhd")), default=1)
    for track in content.split(b"trak"):
        indexed = _indexed(track)
        if indexed:
            entries += indexed * _shown_times(track, movie_scale)
    return entries


def _indexed(track: bytes) -> float:
    """Index entries of a track, edits apart."""
    if not _is_by_chunk(track):
        names = (b"stsz", b"stz2")
        return max((rows[1] for name in names for rows in _find(track, name, words=2)), default=0)
    chunks = max((rows[0] for name in (b"stco", b"co64") for rows in _find(track, name)), default=0)
    samples = 0
    for table in _tables(track, b"stsc", ">III"):
        behind = [first for first, _, _ in table[1:]] + [chunks + 1]
        runs = zip(table, behind, strict=True)
        samples += sum(max(0, end - first) * count for (first, count, _), end in runs)
    return samples / _CHUNK_SAMPLES + chunks


def _is_by_chunk(track: bytes) -> bool:
    """Whether the track is uncompressed sound: every sample lasts one tick."""
    handlers = {track[at + 12 : at + 16] for at in _places(track, b"hdlr")}
    durations = [table for table in _tables(track, b"stts", ">II") if table]
    is_even = all(len(table) == 1 and table[0][1] == 1 for table in durations)
    return b"soun" in handlers and b"vide" not in handlers and bool(durations) and is_even


def _shown_times(track: bytes, movie_scale: int) -> float:
    """How often the edit list shows the track's samples: each edit at most all of them."""
    lengths = [ticks for table in _tables(track, b"elst", ">IiI") for ticks, _, _ in table]
    # Version 1 has wider columns; read as version 0 it gives more edits, never fewer.
    if len(lengths) <= 1:
        return 1
    wholes = [ticks / scale for scale, ticks in _clocks(track, b"mdhd") if ticks and scale]
    if not wholes:
        return len(lengths)
    return 1 + sum(min(1.0, ticks / max(1, movie_scale) / min(wholes)) for ticks in lengths)


def _clocks(content: bytes, name: bytes) -> list[tuple[int, int]]:
    """Ticks per second and duration in ticks, of every header box of this name."""
    clocks = []
    for at in _places(content, name):
        is_wide = content[at + 4 : at + 5] == b"\x01"
        form, offset = (">IQ", 24) if is_wide else (">II", 16)
        if at + offset + struct.calcsize(form) <= len(content):
            clocks.append(struct.unpack_from(form, content, at + offset))
    return clocks


def _find(content: bytes, name: bytes, *, words: int = 1) -> Iterator[tuple[int, ...]]:
    """The first words behind version and flags of every table of this name."""
    for at in _places(content, name):
        if at + 8 + 4 * words <= len(content):
            yield struct.unpack_from(f">{words}I", content, at + 8)


def _tables(content: bytes, name: bytes, form: str) -> Iterator[list[tuple[int, ...]]]:
    """The rows that are really there, of every table of this name."""
    size = struct.calcsize(form)
    for at in _places(content, name):
        start = at + 12
        if start > len(content):
            continue
        count = min(_COUNT.unpack_from(content, at + 8)[0], (len(content) - start) // size)
        yield list(struct.iter_unpack(form, content[start : start + count * size]))


def _places(content: bytes, name: bytes) -> Iterator[int]:
    at = content.find(name)
    while at >= 0:
        yield at
        at = content.find(name, at + 4)
