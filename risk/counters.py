"""Counts of requests in Redis: windows that decide at once, and minutes that are kept.

Everything here may be lost with Redis: a window then begins anew, and a minute is not kept.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches

from risk.types import Signal

_MINUTE_S: Final = 60
# Minutes that nobody has copied yet live this long.
_MINUTE_TTL_S: Final = 3600
_PREFIX: Final = "risk"
# What is counted as a number of different things.
_DISTINCT: Final = frozenset({Signal.KEY_NETWORKS, Signal.MISSING})


@dataclass(frozen=True, slots=True)
class Count:
    """One thing that a request adds to the counts of an account.

    Attributes:
        signal: what is counted.
        user_id: whose request.
        thing: what counts once, however often: a network, a path; empty where each counts.
        scope: whose things they are within the account, such as a key.
    """

    signal: Signal
    user_id: int
    thing: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Minute:
    """What an account did in one minute."""

    minute: dt.datetime
    signal: Signal
    user_id: int
    value: int


def add(*, counts: Sequence[Count], windows: Iterable[tuple[Signal, int]]) -> dict[Any, int]:
    """Count a request in every window that a rule looks at. One round trip.

    Numbers of requests are of sliding windows, by the share of the last fixed one that still lies
    inside; numbers of different things are exact.

    Args:
        counts: what it adds.
        windows: signal and length in seconds.

    Returns:
        By signal and length the value with this request.

    Raises:
        redis.RedisError: the server does not answer.
    """
    now = time.time()
    wanted = [
        (count, length_s)
        for count in counts
        for signal, length_s in windows
        if signal == count.signal
    ]
    pipe = _redis().pipeline(transaction=False)
    for count, length_s in wanted:
        (_add_thing if count.signal in _DISTINCT else _add_one)(pipe, count, length_s, now)
    for count in counts:
        if count.signal not in _DISTINCT:
            pipe.hincrby(_minute_key(now), f"{count.signal}:{count.user_id}", 1)
    pipe.expire(_minute_key(now), _MINUTE_TTL_S)
    answers = iter(pipe.execute())
    values = {
        (count.signal, length_s): (
            _thing_value(answers)
            if count.signal in _DISTINCT
            else _one_value(answers, length_s, now)
        )
        for count, length_s in wanted
    }
    _keep_largest(values, counts, now)
    return values


def forget(*, user_id: int, signal: Signal, scope: str, length_s: int) -> None:
    """Begin a window of an account anew.

    Raises:
        redis.RedisError: the server does not answer.
    """
    count = Count(signal, user_id, scope=scope)
    now = time.time()
    keys = [_set_key(count, length_s)]
    keys += [_window_key(count, length_s, int(now // length_s) - back) for back in (0, 1)]
    _redis().delete(*keys)


def ended_minutes(*, now: dt.datetime) -> list[Minute]:
    """The minutes that are over and were not taken before.

    Raises:
        redis.RedisError: the server does not answer.
    """
    current = int(now.timestamp()) // _MINUTE_S
    numbers = range(current - _MINUTE_TTL_S // _MINUTE_S, current)
    with _redis().pipeline(transaction=True) as pipe:
        for number in numbers:
            pipe.hgetall(f"{_PREFIX}:minute:{number}")
            pipe.delete(f"{_PREFIX}:minute:{number}")
        answers = pipe.execute()
    found = []
    for number, values in zip(numbers, answers[::2], strict=True):
        minute = dt.datetime.fromtimestamp(number * _MINUTE_S, tz=dt.UTC)
        for name, value in values.items():
            signal, _colon, user_id = name.decode().partition(":")
            found.append(Minute(minute, Signal(signal), int(user_id), int(value)))
    return found


def _add_one(pipe: Any, count: Count, length_s: int, now: float) -> None:
    number = int(now // length_s)
    pipe.incr(_window_key(count, length_s, number))
    pipe.expire(_window_key(count, length_s, number), 2 * length_s)
    pipe.get(_window_key(count, length_s, number - 1))


def _one_value(answers: Any, length_s: int, now: float) -> int:
    current, _expire, last = next(answers), next(answers), next(answers)
    inside = 1 - now % length_s / length_s
    return int(current) + int(int(last or 0) * inside)


def _add_thing(pipe: Any, count: Count, length_s: int, now: float) -> None:
    key = _set_key(count, length_s)
    pipe.zadd(key, {count.thing: now})
    pipe.zremrangebyscore(key, 0, now - length_s)
    pipe.zcard(key)
    pipe.expire(key, length_s)


def _thing_value(answers: Any) -> int:
    _added, _removed, size, _expire = (next(answers) for _ in range(4))
    return int(size)


def _keep_largest(values: dict[Any, int], counts: Sequence[Count], now: float) -> None:
    """Of different things a minute keeps the largest number; written only where it says a lot."""
    for count in counts:
        sizes = [value for (signal, _), value in values.items() if signal == count.signal]
        if count.signal in _DISTINCT and sizes and max(sizes) > 1:
            _redis().hset(_minute_key(now), f"{count.signal}:{count.user_id}", max(sizes))


def _minute_key(now: float) -> str:
    return f"{_PREFIX}:minute:{int(now) // _MINUTE_S}"


def _window_key(count: Count, length_s: int, number: int) -> str:
    return f"{_PREFIX}:{count.signal}:{count.user_id}:{length_s}:{number}"


def _set_key(count: Count, length_s: int) -> str:
    return f"{_PREFIX}:{count.signal}:{count.user_id}:{count.scope}:{length_s}"


def _redis() -> Any:
    """The client of Django's cache server, for what the cache itself does not offer."""
    cache: Any = caches[settings.RATELIMIT_USE_CACHE]
    return cache._cache.get_client(None, write=True)  # noqa: SLF001  # there is no public way
