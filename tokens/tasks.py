"""Celery entry points of the tokens app."""

from __future__ import annotations

from celery import shared_task

from tokens import handlers


@shared_task(name="tokens.expire_holds", ignore_result=True)
def expire_holds(**_later: object) -> None:
    """Periodic: release overdue holds."""
    handlers.expire_holds()
