"""The signed statement of the chain's head.

Kept where the database's administrator cannot write, it shows whether the chain was replaced as a
whole or cut at its end, which the chain alone cannot. It is signed with HMAC-SHA256 under
LEDGER_STATEMENT_KEY: whoever holds the key, which the database does not, can check it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from tokens.models import SealBlock

FORMAT = 1


def make() -> dict[str, Any] | None:
    """The statement of the newest block with its signature; None while nothing is sealed."""
    head = SealBlock.objects.order_by("-number").first()
    if head is None:
        return None
    statement = {
        "format": FORMAT,
        "issuer": settings.PUBLIC_URL,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        **_describe(head),
    }
    return {"statement": statement, "key_id": _key_id(), "signature": _sign(statement)}


def find_faults(document: Mapping[str, Any]) -> list[str]:
    """What contradicts a statement; an empty list means that the chain still continues from it.

    Faults are stable names: ``malformed``, ``other_key``, ``signature_wrong``, ``block_missing``,
    ``block_differs``.
    """
    statement = document.get("statement")
    if not isinstance(statement, dict) or not isinstance(statement.get("block"), int):
        return ["malformed"]
    if document.get("key_id") != _key_id():
        return ["other_key"]
    if not hmac.compare_digest(str(document.get("signature", "")), _sign(statement)):
        return ["signature_wrong"]
    block = SealBlock.objects.filter(pk=statement["block"]).first()
    if block is None:
        return ["block_missing"]
    if any(statement.get(name) != value for name, value in _describe(block).items()):
        return ["block_differs"]
    return []


def write(*, folder: Path) -> Path | None:
    """Write today's statement into ``folder``; an older one of the same day is replaced."""
    document = make()
    if document is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ledger-{timezone.now():%Y-%m-%d}.json"
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def _describe(block: SealBlock) -> dict[str, Any]:
    sums = SealBlock.objects.filter(pk__lte=block.pk).aggregate(
        transfers=Sum("transfers_count"), tokens=Sum("tokens_total"), events=Sum("events_count")
    )
    return {
        "block": block.number,
        "hash": block.hash,
        "sealed_at": block.sealed_at.isoformat(timespec="microseconds"),
        "transfers": sums["transfers"],
        "tokens_moved": int(sums["tokens"]),
        "audit_events": sums["events"],
    }


def _sign(statement: Mapping[str, Any]) -> str:
    canonical = json.dumps(statement, sort_keys=True, separators=(",", ":"))
    return hmac.new(_key(), canonical.encode(), hashlib.sha256).hexdigest()


def _key_id() -> str:
    """Names the key without telling anything about it."""
    return hmac.new(_key(), b"name of this key", hashlib.sha256).hexdigest()[:16]


def _key() -> bytes:
    return str(settings.LEDGER_STATEMENT_KEY).encode()
