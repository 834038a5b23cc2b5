"""Who a session belongs to."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend

from accounts.freeze_types import FreezeKind
from accounts.models import User


class AccountBackend(ModelBackend):
    """Django's own, except that a session is nobody's while its user's sign-in is frozen.

    The password is still checked as ever: only who knows it is told about the freeze.
    """

    def get_user(self, user_id: int) -> User | None:
        """The user of a session; None ends what the session may do at its next request."""
        user = super().get_user(user_id)
        if not isinstance(user, User) or FreezeKind.LOGIN in user.frozen_kinds:
            return None
        return user
