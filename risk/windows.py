"""Sliding windows over what accounts did: the arithmetic of rules, without a database."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from facefusion_site.common.activity import Activity
from risk.types import Crossing, Measure, Window

_PERCENT: Final = 100
_REFERENCES_MAX: Final = 10


@dataclass(slots=True)
class _Track:
    """What is inside the window of one account, or of one group."""

    inside: deque[Activity] = field(default_factory=deque)
    total: int = 0
    by_group: Counter[str] = field(default_factory=Counter)
    by_user: Counter[int] = field(default_factory=Counter)

    def add(self, activity: Activity, window: Window) -> None:
        """Take one more in, and let go of what is too old beside it."""
        self.inside.append(activity)
        self._count(activity, +1)
        while self.inside[0].at <= activity.at - window.length:
            self._count(self.inside.popleft(), -1)

    def clear(self) -> None:
        """Begin anew: what a decision was made on is not counted again."""
        self.inside.clear()
        self.by_group.clear()
        self.by_user.clear()
        self.total = 0

    def _count(self, activity: Activity, sign: int) -> None:
        self.total += sign * activity.amount
        self.by_group[activity.group] += sign * activity.amount
        if not self.by_group[activity.group]:
            del self.by_group[activity.group]
        self.by_user[activity.user_id] += sign
        if not self.by_user[activity.user_id]:
            del self.by_user[activity.user_id]


def crossings(activities: Iterable[Activity], *, window: Window) -> Iterator[Crossing]:
    """Every time that an account reaches the threshold.

    Args:
        activities: in the order of time, of any number of accounts.
        window: when the threshold is reached. After that the account's count begins anew.

    Returns:
        One for each account and time; where accounts are counted, one for each of them that the
        group has not been reported with before.
    """
    value_of = _VALUES[window.measure]
    tracks: dict[object, _Track] = defaultdict(_Track)
    told: set[tuple[str, int]] = set()
    for activity in activities:
        by_group = window.measure is Measure.USERS_OF_GROUP
        track = tracks[activity.group if by_group else activity.user_id]
        track.add(activity, window)
        value = value_of(track, activity, window)
        if value < window.threshold:
            continue
        if by_group:
            users = [user for user in track.by_user if (activity.group, user) not in told]
            told.update((activity.group, user) for user in users)
            for user_id in users:
                yield _crossing(track, activity, value, user_id=user_id)
            continue
        yield _crossing(track, activity, value, user_id=activity.user_id)
        track.clear()


def _crossing(track: _Track, activity: Activity, value: int, *, user_id: int) -> Crossing:
    mine = [it for it in track.inside if it.user_id == user_id]
    references = [it.reference for it in mine if it.reference]
    return Crossing(
        user_id=user_id,
        at=activity.at,
        value=value,
        since=mine[0].at,
        count=len(mine),
        group=activity.group,
        references=tuple(references[-_REFERENCES_MAX:]),
    )


def _sum(track: _Track, _activity: Activity, _window: Window) -> int:
    return track.total


def _most_of_group(track: _Track, activity: Activity, _window: Window) -> int:
    return track.by_group[activity.group]


def _largest(track: _Track, _activity: Activity, _window: Window) -> int:
    return max(it.amount for it in track.inside)


def _groups(track: _Track, _activity: Activity, _window: Window) -> int:
    return len(track.by_group)


def _users(track: _Track, _activity: Activity, _window: Window) -> int:
    return len(track.by_user)


def _share(track: _Track, _activity: Activity, window: Window) -> int:
    count = len(track.inside)
    return _PERCENT * track.total // count if count >= window.floor else 0


def _share_of_whole(track: _Track, activity: Activity, window: Window) -> int:
    if activity.whole < max(1, window.floor):
        return 0
    return _PERCENT * track.by_group[activity.group] // activity.whole


_VALUES: Final[Mapping[Measure, Callable[[_Track, Activity, Window], int]]] = MappingProxyType(
    {
        Measure.SUM: _sum,
        Measure.MOST_OF_GROUP: _most_of_group,
        Measure.LARGEST: _largest,
        Measure.GROUPS: _groups,
        Measure.USERS_OF_GROUP: _users,
        Measure.SHARE: _share,
        Measure.SHARE_OF_WHOLE: _share_of_whole,
    }
)
