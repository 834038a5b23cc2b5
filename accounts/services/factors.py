"""Second factors of others: taken away by staff when a device is lost."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import second_factor, selectors
from accounts.errors import RoleRequiredError, UserNotFoundError
from accounts.models import User
from accounts.models.freezes import REASON_LENGTH_MAX
from accounts.services.sign_ins import revoke_sign_ins
from accounts.types import ROLE_SCOPES, Scope
from facefusion_site.common import audit
from facefusion_site.common.errors import InvalidRequestError


@transaction.atomic
def reset_second_factor(*, user_id: int, reason: str, actor_id: int) -> None:
    """Remove a user's authenticator, recovery codes and proofs, and end its sign-ins of programs.

    Joins the caller's transaction, or owns one. The interface has asked for the second factor of
    whoever does it.

    Args:
        user_id: whose.
        reason: 1 to 255 characters, kept in the audit trail.
        actor_id: a member of staff whose role changes accounts, and never the user itself: who has
            taken over a session must not get rid of what stops it.

    Raises:
        InvalidRequestError: no reason, or a longer one.
        RoleRequiredError: the actor's role may not, or it is the actor's own.
        UserNotFoundError: there is no such user.
    """
    words = reason.strip()
    if not 1 <= len(words) <= REASON_LENGTH_MAX:
        raise InvalidRequestError(_("Give a reason of 1 to 255 characters."), param="reason")
    role = selectors.active_role(user_id=actor_id)
    if role is None or Scope.ACCOUNTS_WRITE not in ROLE_SCOPES[role] or actor_id == user_id:
        raise RoleRequiredError(_("Another administrator has to reset this second factor."))
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFoundError(_("No such user."))
    before = second_factor.state(user_id=user_id)
    second_factor.reset(user_id=user_id)
    revoke_sign_ins(user_id=user_id)
    audit.record(
        actor_id=actor_id,
        action="user.second_factor_reset",
        subject=f"user:{user.user_ref}",
        before={
            "is_enrolled": before.is_enrolled,
            "recovery_codes_left": before.recovery_codes_left,
        },
        after={"is_enrolled": False, "recovery_codes_left": 0, "reason": words},
    )
