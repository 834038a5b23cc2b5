"""Who takes part: honest accounts and abusers, each with a key and some tokens."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Final

from accounts import services as accounts_services
from accounts.types import ROLE_SCOPES, Role
from tokens import services as tokens_services
from tokens.types import Category, LotTerms, RechargeItem, RechargeMode, RechargeRequest

TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who talks to the API; ``password`` is empty for who never signs in."""

    user_id: int
    user_ref: str
    username: str
    key: str
    password: str = ""


def make_operator() -> int:
    """Who credits tokens; the primary key."""
    operator = accounts_services.register_user(
        username="operator", password=None, role=Role.OPERATOR
    )
    return int(operator.pk)


def make_accounts(*, prefix: str, count: int, has_password: bool = False) -> list[Account]:
    """Register accounts with a key each."""
    found = []
    for number in range(count):
        password = secrets.token_urlsafe(12) if has_password else ""
        user = accounts_services.register_user(
            username=f"{prefix}-{number}", password=password or None
        )
        issued = accounts_services.issue_api_key(
            user_id=user.pk, name="red team", scopes=ROLE_SCOPES[Role.USER]
        )
        found.append(Account(user.pk, user.user_ref, user.username, issued.key, password))
    return found


def credit(
    accounts: list[Account], *, operator_id: int, tokens: int = TOKENS, is_gift: bool = False
) -> None:
    """Give accounts tokens, bought or as a gift."""
    terms = LotTerms(category=Category.PROMO if is_gift else Category.PAID)
    tokens_services.bulk_recharge(
        request=RechargeRequest(
            items=tuple(RechargeItem(it.user_ref, tokens, terms=terms) for it in accounts),
            mode=RechargeMode.ATOMIC,
            operator="red team",
            reason="red team",
        ),
        actor_id=operator_id,
        idempotency_key=uuid.uuid4().hex,
    )
