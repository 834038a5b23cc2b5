"""What rules find in jobs, tokens and sign-ins, and what is forgotten on time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import redis
import structlog
from django.conf import settings
from django.utils import timezone

from facefusion_site.common.activity import Activity
from risk import activities, counters, selectors, windows
from risk.models import FaceSighting, RiskMinute, RiskRule
from risk.services.decisions import decide, expire_decisions
from risk.types import LIVE_SIGNALS, MEASURES, Measure, Signal

log = structlog.get_logger(__name__)
_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_ROWS: Final = 5000


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one look found."""

    decided_count: int
    expired_count: int


def sweep(*, now: dt.datetime | None = None) -> Sweep:
    """Decide on everything that happened, and end decisions whose time is over.

    Owns its transactions. Two at once do no harm: decisions are made under the account's lock.
    """
    moment = now or timezone.now()
    expired_count = expire_decisions(now=moment)
    if not settings.RISK_ENABLED:
        return Sweep(decided_count=0, expired_count=expired_count)
    keep_minutes(now=moment)
    decided_count = sum(
        _look(rule, moment) for rule in selectors.active_rules() if rule.signal not in LIVE_SIGNALS
    )
    return Sweep(decided_count=decided_count, expired_count=expired_count)


def keep_minutes(*, now: dt.datetime) -> int:
    """Copy counted minutes from Redis, for tests of rules on history; returns how many rows.

    What is lost between the two is missing from history alone.
    """
    try:
        minutes = counters.ended_minutes(now=now)
    except (redis.RedisError, OSError) as error:
        log.warning("risk.minutes.unreachable", error=str(error))
        return 0
    RiskMinute.objects.bulk_create(
        [
            RiskMinute(user_id=it.user_id, minute=it.minute, signal=it.signal, value=it.value)
            for it in minutes
        ],
        batch_size=_ROWS,
        ignore_conflicts=True,
    )
    return len(minutes)


def forget_faces(*, now: dt.datetime | None = None) -> int:
    """Delete what tells source faces apart once its time is over; returns of how many."""
    due = FaceSighting.objects.filter(forget_at__lte=now or timezone.now())
    return due.update(tokens=[], forget_at=None)


def purge(*, now: dt.datetime | None = None) -> int:
    """Delete history that is older than RISK_HISTORY_DAYS; returns how many rows."""
    before = (now or timezone.now()) - dt.timedelta(days=settings.RISK_HISTORY_DAYS)
    sightings, _by_model = FaceSighting.objects.filter(seen_at__lt=before).delete()
    minutes, _by_model = RiskMinute.objects.filter(minute__lt=before).delete()
    return sightings + minutes


def _look(rule: RiskRule, moment: dt.datetime) -> int:
    window = activities.window_of(rule)
    since = moment - window.length
    found = activities.activities(rule=rule, since=since, until=moment)
    # Accounts that already were decided on still count as users of a face.
    if MEASURES[Signal(rule.signal)] is not Measure.USERS_OF_GROUP:
        found = _undecided(found, selectors.last_moments(rule_name=rule.name, since=since))
    decided = [
        decide(rule_id=rule.pk, crossing=crossing)
        for crossing in windows.crossings(found, window=window)
    ]
    return sum(it is not None for it in decided)


def _undecided(found: Iterator[Activity], last: dict[int, dt.datetime]) -> Iterator[Activity]:
    return (it for it in found if it.at > last.get(it.user_id, _NEVER))
