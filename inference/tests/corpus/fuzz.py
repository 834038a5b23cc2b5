"""Damages good files in repeatable ways."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_HEAD = 64
_ODD_VALUES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def mutations(data: bytes, *, count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged copies, the ways of damage taking turns."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable corpus
    for number in range(count):
        way = _WAYS[number % len(_WAYS)]
        yield bytes(way(bytearray(data), chance))


def _bytes_anywhere(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice((1, 3, 20))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return data


def _bytes_of_the_head(data: bytearray, chance: random.Random) -> bytearray:
    reach = min(len(data), chance.choice((_HEAD, 600, 2000)))
    for _ in range(chance.choice((1, 2, 6))):
        data[chance.randrange(reach)] = chance.choice(_ODD_VALUES)
    return data


def _bits(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice((1, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def _cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def _without_a_part(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    del data[start : start + chance.choice((1, 4, 64, 1000))]
    return data


def _twice_a_part(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    part = data[start : start + chance.choice((1, 4, 64, 1000))]
    return data[:start] + part + data[start:]


def _noise_inside(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    return data[:start] + bytearray(chance.randbytes(chance.choice((1, 16, 500)))) + data[start:]


def _zeros_inside(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    length = min(len(data) - start, chance.choice((4, 64, 1000)))
    data[start : start + length] = bytes(length)
    return data


def _large_numbers(data: bytearray, chance: random.Random) -> bytearray:
    """Sizes, counts and offsets sit on whole words near the start."""
    reach = min(len(data) - 4, chance.choice((_HEAD, 1000)))
    at = chance.randrange(reach)
    data[at : at + 4] = chance.choice(
        (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01")
    )
    return data


_WAYS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    _bytes_anywhere,
    _bytes_of_the_head,
    _bits,
    _cut,
    _without_a_part,
    _twice_a_part,
    _noise_inside,
    _zeros_inside,
    _large_numbers,
)
