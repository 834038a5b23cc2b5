"""What applies to all rows of a recharge, as a batch, a template of a row and a digest need it."""

from __future__ import annotations

from tokens.models import RechargeBatch
from tokens.recharge_rows import StagedRow, iso
from tokens.types import RechargeOrder

CREATE_SCOPE = "create"


def header(batch: RechargeBatch) -> dict[str, str]:
    """What the content digest covers beside the rows.

    What batches could not say of old is left out while it says nothing, so that the digests of
    then stay as they were.
    """
    said_since = {"funding": batch.funding, "ticket": batch.ticket}
    return {name: value for name, value in said_since.items() if value} | {
        "mode": batch.mode,
        "operator": batch.operator,
        "reason": batch.reason,
        "reverses": str(batch.reverses_id or ""),
        "reversal_policy": batch.reversal_policy,
    }


def staged_template(*, order: RechargeOrder, amount: int) -> StagedRow:
    """A row for nobody, with the terms of the order."""
    from_terms = order.terms
    return StagedRow(
        user_ref="",
        amount=amount,
        key="",
        category=from_terms.category.name,
        priority=from_terms.priority,
        effective_at=iso(from_terms.effective_at),
        expires_at=iso(from_terms.expires_at),
    )


def draft_batch(
    *, order: RechargeOrder, actor_id: int | None, idempotency_key: str
) -> RechargeBatch:
    """The unsaved batch of an order; nobody's where it is only looked at."""
    batch = RechargeBatch(
        operator=order.operator,
        reason=order.reason,
        mode=RechargeBatch.Mode[order.mode.name],
        source=RechargeBatch.Source[order.source.name],
        key_scope=CREATE_SCOPE,
        idempotency_key=idempotency_key,
        request_fingerprint=order.fingerprint,
        category=order.terms.category.name,
        priority=order.terms.priority,
        effective_at=order.terms.effective_at,
        expires_at=order.terms.expires_at,
        funding="" if order.funding is None else order.funding.name,
        ticket=order.ticket,
    )
    if actor_id is not None:
        batch.actor_id = actor_id
    return batch
