"""Celery entry points of the tokens app."""

from __future__ import annotations

from celery import shared_task

from tokens import handlers


@shared_task(name="tokens.expire_holds", ignore_result=True)
def expire_holds(**_later: object) -> None:
    """Periodic: release overdue holds."""
    handlers.expire_holds()


@shared_task(name="tokens.seal_ledger", ignore_result=True)
def seal_ledger(**_later: object) -> None:
    """Periodic: append what is complete to the hash chain."""
    handlers.seal_ledger()


@shared_task(name="tokens.reconcile_ledger", ignore_result=True)
def reconcile_ledger(**_later: object) -> None:
    """Daily: prove the books and sign the head of the chain."""
    handlers.reconcile_ledger()
