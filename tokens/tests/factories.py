"""Builders for tests of the ledger."""

from __future__ import annotations

import itertools
import uuid

from accounts import services as accounts_services
from accounts.types import Role
from tokens import services
from tokens.types import RechargeItem, RechargeMode, RechargeReceipt, RechargeRequest

_serial = itertools.count(1)


def make_user(*, role=Role.USER, tokens: int = 0, user_ref: str | None = None):
    """An active user with ``tokens`` available."""
    user = accounts_services.register_user(
        username=f"user{next(_serial)}-{uuid.uuid4().hex[:6]}",
        password="a-long-test-password",
        user_ref=user_ref,
        role=role,
    )
    if tokens:
        recharge([user.user_ref], tokens, actor=user)
    return user


def recharge(
    refs: list[str],
    amount: int,
    *,
    actor,
    key: str | None = None,
    mode: RechargeMode = RechargeMode.ATOMIC,
) -> RechargeReceipt:
    """Credit ``amount`` to every reference."""
    return services.bulk_recharge(
        request=RechargeRequest(
            items=tuple(RechargeItem(ref, amount) for ref in refs),
            mode=mode,
            operator="test",
            reason="test",
        ),
        actor_id=actor.pk,
        idempotency_key=key or uuid.uuid4().hex,
    )
