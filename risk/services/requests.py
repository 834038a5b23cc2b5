"""Requests are counted as they are answered, and rules about them decide at once."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Final

import redis
import structlog
from django.db import DatabaseError
from django.utils import timezone

from risk import counters, selectors
from risk.counters import Count
from risk.models import RiskRule
from risk.services.decisions import decide
from risk.types import LIVE_SIGNALS, Crossing, Signal

log = structlog.get_logger(__name__)
# How long a process goes by the rules it has read.
_RULES_TTL_S: Final = 15.0


class _LiveRules:
    """The active rules about requests, read now and then: not every request asks the database."""

    def __init__(self) -> None:
        self._rules: list[RiskRule] = []
        self._read_at: float | None = None

    def get(self) -> list[RiskRule]:
        """At most some seconds old."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > _RULES_TTL_S:
            self._rules = [it for it in selectors.active_rules() if it.signal in LIVE_SIGNALS]
            self._read_at = now
        return self._rules

    def forget(self) -> None:
        """Read them again at the next request."""
        self._read_at = None


live_rules = _LiveRules()


def note_request(*, counts: Sequence[Count]) -> None:
    """Count an answered request, and act where that reaches a threshold.

    Never raises what the database or Redis raise: an answer must not be lost to them.
    """
    try:
        rules = live_rules.get()
        values = counters.add(
            counts=counts,
            windows={(Signal(rule.signal), rule.window_s) for rule in rules},
        )
        for rule in rules:
            for count in counts:
                value = values.get((count.signal, rule.window_s), 0)
                if count.signal == rule.signal and value >= rule.threshold:
                    _decide(rule, count, value)
    except (redis.RedisError, OSError) as error:
        log.warning("risk.counters.unreachable", error=str(error))
    except DatabaseError:
        log.exception("risk.request.not_decided")


def _decide(rule: RiskRule, count: Count, value: int) -> None:
    now = timezone.now()
    crossing = Crossing(
        user_id=count.user_id,
        at=now,
        value=value,
        since=now - dt.timedelta(seconds=rule.window_s),
        count=value,
        group=count.scope,
    )
    decide(rule_id=rule.pk, crossing=crossing)
    # Whatever came of it: the next decision has to be earned anew, not asked for by each request.
    counters.forget(
        user_id=count.user_id, signal=count.signal, scope=count.scope, length_s=rule.window_s
    )
