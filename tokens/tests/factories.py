"""Builders for tests of the ledger."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid

from django.db import connection

from accounts import services as accounts_services
from accounts.types import Role
from tokens import services
from tokens.types import RechargeItem, RechargeMode, RechargeReceipt, RechargeRequest

_serial = itertools.count(1)
# A correction that grows an old lot, at a moment of the test's choice: services do neither.
CREDIT_ONE_SQL = """
WITH lot AS (
    UPDATE tokens_creditlot SET granted = granted + 1, available = available + 1
     WHERE id = (SELECT min(id) FROM tokens_creditlot) RETURNING id, wallet_id
), wallet AS (
    UPDATE tokens_wallet w SET available = w.available + 1
      FROM lot WHERE w.id = lot.wallet_id RETURNING w.owner_id
), adjustment AS (
    INSERT INTO tokens_adjustment (id, wallet_id, actor_id, amount, reason, available_before,
                                   available_after, key_scope, idempotency_key, request_fingerprint)
    SELECT gen_random_uuid(), lot.wallet_id, wallet.owner_id, 1, 'test', 0, 1, 'ADJUST',
           gen_random_uuid()::text, '' FROM lot, wallet RETURNING id
)
INSERT INTO tokens_transfer
       (kind, wallet_id, lot_id, debit, credit, amount, adjustment_id, effective_at)
SELECT 'CREDIT', lot.wallet_id, lot.id, 'ADJUSTMENT', 'WALLET', 1, adjustment.id,
       coalesce(%s, now()) FROM lot, adjustment
"""


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


def credit_one(*, effective_at: dt.datetime | None = None) -> None:
    """One token more in the oldest lot, taking effect now or at that moment."""
    with connection.cursor() as cursor:
        cursor.execute(CREDIT_ONE_SQL, [effective_at])
