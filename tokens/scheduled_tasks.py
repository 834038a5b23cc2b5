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

from accounts.types import Plan
from tokens import plan_selectors, services
from tokens.errors import GrantAmountError, GrantTotalError, RechargeBusyError
from tokens.plans import Cadence

log = structlog.get_logger(__name__)


@shared_task(name="tokens.grant_vip", ignore_result=True)
def grant_vip(**_later: object) -> None:
    """Periodic: the daily tokens of VIP accounts that have not had them today.

    Days that were missed are made up for, or only reported, as GRANT_MISSED_RUNS says. Accounts
    over the size of a batch are left to the next run.
    """
    if not plan_selectors.allowance(plan=Plan.VIP, cadence=Cadence.DAILY, day=_today()).tokens:
        return
    missed = services.missed_grant_days()
    if missed:
        log.warning("tokens.grant.missed", days=[day.isoformat() for day in missed])
    days = missed if settings.GRANT_MISSED_RUNS == "catch_up" else []
    for day in (*days, None):
        _run(partial(services.grant_vip, day=day))


@shared_task(name="tokens.grant_plan_cycles", ignore_result=True)
def grant_plan_cycles(**_later: object) -> None:
    """Periodic: the tokens of subscriptions that have begun a period.

    A missed run needs no making up: a period can be granted until it ends.
    """
    for plan in plan_selectors.cycle_plans(day=_today()):
        _run(partial(services.grant_plan_cycle, plan=plan))


def _run(grant: Callable[[], object]) -> None:
    try:
        grant()
    except GrantTotalError:
        # The service has reported it as an error; it stays so until somebody looks.
        return
    except RechargeBusyError:
        log.warning("tokens.grant.busy")
    except GrantAmountError:
        # Nothing to give on a day of the past, when another rule was in force.
        return


def _today() -> dt.date:
    return timezone.now().astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
