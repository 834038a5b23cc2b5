"""Celery entry points that call services of tokens, as other interfaces do."""

from __future__ import annotations

from celery import shared_task

from inference import load_selectors
from tokens import services as tokens_services


@shared_task(name="inference.measure_price", ignore_result=True)
def measure_price(**_later: object) -> None:
    """Periodic: measure the load and decide the price of the next minute."""
    tokens_services.record_price(load=load_selectors.current_load())
