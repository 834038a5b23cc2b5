"""Celery entry points that call services, as other interfaces do."""

from __future__ import annotations

import structlog
from celery import shared_task

from facefusion_site.common.errors import DomainError
from productions import selectors, services

log = structlog.get_logger(__name__)


@shared_task(name="productions.advance", ignore_result=True)
def advance(**_later: object) -> None:
    """Periodic: look after each production that has or awaits tokens."""
    for production_id in selectors.unsettled_ids():
        try:
            services.advance(production=selectors.production(production_id=production_id))
        except DomainError as error:
            log.info("productions.not_advanced", production_id=str(production_id), code=error.code)
