"""Ed25519 signatures of receipts: anybody who has the public key can check one, for ever.

The key follows from LEDGER_STATEMENT_KEY, which signs the statements of the ledger and is not in
the database. The statements' own HMAC would not do: whoever can check it can also forge it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE: Final = b"trust.erasure-receipt.1"
_SEED_BYTES: Final = 32
_KEY_ID_LENGTH: Final = 16


def sign(document: Mapping[str, Any]) -> str:
    """The signature of a document under the current key, in Base64."""
    return base64.b64encode(_private_key().sign(canonical(document))).decode()


def public_key() -> str:
    """The current public key: 32 raw bytes in Base64."""
    return base64.b64encode(_private_key().public_key().public_bytes_raw()).decode()


def key_id(*, key: str) -> str:
    """What a receipt names a public key by."""
    return hashlib.sha256(base64.b64decode(key)).hexdigest()[:_KEY_ID_LENGTH]


def known_keys() -> dict[str, str]:
    """Public keys that receipts may be signed with, by id: the current one, and former ones."""
    return {key_id(key=key): key for key in (public_key(), *settings.RECEIPT_FORMER_KEYS)}


def is_genuine(*, document: Mapping[str, Any], signature: str, key: str) -> bool:
    """Whether the owner of a public key signed exactly this document."""
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(raw, canonical(document))
    except (InvalidSignature, ValueError):
        return False
    return True


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: JSON with sorted keys and no spaces, in UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _private_key() -> Ed25519PrivateKey:
    return _derived(str(settings.LEDGER_STATEMENT_KEY))


@lru_cache(maxsize=4)
def _derived(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(SHA256(), _SEED_BYTES, None, _PURPOSE).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)
