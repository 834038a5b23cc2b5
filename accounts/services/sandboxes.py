"""Sandboxes: the accounts that test keys act as."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.models import User

log = structlog.get_logger(__name__)
# Nobody can register a name that begins so.
_NAME_PREFIX: Final = "system/sandbox/"


def sandbox_of(*, user: User) -> User:
    """The sandbox of an account, made at its first use; a sandbox is its own.

    Joins the caller's transaction. Nobody can sign in to it: only test keys act as it.
    """
    if user.is_sandbox:
        return user
    sandbox, is_new = User.objects.get_or_create(
        sandbox_of=user,
        defaults={"username": f"{_NAME_PREFIX}{user.pk}", "password": make_password(None)},
    )
    if is_new:
        transaction.on_commit(
            partial(
                log.info, "accounts.sandbox.opened", user_id=user.pk, sandbox_user_id=sandbox.pk
            )
        )
    return sandbox
