"""Source faces as keyed hashes: enough to tell that one came before, and nothing else.

A face's embedding is a direction. Secret planes cut space; on which side of some planes it lies is
hashed with a secret key to one token, and many such tokens are made. Two pictures of one person lie
on the same side of nearly all planes and so share many tokens; two people share almost none. The
tokens alone cannot be compared with a picture, nor turned back, without the key; and keys change
with every period, so that tokens of different times cannot be laid side by side either.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TOKENS_COUNT: Final = 128
_PLANES_PER_TOKEN: Final = 10
# Of 128 tokens: with a cosine of 0.8 thirteen are shared in the middle and with 0.5 two, and
# strangers share none in seven of eight pairs.
SHARED_MIN: Final = 7
_TOKEN_BYTES: Final = 8


def tokens_of(
    embedding: Floats, *, recogniser: str, key: bytes, at: dt.datetime, period_s: int
) -> tuple[list[int], list[int]]:
    """The tokens of a face, under the key of the current period and of the next one.

    Faces that are seen within one period of each other can so be compared, whenever it began:
    what was kept for the next period meets what is seen in it.

    Args:
        embedding: (D,) float32 of length 1.
        recogniser: key of the model it is of; those of different models are never alike.
        key: the secret.
        at: when the face was seen.
        period_s: how long a period is, in seconds.

    Returns:
        ``TOKENS_COUNT`` integers of 64 bits each, twice.
    """
    number = int(at.timestamp()) // period_s
    now, later = (
        _tokens(embedding, _period_key(key, recogniser, period)) for period in (number, number + 1)
    )
    return now, later


def _period_key(key: bytes, recogniser: str, period: int) -> bytes:
    return hmac.digest(key, f"faces:{recogniser}:{period}".encode(), hashlib.sha256)


def _tokens(embedding: Floats, key: bytes) -> list[int]:
    sides = _planes(key, embedding.shape[0]) @ embedding > 0
    bands: NDArray[np.uint8] = np.packbits(sides.reshape(TOKENS_COUNT, _PLANES_PER_TOKEN), axis=1)
    return [
        int.from_bytes(
            hmac.digest(key, number.to_bytes(2, "big") + band.tobytes(), hashlib.sha256)[
                :_TOKEN_BYTES
            ],
            "big",
            signed=True,
        )
        for number, band in enumerate(bands)
    ]


@lru_cache(maxsize=8)
def _planes(key: bytes, size: int) -> Floats:
    """(planes, D) float32 normals, the same for equal keys."""
    seed = int.from_bytes(hmac.digest(key, b"planes", hashlib.sha256), "big")
    draw = np.random.default_rng(seed)
    return draw.standard_normal((TOKENS_COUNT * _PLANES_PER_TOKEN, size), dtype=np.float32)
