"""What a role must include to do something to the books."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError
from accounts.types import Scope


def require_duty(*, actor_id: int, scope: Scope) -> None:
    """Go on only for an active user whose role includes the scope. One query.

    Raises:
        RoleRequiredError: it does not.
    """
    if not accounts_selectors.active_may(user_id=actor_id, scopes=[scope]):
        raise RoleRequiredError(
            _("This needs a role that includes the scope %(scope)s.") % {"scope": scope.value},
            required_scope=scope.value,
        )
