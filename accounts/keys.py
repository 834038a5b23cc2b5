"""The format of API keys: pure functions, no rows.

A key is ``ffk_live_`` or ``ffk_test_``, 32 random base62 characters (190 bits) and a CRC-32 of what
precedes it as 6 base62 characters. The checksum lets us and secret scanners refuse a mistyped key
without asking the database; it adds no secrecy.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from typing import Final

from django.conf import settings

FAMILY: Final = "ffk_"
PREFIX: Final = f"{FAMILY}live_"
TEST_PREFIX: Final = f"{FAMILY}test_"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH: Final = 32
_CHECKSUM_LENGTH: Final = 6
_LENGTH: Final = len(PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH


def generate(*, is_test: bool = False) -> str:
    """A new key, of a sandbox when ``is_test``."""
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    body = (TEST_PREFIX if is_test else PREFIX) + secret
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """True when length, prefix, alphabet and checksum are right."""
    if len(key) != _LENGTH or not key.startswith((PREFIX, TEST_PREFIX)) or not key.isascii():
        return False
    body, checksum = key[:-_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(_checksum(body), checksum)


def digest(key: str) -> str:
    """HMAC-SHA256 of the key under ``API_KEY_PEPPER``, 64 hex digits.

    A fast hash is enough: the key has 190 random bits, so there is nothing to guess.
    """
    return hmac.new(settings.API_KEY_PEPPER.encode(), key.encode(), hashlib.sha256).hexdigest()


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    letters = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, rest = divmod(value, len(_ALPHABET))
        letters = _ALPHABET[rest] + letters
    return letters
