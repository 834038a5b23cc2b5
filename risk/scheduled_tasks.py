"""Celery entry points that call services, as other interfaces do."""

from __future__ import annotations

from celery import shared_task

from risk import services


@shared_task(name="risk.sweep", ignore_result=True)
def sweep(**_later: object) -> None:
    """Periodic: let rules look at jobs, tokens and sign-ins, and end what is over."""
    services.sweep()


@shared_task(name="risk.forget", ignore_result=True)
def forget(**_later: object) -> None:
    """Periodic: delete what tells source faces apart once its time is over."""
    services.forget_faces()


@shared_task(name="risk.purge", ignore_result=True)
def purge(**_later: object) -> None:
    """Periodic: delete history that no test of a rule looks at any more."""
    services.purge()
