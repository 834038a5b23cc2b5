"""Free tokens of sandboxes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from django.conf import settings
from django.db import connection

from accounts import selectors as accounts_selectors
from tokens import selectors
from tokens.models import RechargeBatch
from tokens.recharge_orders import draft_batch, staged_template
from tokens.recharge_rows import StagedRow
from tokens.services.recharge import SANDBOX_SCOPE, create
from tokens.types import Balance, Category, LotTerms, RechargeMode, RechargeOrder

REASON = "sandbox refill"
_LOCK_SQL = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class _FullError(Exception):
    """Rolls a refill back that has nothing to add; never leaves this module."""


def refill_sandbox(*, owner_id: int) -> Balance:
    """Top the wallet of a sandbox up to SANDBOX_TOKENS that can be spent, as promotional tokens.

    Owns its transaction, so it must be the outermost one. The tokens come by a recharge batch like
    all others, with lot, journal, audit event and webhook. Of refills at the same moment one adds
    tokens and the others find the wallet full.

    Args:
        owner_id: primary key of a sandbox; of any other account, nothing is credited.

    Returns:
        The wallet afterwards.

    Raises:
        RechargeBusyError: the wallet could not be locked in time; nothing was credited.
    """
    order = RechargeOrder(
        mode=RechargeMode.SOFT_FAIL,
        reason=REASON,
        operator=SANDBOX_SCOPE,
        fingerprint="",
        terms=LotTerms(category=Category.PROMO),
    )
    with suppress(_FullError):
        create(
            draft=partial(_draft, order, owner_id=owner_id),
            rows=partial(_missing, order, owner_id=owner_id),
        )
    return selectors.balance(user_id=owner_id)


def _draft(order: RechargeOrder, *, owner_id: int) -> RechargeBatch:
    """What is missing decides, so the key only has to be one that no other refill has."""
    batch = draft_batch(order=order, actor_id=owner_id, idempotency_key=uuid.uuid4().hex)
    batch.key_scope = SANDBOX_SCOPE
    return batch


def _missing(order: RechargeOrder, *, owner_id: int) -> Iterator[StagedRow]:
    """The one row of a refill, in the transaction that applies it."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SQL, [f"{SANDBOX_SCOPE}:{owner_id}"])
    amount = settings.SANDBOX_TOKENS - selectors.balance(user_id=owner_id).available
    if amount <= 0:
        raise _FullError
    (user_ref,) = accounts_selectors.user_refs(ids=[owner_id]).values()
    yield staged_template(order=order, amount=amount)._replace(user_ref=user_ref)
