from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.types import Role
from inference.tests import factories
from risk.models import RiskRule
from risk.services.requests import live_rules
from risk.starting_rules import STARTING_RULES
from risk.types import Action, Crossing, RuleState, Signal


@pytest.fixture(autouse=True)
def _engine(settings, tmp_path) -> Iterator[None]:
    settings.RISK_ENABLED = True
    settings.MEDIA_ROOT = tmp_path / "media"
    live_rules.forget()
    yield
    live_rules.forget()
    cache.clear()


@pytest.fixture
def rules(db) -> dict[str, RiskRule]:
    """The rules that come with the product, whether or not a test before has flushed them."""
    RiskRule.objects.bulk_create(
        [RiskRule(**it, version=1, state=RuleState.ACTIVE) for it in STARTING_RULES],
        ignore_conflicts=True,
    )
    return {it.name: it for it in RiskRule.objects.filter(state=RuleState.ACTIVE)}


@pytest.fixture
def analyst():
    return factories.make_user(role=Role.RISK)


def make_rule(**values) -> RiskRule:
    """An active rule, as if it had gone the whole way."""
    terms = {
        "name": f"rule-{uuid.uuid4().hex[:8]}",
        "version": 1,
        "title": "A rule of a test",
        "signal": Signal.BLOCKED,
        "window_s": 600,
        "threshold": 3,
        "action": Action.REVIEW,
        "state": RuleState.ACTIVE,
    }
    return RiskRule.objects.create(**terms | values)


def crossing(user, *, value: int = 9, back_s: float = 1.0) -> Crossing:
    now = timezone.now()
    return Crossing(
        user_id=user.pk,
        at=now,
        value=value,
        since=now - dt.timedelta(seconds=back_s),
        count=value,
        references=("swap_job:1",),
    )
