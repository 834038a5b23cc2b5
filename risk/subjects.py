"""About whom rules decide at all."""

from __future__ import annotations

from accounts import selectors as accounts_selectors
from accounts.types import Role
from risk.models import RiskRule


def is_subject(*, rule: RiskRule, user_id: int) -> bool:
    """Whether the rule may decide about an account.

    Never about members of staff, whom people decide about, nor about sandboxes, whose tokens are
    worth nothing; nor about plans that the rule leaves out.
    """
    role = accounts_selectors.active_role(user_id=user_id)
    if role is not Role.USER or accounts_selectors.is_sandbox(user_id=user_id):
        return False
    return accounts_selectors.plan_of(user_id=user_id) not in rule.exempt_plans
