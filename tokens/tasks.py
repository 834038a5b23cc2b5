"""Celery entry points of the tokens app."""

from __future__ import annotations

import uuid

from celery import shared_task

from tokens import (
    approval_handlers,
    batch_handlers,
    draft_handlers,
    export_handlers,
    handlers,
    purge_handlers,
)


@shared_task(name="tokens.expire_holds", ignore_result=True)
def expire_holds(**_later: object) -> None:
    """Periodic: release overdue holds."""
    handlers.expire_holds()


@shared_task(name="tokens.expire_lots", ignore_result=True)
def expire_lots(**_later: object) -> None:
    """Periodic: post what has expired."""
    handlers.expire_lots()


@shared_task(name="tokens.expire_approvals", ignore_result=True)
def expire_approvals(**_later: object) -> None:
    """Periodic: end approval requests whose time has run out, with their batches; and changes."""
    approval_handlers.expire_approvals()
    approval_handlers.expire_policy_changes()


@shared_task(name="tokens.watch_balances", ignore_result=True)
def watch_balances(**_later: object) -> None:
    """Periodic: tell accounts whose balance fell below their alert."""
    handlers.watch_balances()


@shared_task(name="tokens.seal_ledger", ignore_result=True)
def seal_ledger(**_later: object) -> None:
    """Periodic: append what is complete to the hash chain."""
    handlers.seal_ledger()


@shared_task(name="tokens.reconcile_ledger", ignore_result=True)
def reconcile_ledger(**_later: object) -> None:
    """Daily: prove the books and sign the head of the chain."""
    handlers.reconcile_ledger()


@shared_task(
    name="tokens.apply_recharge_batch",
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)
def apply_recharge_batch(*, batch_id: str, **_later: object) -> None:
    """Apply one batch. Safe to deliver twice: the handler takes the batch's lease first."""
    batch_handlers.apply_recharge_batch(batch_id=uuid.UUID(batch_id))


@shared_task(name="tokens.requeue_recharge_batches", ignore_result=True)
def requeue_recharge_batches(**_later: object) -> None:
    """Periodic: send batches and drafts again whose message or worker was lost."""
    for batch_id in batch_handlers.unclaimed_batches():
        apply_recharge_batch.delay(batch_id=str(batch_id))
    for draft_id in draft_handlers.unchecked_drafts():
        check_recharge_draft.delay(draft_id=str(draft_id))


@shared_task(name="tokens.check_recharge_draft", ignore_result=True)
def check_recharge_draft(*, draft_id: str, **_later: object) -> None:
    """Judge the rows of a draft. Safe to deliver twice: the handler locks the draft first."""
    draft_handlers.check_draft(draft_id=uuid.UUID(draft_id))


@shared_task(name="tokens.purge_staged_rows", ignore_result=True)
def purge_staged_rows(**_later: object) -> None:
    """Daily: throw away the rows of batches that ended long ago, and those of old drafts."""
    purge_handlers.purge_staged_rows()
    draft_handlers.purge_drafts()


@shared_task(
    name="tokens.write_export",
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)
def write_export(*, export_id: str, **_later: object) -> None:
    """Write one export. Safe to deliver twice: the handler claims the row first."""
    export_handlers.write_export(export_id=uuid.UUID(export_id))


@shared_task(name="tokens.requeue_exports", ignore_result=True)
def requeue_exports(**_later: object) -> None:
    """Periodic: send exports again whose message or worker was lost."""
    for export_id in export_handlers.lost_exports():
        write_export.delay(export_id=str(export_id))


@shared_task(name="tokens.purge_exports", ignore_result=True)
def purge_exports(**_later: object) -> None:
    """Periodic: delete the files of exports whose time is over."""
    export_handlers.purge_exports()
