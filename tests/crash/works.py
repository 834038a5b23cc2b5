"""What the processes of a trial do: the product's own steps, on a database of their own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from facefusion_site.celery import app
from tokens import services, tasks
from tokens.tests.recharges import order, source
from tokens.types import RechargeMode, ReversalOrder, ReversalPolicy

Row = tuple[str, int]


def apply(batch_id: uuid.UUID, **_more: object) -> None:
    """What a worker does with the message of one batch."""
    tasks.apply_recharge_batch(batch_id=str(batch_id))


def sweep(**_more: object) -> None:
    """The periodic sweep and, in this same process, the worker that gets its messages."""
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    tasks.requeue_recharge_batches()


def create(
    mode: str, rows: Sequence[Row], *, actor_id: int, key: str, **_more: object
) -> uuid.UUID:
    """What a request does that creates a batch."""
    return services.create_batch(
        order=order(mode), rows=source(rows), actor_id=actor_id, idempotency_key=key
    ).batch_id


def reverse(
    batch_id: uuid.UUID, mode: str, *, actor_id: int, key: str, **_more: object
) -> uuid.UUID:
    """What a request does that reverses a batch."""
    wanted = ReversalOrder(
        mode=RechargeMode(mode), policy=ReversalPolicy.REFUSE, reason="wrong", row_nos=None
    )
    return services.reverse_batch(
        batch_id=batch_id, order=wanted, actor_id=actor_id, idempotency_key=key
    ).batch_id
