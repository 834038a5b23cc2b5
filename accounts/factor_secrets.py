"""Secrets of authenticators as the database keeps them: encrypted, pure functions, no rows.

A stored secret is ``g1.<key id>.<base64url>`` of nonce, ciphertext and tag of AES-256-GCM. The
owner is authenticated with it, so a row copied to another user opens nothing. FACTOR_SECRET_KEYS
lists the keys: the first encrypts, all of them decrypt, so a key can be replaced while people go on
signing in. The column of django-otp has 80 characters; 20 bytes of secret take 76.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.errors import SecondFactorUnreadableError

log = structlog.get_logger(__name__)

SECRET_BYTES: Final = 20
_FORMAT: Final = "g1"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12


def seal(*, secret: bytes, user_id: int) -> str:
    """Encrypt ``secret`` (at most 20 bytes) for its owner under the first key."""
    if len(secret) > SECRET_BYTES:
        raise ValueError(f"a secret has at most {SECRET_BYTES} bytes")
    key_id, cipher = _cipher(settings.FACTOR_SECRET_KEYS[0])
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + cipher.encrypt(nonce, secret, _owner(user_id))
    return f"{_FORMAT}.{key_id}.{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"


def unseal(*, text: str, user_id: int) -> bytes:
    """Decrypt what ``seal`` made, under whichever of the keys it names.

    Raises:
        SecondFactorUnreadableError: its key is not among the settings, it belongs to another
            user, or it was changed.
    """
    try:
        return _unseal(text, user_id)
    except (ValueError, KeyError, binascii.Error, InvalidTag) as error:
        # Somebody took a key away or wrote to the table: people cannot mend either.
        log.exception("accounts.second_factor.unreadable", user_id=user_id)
        raise SecondFactorUnreadableError(
            _("Your authenticator cannot be checked at the moment.")
        ) from error


def is_current(*, text: str) -> bool:
    """Whether the first of the keys encrypts it."""
    key_id, _cipher_of_key = _cipher(settings.FACTOR_SECRET_KEYS[0])
    return text.startswith(f"{_FORMAT}.{key_id}.")


def _unseal(text: str, user_id: int) -> bytes:
    version, key_id, encoded = text.split(".")
    if version != _FORMAT:
        raise ValueError("of no known format")
    cipher = dict(_cipher(key) for key in settings.FACTOR_SECRET_KEYS)[key_id]
    sealed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _owner(user_id))


@lru_cache(maxsize=16)
def _cipher(key: str) -> tuple[str, AESGCM]:
    """The key's public id and its cipher; the settings hold random text of any length."""
    derivation = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, None, b"accounts.factor_secrets")
    derived = derivation.derive(key.encode())
    return derived[_KEY_BYTES:].hex(), AESGCM(derived[:_KEY_BYTES])


def _owner(user_id: int) -> bytes:
    return f"user:{user_id}".encode()
