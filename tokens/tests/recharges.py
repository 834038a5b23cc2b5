"""Builders for tests of recharge batches."""

from __future__ import annotations

import uuid

from tokens import batch_handlers, recharge_selectors, selectors, services
from tokens.recharge_rows import staged
from tokens.types import LotTerms, RechargeItem, RechargeMode, RechargeOrder, RechargeReceipt


def order(mode: str = "soft_fail", *, fingerprint: str = "f" * 64, **more) -> RechargeOrder:
    return RechargeOrder(
        mode=RechargeMode(mode), reason="why", operator="label", fingerprint=fingerprint, **more
    )


def source(items, *, terms: LotTerms = LotTerms()):  # noqa: B008  # a frozen value
    """A row source of ``(user_ref, amount[, key[, terms]])``."""
    return lambda: [staged(RechargeItem(*item), terms=terms) for item in items]


def create(items, *, actor, mode: str = "soft_fail", key: str | None = None, **more):
    return services.create_batch(
        order=order(mode, **more),
        rows=source(items),
        actor_id=actor.pk,
        idempotency_key=key or uuid.uuid4().hex,
    )


def work(receipt: RechargeReceipt) -> RechargeReceipt:
    """What a worker does with the batch; then the batch as it stands."""
    batch_handlers.apply_recharge_batch(batch_id=receipt.batch_id)
    return read(receipt)


def read(receipt: RechargeReceipt) -> RechargeReceipt:
    return recharge_selectors.recharge_receipt(batch_id=receipt.batch_id)


def codes(receipt: RechargeReceipt) -> list[str]:
    """The outcome of every line in the order of the request."""
    lines, cursor = recharge_selectors.recharge_lines(batch_id=receipt.batch_id, limit=200)
    assert cursor is None
    assert [line.row_no for line in lines] == list(range(1, len(lines) + 1))
    return [line.code for line in lines]


def available(user) -> int:
    return selectors.balance(user_id=user.pk).available
