"""Celery entry points that call services, as other interfaces do."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.conf import settings

from tokens import services
from tokens.errors import GrantTotalError, RechargeBusyError

log = structlog.get_logger(__name__)


@shared_task(name="tokens.grant_vip", ignore_result=True)
def grant_vip(**_later: object) -> None:
    """Periodic: the daily tokens of VIP accounts that have not had them today.

    Accounts over the size of a batch are left to the next run.
    """
    if not settings.VIP_GRANT_TOKENS:
        return
    try:
        services.grant_vip()
    except GrantTotalError:
        # The service has reported it as an error; it stays so until somebody looks.
        return
    except RechargeBusyError:
        log.warning("tokens.grant.busy")
