"""Secrets as the database keeps them: encrypted, pure functions, no rows.

A sealed secret is ``g1.<key id>.<base64url>`` of nonce, ciphertext and tag of AES-256-GCM. What it
is for and whom it belongs to are authenticated with it: the first by a key of its own, the second
as associated data, so a row copied to another owner or column opens nothing. The first of
FACTOR_SECRET_KEYS encrypts, all of them decrypt, so a key can be replaced while work goes on.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_FORMAT: Final = "g1"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12


class UnreadableError(Exception):
    """None of the keys opens it: one was taken away, or the row was written by somebody else."""


def seal(*, secret: bytes, purpose: str, owner: str) -> str:
    """Encrypt ``secret`` for its owner under the first key."""
    key_id, cipher = _cipher(settings.FACTOR_SECRET_KEYS[0], purpose)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + cipher.encrypt(nonce, secret, owner.encode())
    return f"{_FORMAT}.{key_id}.{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"


def unseal(*, text: str, purpose: str, owner: str) -> bytes:
    """Decrypt what ``seal`` made, under whichever of the keys it names.

    Raises:
        UnreadableError: its key is not among the settings, its owner or purpose is another, or it
            was changed.
    """
    try:
        return _unseal(text, purpose, owner)
    except (ValueError, KeyError, binascii.Error, InvalidTag) as error:
        raise UnreadableError from error


def is_current(*, text: str, purpose: str) -> bool:
    """Whether the first of the keys encrypts it."""
    key_id, _cipher_of_key = _cipher(settings.FACTOR_SECRET_KEYS[0], purpose)
    return text.startswith(f"{_FORMAT}.{key_id}.")


def _unseal(text: str, purpose: str, owner: str) -> bytes:
    version, key_id, encoded = text.split(".")
    if version != _FORMAT:
        raise ValueError("of no known format")
    cipher = dict(_cipher(key, purpose) for key in settings.FACTOR_SECRET_KEYS)[key_id]
    padded = encoded + "=" * (-len(encoded) % 4)
    sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())


@lru_cache(maxsize=32)
def _cipher(key: str, purpose: str) -> tuple[str, AESGCM]:
    """The key's public id and its cipher; the settings hold random text of any length."""
    derivation = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, None, purpose.encode())
    derived = derivation.derive(key.encode())
    return derived[_KEY_BYTES:].hex(), AESGCM(derived[:_KEY_BYTES])
