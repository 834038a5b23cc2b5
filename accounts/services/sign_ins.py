"""Sign-ins of programs: refresh tokens that work once, and what happens when one comes twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.contrib.auth.models import update_last_login
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import freeze_selectors
from accounts.errors import RefreshTokenReusedError, TokenInvalidError
from accounts.freeze_types import FreezeKind
from accounts.models import RefreshFamily, SignIn, User

log = structlog.get_logger(__name__)
FAMILY_CLAIM: Final = "family"


@transaction.atomic
def open_sign_in(*, user: User, address: str | None = None) -> RefreshToken:
    """The first refresh token of a new sign-in. Joins the caller's transaction, or owns one.

    Args:
        user: whose password was right.
        address: where the request came from.

    Raises:
        LoginFrozenError: the account may not sign in for now.
    """
    freeze_selectors.require_not_frozen(user=user, kind=FreezeKind.LOGIN)
    note_sign_in(user_id=user.pk, way=SignIn.Way.PROGRAM, address=address)
    # Whoever signs in again and again leaves no more behind than what can still be used.
    RefreshFamily.objects.filter(user=user, expires_at__lte=timezone.now()).delete()
    family = RefreshFamily(user=user)
    update_last_login(User, user)
    return _next_token(family, user)


def note_sign_in(*, user_id: int, way: str, address: str | None) -> None:
    """Remember for SIGN_INS_KEEP_DAYS that somebody signed in, on a PAGE or by a PROGRAM."""
    SignIn.objects.create(user_id=user_id, way=way, address=address)


def renew_sign_in(*, refresh: str) -> RefreshToken:
    """Exchange a refresh token for the next one of its sign-in. Owns its transaction.

    Raises:
        TokenInvalidError: it is wrong, expired or withdrawn, or its account is switched off.
        RefreshTokenReusedError: it was exchanged before; the whole sign-in is withdrawn.
        LoginFrozenError: the account may not sign in for now.
    """
    try:
        presented = RefreshToken(refresh)  # type: ignore[arg-type]  # takes the encoded text too
    except TokenError as error:
        raise _invalid() from error
    with transaction.atomic(durable=True):
        family = (
            RefreshFamily.objects.select_for_update(no_key=True, of=("self",))
            .select_related("user")
            .filter(pk=presented.get(FAMILY_CLAIM))
            .first()
        )
        if family is None or family.revoked_at is not None or not family.user.is_active:
            raise _invalid()
        freeze_selectors.require_not_frozen(user=family.user, kind=FreezeKind.LOGIN)
        if family.current_jti == presented["jti"]:
            return _next_token(family, family.user)
        family.revoked_at = timezone.now()
        family.save(update_fields=["revoked_at"])
    # After the commit: an error from inside would take the withdrawal back.
    log.warning("accounts.refresh_token.reused", user_id=family.user_id, family_id=str(family.pk))
    raise RefreshTokenReusedError(
        _("This refresh token was exchanged before, so its sign-in is no longer good.")
    )


def revoke_sign_ins(*, user_id: int) -> int:
    """Withdraw all sign-ins of programs of a user; returns how many there were.

    Access tokens that are out live on for their few minutes.
    """
    return RefreshFamily.objects.filter(user_id=user_id, revoked_at=None).update(
        revoked_at=timezone.now()
    )


def _next_token(family: RefreshFamily, user: User) -> RefreshToken:
    token = RefreshToken.for_user(user)
    assert isinstance(token, RefreshToken), "for_user makes a token of its own class"
    token[FAMILY_CLAIM] = str(family.pk)
    family.current_jti = token["jti"]
    lifetime: timedelta = settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]  # type: ignore[assignment]  # a dict of all kinds
    family.expires_at = timezone.now() + lifetime
    family.save()
    return token


def _invalid() -> TokenInvalidError:
    return TokenInvalidError(
        _("The refresh token is wrong or has expired, or its account is switched off.")
    )
