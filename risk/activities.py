"""What rules measure, read from where it is written down."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from accounts import activity_selectors as accounts_activity
from facefusion_site.common.activity import Activity
from inference import activity_selectors as inference_activity
from risk.models import FaceSighting, RiskMinute, RiskRule
from risk.types import LIVE_SIGNALS, MEASURES, SHARES, Signal, Window
from tokens import activity_selectors as tokens_activity

_CHUNK: Final = 2000


def window_of(rule: RiskRule) -> Window:
    """When a rule is met."""
    return Window(
        length=dt.timedelta(seconds=rule.window_s),
        threshold=rule.threshold,
        floor=rule.floor,
        measure=MEASURES[Signal(rule.signal)],
    )


def activities(*, rule: RiskRule, since: dt.datetime, until: dt.datetime) -> Iterator[Activity]:
    """Everything after ``since`` and up to ``until`` that the rule measures, in the order of time.

    Accounts that did too little to ever meet the rule may be left out.
    """
    signal, window = Signal(rule.signal), window_of(rule)
    if signal in LIVE_SIGNALS:
        return _minutes(signal, since, until)
    # Nobody reaches a threshold, or a share of so many, with fewer things than that.
    count_min = rule.floor if window.measure in SHARES else rule.threshold
    if signal is Signal.SIGN_IN_NETWORKS:
        return accounts_activity.sign_ins(since=since, until=until, count_min=count_min)
    if signal is Signal.REFUNDS:
        return inference_activity.ended_jobs(since=since, until=until, count_min=count_min)
    if signal is Signal.BLOCKED:
        return inference_activity.blocked_jobs(since=since, until=until, count_min=count_min)
    if signal is Signal.BURN:
        return tokens_activity.burned_grants(
            hold_ids=inference_activity.placed_holds(since=since, until=until),
            within=window.length,
            granted_min=rule.floor,
        )
    return _sightings(since, until)


def _minutes(signal: Signal, since: dt.datetime, until: dt.datetime) -> Iterator[Activity]:
    rows = RiskMinute.objects.filter(signal=signal, minute__gt=since, minute__lte=until)
    for user_id, minute, value in (
        rows.order_by("minute", "user_id")
        .values_list("user_id", "minute", "value")
        .iterator(chunk_size=_CHUNK)
    ):
        yield Activity(user_id=user_id, at=minute, amount=value)


def _sightings(since: dt.datetime, until: dt.datetime) -> Iterator[Activity]:
    rows = FaceSighting.objects.filter(seen_at__gt=since, seen_at__lte=until)
    for user_id, person, reference, at in (
        rows.order_by("seen_at", "pk")
        .values_list("user_id", "person", "reference", "seen_at")
        .iterator(chunk_size=_CHUNK)
    ):
        yield Activity(user_id=user_id, at=at, group=str(person), reference=reference)
