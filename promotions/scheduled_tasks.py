"""Celery entry points that call services, as other interfaces do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from promotions import selectors, services
from promotions.errors import CampaignBudgetError, CampaignOverError, PromotionStateError
from tokens.errors import GrantTotalError, RechargeBusyError

log = structlog.get_logger(__name__)


@shared_task(name="promotions.reward_creators", ignore_result=True)
def reward_creators(**_later: object) -> None:
    """Periodic: what the rules of rewards give for windows that are over.

    Windows before the last one were missed: they are made up for, or only reported, as
    GRANT_MISSED_RUNS says.
    """
    now = timezone.now()
    today = now.astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
    since = today - dt.timedelta(days=settings.GRANT_CATCH_UP_DAYS)
    for rule in selectors.active_rules(since=since):
        windows = services.due_windows(rule=rule, now=now)
        if settings.GRANT_MISSED_RUNS != "catch_up":
            windows = windows[-1:]
        for window in windows:
            _run(partial(services.reward_creators, rule=rule, window=window, now=now), rule.name)


@shared_task(name="promotions.run_campaigns", ignore_result=True)
def run_campaigns(**_later: object) -> None:
    """Periodic: the tokens of campaigns for whole segments that run now."""
    for campaign in selectors.running_campaigns(now=timezone.now()):
        if campaign.granted + campaign.tokens <= campaign.budget:
            _run(partial(services.run_campaign, campaign=campaign), campaign.name)


def _run(grant: Callable[[], object], name: str) -> None:
    try:
        grant()
    except GrantTotalError:
        # The service has reported it as an error; it stays so until somebody looks.
        return
    except (
        CampaignBudgetError,
        CampaignOverError,
        PromotionStateError,
        RechargeBusyError,
    ) as error:
        log.info("promotions.run.skipped", promotion=name, code=error.code)
