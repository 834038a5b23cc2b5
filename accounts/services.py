"""What others may ask of accounts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import psycopg
import structlog
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import keys, selectors
from accounts.errors import (
    ApiKeyRequestInvalidError,
    PasswordRefusedError,
    UserExistsError,
    UserNotFoundError,
    UserRefInvalidError,
)
from accounts.models import ApiKey, User, generate_user_ref
from accounts.types import ROLE_SCOPES, STAFF_ROLES, USER_REF_PATTERN, IssuedKey, Role, Scope

log = structlog.get_logger(__name__)

_SYSTEM_PREFIX: Final = "system/"
_SCHEDULER: Final = f"{_SYSTEM_PREFIX}scheduler"
_USE_RESOLUTION: Final = timedelta(minutes=1)
_NAME_LENGTH_MAX: Final = 100


@transaction.atomic
def register_user(
    *,
    username: str | None,
    password: str | None,
    user_ref: str | None = None,
    role: Role = Role.USER,
    email: str = "",
) -> User:
    """Create an account. Joins the caller's transaction, or owns one.

    Args:
        username: the name for signing in; the ``user_ref`` when None.
        password: None makes an account nobody can sign in to with a password: an integrator's
            user that is reached through the integrator's own key.
        user_ref: the public id; drawn at random when None.
        role: what the user may do.
        email: optional contact.

    Raises:
        UserRefInvalidError: ``user_ref`` does not match ``USER_REF_PATTERN``.
        PasswordRefusedError: the validators in the settings refuse the password.
        UserExistsError: the user name or the ``user_ref`` is taken, or the name reserved.
    """
    if user_ref is None:
        user_ref = generate_user_ref()
    elif not re.fullmatch(USER_REF_PATTERN, user_ref):
        raise UserRefInvalidError(
            _("“%(user_ref)s” is not a valid user_ref.") % {"user_ref": user_ref},
            param="user_ref",
        )
    username = username or user_ref
    if username.startswith(_SYSTEM_PREFIX):
        raise UserExistsError(_("This user name is reserved."), param="username")
    _check_password(password, username=username, email=email)
    try:
        # The inner savepoint keeps the caller's transaction usable after a refused insert.
        with transaction.atomic():
            user = User.objects.create_user(username, email, password, user_ref=user_ref, role=role)
    except IntegrityError as error:
        param = _taken_field(error)
        raise UserExistsError(
            _("This %(field)s is taken.") % {"field": param}, param=param
        ) from error
    transaction.on_commit(partial(log.info, "accounts.user.registered", user_id=user.pk))
    return user


@transaction.atomic
def set_role(*, user_id: int, role: Role) -> None:
    """Change what a user may do; keys keep their scopes but are checked against the new role."""
    changed = User.objects.filter(pk=user_id).update(
        role=role, is_staff=role in STAFF_ROLES, is_superuser=role == Role.ADMIN
    )
    if not changed:
        raise UserNotFoundError(_("No such user."))
    transaction.on_commit(
        partial(log.info, "accounts.role.changed", user_id=user_id, role=role.value)
    )


def system_user() -> int:
    """Primary key of the account on record for what the platform does by itself.

    It is switched off, so that it can neither sign in, hold a key, vote, nor be recharged. Nobody
    can register its name.
    """
    user, _is_new = User.objects.get_or_create(
        username=_SCHEDULER,
        defaults={"password": make_password(None), "is_active": False},
    )
    return user.pk


@transaction.atomic
def issue_api_key(
    *,
    user_id: int,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Create a key for a user. Joins the caller's transaction, or owns one.

    The returned secret exists nowhere else: the row holds a keyed hash of it.

    Raises:
        UserNotFoundError: no active user has this id.
        ApiKeyRequestInvalidError: no name, no scope, a scope the role lacks, an expiry in the past.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise UserNotFoundError(_("No active user has this id."))
    _check_key_request(user=user, name=name, scopes=scopes, expires_at=expires_at)
    key = keys.generate()
    row = ApiKey.objects.create(
        user=user,
        name=name.strip(),
        key_hash=keys.digest(key),
        last4=key[-4:],
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    transaction.on_commit(
        partial(log.info, "accounts.api_key.issued", user_id=user.pk, api_key_id=str(row.pk))
    )
    return IssuedKey(key=key, id=row.pk)


@transaction.atomic
def revoke_api_key(*, key_id: uuid.UUID, user_id: int) -> None:
    """Withdraw one of the user's keys at once. Revoking twice keeps the first time.

    Raises:
        ApiKeyNotFoundError: the user has no such key.
    """
    key = selectors.api_key(key_id=key_id, user_id=user_id)
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    if changed:
        transaction.on_commit(
            partial(log.info, "accounts.api_key.revoked", user_id=user_id, api_key_id=str(key.pk))
        )


def note_key_use(*, key_id: uuid.UUID, last_used_at: datetime | None, now: datetime) -> None:
    """Remember that a key was used, to the minute: a busy key must not mean a write per request.

    ``last_used_at`` is what the caller has just read; of several requests at the same moment one
    writes.
    """
    if last_used_at is not None and last_used_at > now - _USE_RESOLUTION:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - _USE_RESOLUTION)
    ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=now)


def _taken_field(error: IntegrityError) -> str:
    """The field whose unique constraint refused the row; any other constraint is a bug."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.errors.UniqueViolation):
        raise error
    return "user_ref" if "user_ref" in (cause.diag.constraint_name or "") else "username"


def _check_password(password: str | None, *, username: str, email: str) -> None:
    if password is None:
        return
    try:
        validate_password(password, user=User(username=username, email=email))
    except ValidationError as error:
        raise PasswordRefusedError(
            " ".join(error.messages),
            param="password",
            errors=[
                {"pointer": "#/password", "code": str(e.code), "detail": " ".join(e.messages)}
                for e in error.error_list
            ],
        ) from error


def _check_key_request(
    *, user: User, name: str, scopes: Collection[str], expires_at: datetime | None
) -> None:
    if not 1 <= len(name.strip()) <= _NAME_LENGTH_MAX:
        raise ApiKeyRequestInvalidError(
            _("Give the key a name of 1 to 100 characters."), param="name"
        )
    if not scopes:
        raise ApiKeyRequestInvalidError(_("Name at least one scope."), param="scopes")
    allowed: frozenset[str] = ROLE_SCOPES[Role(user.role)]
    refused = sorted(set(scopes) - allowed)
    if refused:
        known = set(Scope.values)
        detail = (
            _("The user's role does not include: %(scopes)s.")
            if set(refused) <= known
            else _("There is no such scope, or the role lacks it: %(scopes)s.")
        )
        raise ApiKeyRequestInvalidError(detail % {"scopes": ", ".join(refused)}, param="scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise ApiKeyRequestInvalidError(_("The expiry lies in the past."), param="expires_at")


@transaction.atomic
def set_password(*, user_id: int, password: str) -> None:
    """Replace the password. Joins the caller's transaction, or owns one.

    Raises:
        UserNotFoundError: there is no such user.
        PasswordRefusedError: the validators in the settings refuse the password.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFoundError(_("No such user."))
    _check_password(password, username=user.username, email=user.email)
    user.set_password(password)
    user.save(update_fields=["password"])
