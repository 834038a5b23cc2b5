"""The accounts of the demo: an administrator, an operator and two users."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts import selectors, services
from accounts.errors import UserNotFoundError
from accounts.types import ROLE_SCOPES, Role

ROLES: Final = {
    "demo-admin": Role.ADMIN,
    "demo-operator": Role.OPERATOR,
    "alice": Role.USER,
    "bob": Role.USER,
}
KEY_LIFE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in with ``user_ref`` and ``password``, and call the API with a key."""

    user_ref: str
    password: str
    api_key: str


def provide(*, password_file: Path) -> dict[str, Person]:
    """Create what is missing and issue a fresh key for everybody, by ``user_ref``.

    Passwords are random, made once, and kept in ``password_file`` (readable by its owner alone),
    so that a second demo prints the same ones.
    """
    passwords = _passwords(password_file)
    return {ref: _provide(ref, role, passwords[ref]) for ref, role in ROLES.items()}


def _passwords(file: Path) -> dict[str, str]:
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = {ref: secrets.token_urlsafe(12) for ref in ROLES if ref not in known}
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(known | missing, indent=1))
    return known | missing


@transaction.atomic(durable=True)
def _provide(user_ref: str, role: Role, password: str) -> Person:
    try:
        user = selectors.user_by_ref(user_ref=user_ref)
    except UserNotFoundError:
        user = services.register_user(
            username=user_ref, password=password, user_ref=user_ref, role=role
        )
    else:
        services.set_password(user_id=user.pk, password=password)
    issued = services.issue_api_key(
        user_id=user.pk,
        name="demo",
        scopes=ROLE_SCOPES[role],
        expires_at=timezone.now() + KEY_LIFE,
    )
    return Person(user_ref=user_ref, password=password, api_key=issued.key)
