"""Secrets of authenticators as the database keeps them: encrypted for their owner.

See ``sealing`` for the format. The column of django-otp has 80 characters; 20 bytes of secret take
76.
"""

from __future__ import annotations

from typing import Final

import structlog
from django.utils.translation import gettext_lazy as _

from accounts import sealing
from accounts.errors import SecondFactorUnreadableError

log = structlog.get_logger(__name__)

SECRET_BYTES: Final = 20
_PURPOSE: Final = "accounts.factor_secrets"


def seal(*, secret: bytes, user_id: int) -> str:
    """Encrypt ``secret`` (at most 20 bytes) for its owner under the first key."""
    if len(secret) > SECRET_BYTES:
        raise ValueError(f"a secret has at most {SECRET_BYTES} bytes")
    return sealing.seal(secret=secret, purpose=_PURPOSE, owner=_owner(user_id))


def unseal(*, text: str, user_id: int) -> bytes:
    """Decrypt what ``seal`` made, under whichever of the keys it names.

    Raises:
        SecondFactorUnreadableError: its key is not among the settings, it belongs to another
            user, or it was changed.
    """
    try:
        return sealing.unseal(text=text, purpose=_PURPOSE, owner=_owner(user_id))
    except sealing.UnreadableError as error:
        # Somebody took a key away or wrote to the table: people cannot mend either.
        log.exception("accounts.second_factor.unreadable", user_id=user_id)
        raise SecondFactorUnreadableError(
            _("Your authenticator cannot be checked at the moment.")
        ) from error


def is_current(*, text: str) -> bool:
    """Whether the first of the keys encrypts it."""
    return sealing.is_current(text=text, purpose=_PURPOSE)


def _owner(user_id: int) -> str:
    return f"user:{user_id}"
