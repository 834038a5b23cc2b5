"""Sliding windows: what reaches a threshold, when, and what is counted after that."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from facefusion_site.common.activity import Activity
from risk import windows
from risk.types import Measure, Window

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
LENGTH = dt.timedelta(seconds=60)


def at(second: float) -> dt.datetime:
    return START + dt.timedelta(seconds=second)


def window(measure: Measure, *, threshold: int, floor: int = 1) -> Window:
    return Window(length=LENGTH, threshold=threshold, floor=floor, measure=measure)


def found(activities, measure: Measure, **terms: int):
    return [
        (it.user_id, int((it.at - START).total_seconds()), it.value)
        for it in windows.crossings(activities, window=window(measure, **terms))
    ]


def test_a_sum_is_reached_within_the_window_alone_and_begins_anew():
    slow = [Activity(1, at(second)) for second in range(0, 600, 30)]
    assert found(slow, Measure.SUM, threshold=3) == []
    fast = [Activity(1, at(second)) for second in range(0, 100, 10)]
    assert found(fast, Measure.SUM, threshold=4) == [(1, 30, 4), (1, 70, 4)]


def test_what_lies_a_whole_window_back_is_outside():
    assert found([Activity(1, at(0)), Activity(1, at(60))], Measure.SUM, threshold=2) == []
    assert found([Activity(1, at(0)), Activity(1, at(59.9))], Measure.SUM, threshold=2) != []


def test_groups_are_counted_once_and_the_most_of_one_by_itself():
    mixed = [Activity(1, at(n), group=str(n % 2)) for n in range(8)]
    assert found(mixed, Measure.GROUPS, threshold=3) == []
    assert found(mixed, Measure.GROUPS, threshold=2) == [(1, n, 2) for n in (1, 3, 5, 7)]
    assert found(mixed, Measure.MOST_OF_GROUP, threshold=4) == [(1, 6, 4)]


def test_accounts_of_a_group_are_told_once_each():
    mixed = [Activity(user, at(user), group="p") for user in (1, 2, 3, 3, 4)]
    assert found(mixed, Measure.USERS_OF_GROUP, threshold=3) == [
        (1, 3, 3),
        (2, 3, 3),
        (3, 3, 3),
        (4, 4, 4),
    ]


def test_a_share_needs_its_floor():
    ends = [Activity(1, at(n), amount=int(n != 0)) for n in range(10)]
    assert found(ends[:4], Measure.SHARE, threshold=80, floor=5) == []
    assert found(ends[:5], Measure.SHARE, threshold=80, floor=5) == [(1, 4, 80)]
    honest = [Activity(1, at(n), amount=n % 2) for n in range(40)]
    assert found(honest, Measure.SHARE, threshold=80, floor=5) == []


def test_a_share_of_a_grant_is_of_large_grants_alone():
    spent = [Activity(1, at(n), group="lot", amount=50, whole=200) for n in range(4)]
    assert found(spent, Measure.SHARE_OF_WHOLE, threshold=90, floor=200) == [(1, 3, 100)]
    assert found(spent, Measure.SHARE_OF_WHOLE, threshold=90, floor=201) == []


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30)), max_size=60),
    st.integers(1, 6),
)
def test_a_sum_is_that_of_a_recount(steps, threshold):
    """Whoever counts by hand, from the activity after the last decision on, finds the same."""
    activities, second = [], 0
    for user_id, pause in steps:
        second += pause
        activities.append(Activity(user_id, at(second)))
    expected = []
    begun: dict[int, int] = {}
    for number, it in enumerate(activities):
        mine = [
            other
            for other in activities[begun.get(it.user_id, 0) : number + 1]
            if other.user_id == it.user_id and other.at > it.at - LENGTH
        ]
        if len(mine) >= threshold:
            expected.append((it.user_id, int((it.at - START).total_seconds()), len(mine)))
            begun[it.user_id] = number + 1
    assert found(activities, Measure.SUM, threshold=threshold) == expected
