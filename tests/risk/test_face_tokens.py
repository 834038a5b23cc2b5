"""Faces as keyed hashes: alike ones share tokens, strangers do not, and keys keep them apart."""

from __future__ import annotations

import datetime as dt

import numpy as np

from risk import face_tokens
from risk.face_tokens import SHARED_MIN

PERIOD_S = 86_400
NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
DRAW = np.random.default_rng(7)


def face() -> np.ndarray:
    vector = DRAW.standard_normal(128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def alike(vector: np.ndarray, cosine: float) -> np.ndarray:
    """Another picture: a direction with this cosine to the first."""
    other = face()
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return cosine * vector + np.float32(np.sqrt(1 - cosine**2)) * other


def tokens(vector, *, at=NOON, key=b"a", recogniser="sface"):
    return face_tokens.tokens_of(vector, recogniser=recogniser, key=key, at=at, period_s=PERIOD_S)


def shared(one, other) -> int:
    return len(set(one) & set(other))


def test_other_pictures_of_a_face_are_recognised_and_strangers_are_not():
    base = [face() for _ in range(40)]
    kept = [tokens(it)[0] for it in base]
    again = [shared(tokens(alike(it, 0.85))[0], own) for it, own in zip(base, kept, strict=True)]
    assert sum(count >= SHARED_MIN for count in again) >= 38
    strangers = [shared(one, other) for n, one in enumerate(kept) for other in kept[n + 1 :]]
    assert max(strangers) < SHARED_MIN
    lookalikes = [
        shared(tokens(alike(it, 0.4))[0], own) for it, own in zip(base, kept, strict=True)
    ]
    assert sum(count >= SHARED_MIN for count in lookalikes) <= 1


def test_a_face_meets_itself_across_midnight_and_not_a_period_later():
    vector = face()
    _now, later = tokens(vector)
    tomorrow, _after = tokens(vector, at=NOON + dt.timedelta(days=1))
    assert later == tomorrow
    next_week = tokens(vector, at=NOON + dt.timedelta(days=7))
    assert all(shared(one, other) == 0 for one in tokens(vector) for other in next_week)


def test_without_the_key_nothing_can_be_compared():
    vector = face()
    assert shared(tokens(vector)[0], tokens(vector, key=b"b")[0]) == 0
    assert shared(tokens(vector)[0], tokens(vector, recogniser="other")[0]) == 0
