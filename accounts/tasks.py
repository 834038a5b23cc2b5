"""Celery entry points of the accounts app."""

from __future__ import annotations

from celery import shared_task

from accounts import handlers


@shared_task(
    name="accounts.deliver_webhooks", acks_late=True, reject_on_worker_lost=True, ignore_result=True
)
def deliver_webhooks(**_later: object) -> None:
    """Deliver what is due; also periodic. Safe to run many times at once: each try is claimed."""
    if handlers.deliver_webhooks():
        deliver_webhooks.apply_async()


@shared_task(name="accounts.lift_expired_freezes", ignore_result=True)
def lift_expired_freezes(**_later: object) -> None:
    """Periodic: end freezes whose time is over. Safe to run twice: each is read under its lock."""
    if handlers.lift_expired_freezes():
        deliver_webhooks.apply_async()


@shared_task(name="accounts.purge_sign_ins", ignore_result=True)
def purge_sign_ins(**_later: object) -> None:
    """Daily: forget sign-ins that are older than they are kept."""
    handlers.purge_sign_ins()


@shared_task(name="accounts.purge_webhooks", ignore_result=True)
def purge_webhooks(**_later: object) -> None:
    """Daily: throw away events that are older than they are kept."""
    handlers.purge_webhooks()
