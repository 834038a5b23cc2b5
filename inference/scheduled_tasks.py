"""Celery entry points that call services, as other interfaces do."""

from __future__ import annotations

from celery import shared_task

from inference import load_selectors, services
from tokens import services as tokens_services


@shared_task(name="inference.measure_price", ignore_result=True)
def measure_price(**_later: object) -> None:
    """Periodic: measure the load and decide the price of the next minute."""
    tokens_services.record_price(load=load_selectors.current_load())


@shared_task(name="inference.enforce_trust", ignore_result=True)
def enforce_trust(**_later: object) -> None:
    """Periodic: finish what revoked consents and blocked files left over."""
    services.enforce_trust()
