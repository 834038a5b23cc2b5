"""The audit trail: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structlog.contextvars import get_contextvars

from facefusion_site.common import idempotency
from tokens.ledger.locks import require_transaction
from tokens.models import AuditEvent


def record_event(
    *,
    actor_id: int | None,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    request_id: str = "",
) -> None:
    """Record a change of state, in the transaction that makes it.

    One insert. Numbers, texts, booleans and nested lists and mappings are kept as they are; ids
    and times must be given as text.

    Args:
        actor_id: primary key of the authenticated principal; None for the platform itself.
        action: what was done, dotted and past, such as ``recharge_batch.paused``.
        subject: what it was done to, such as ``recharge_batch:<uuid>``.
        before: the state before; None when the subject is new.
        after: the state after; None when the subject is gone.
        request_id: the request that asked for it; by default the one being served.

    Raises:
        RuntimeError: no transaction is open; the event could outlive a rolled-back change.
    """
    require_transaction()
    AuditEvent.objects.create(
        actor_id=actor_id,
        action=action,
        subject=subject,
        before=before,
        after=after,
        before_sha256="" if before is None else idempotency.fingerprint(before),
        after_sha256="" if after is None else idempotency.fingerprint(after),
        request_id=(request_id or str(get_contextvars().get("request_id", "")))[:64],
    )
