"""Accounts of people and of the platform itself."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

import psycopg
import structlog
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.errors import (
    PasswordRefusedError,
    TimeZoneUnknownError,
    UserExistsError,
    UserNotFoundError,
    UserRefInvalidError,
)
from accounts.models import User, generate_user_ref
from accounts.services.sign_ins import revoke_sign_ins
from accounts.time_zones import is_time_zone
from accounts.types import STAFF_ROLES, USER_REF_PATTERN, Role

log = structlog.get_logger(__name__)
_SYSTEM_PREFIX: Final = "system/"
_SCHEDULER: Final = f"{_SYSTEM_PREFIX}scheduler"


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
def set_time_zone(*, user_id: int, time_zone: str) -> None:
    """Say where the user's days begin and end. Joins the caller's transaction, or owns one.

    Raises:
        TimeZoneUnknownError: the IANA database has no such name.
        UserNotFoundError: there is no such user.
    """
    if not is_time_zone(time_zone):
        raise TimeZoneUnknownError(
            _("“%(name)s” names no time zone.") % {"name": time_zone[:64]}, param="time_zone"
        )
    if not User.objects.filter(pk=user_id).update(time_zone=time_zone):
        raise UserNotFoundError(_("No such user."))


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
    revoke_sign_ins(user_id=user.pk)


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
