"""Receipts of erasure: written when bytes are gone, checked by anybody."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts import selectors as accounts_selectors
from trust import signing
from trust.models import ErasureReceipt
from trust.types import ErasedItem, ErasureScope

FORMAT: Final = "erasure-receipt-1"
_FIELDS: Final = frozenset({"format", "id", "account", "scope", "erased_at", "items", "key_id"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a receipt is ours and unchanged; ``fault`` says what is wrong, if anything."""

    is_genuine: bool
    fault: str = ""


@transaction.atomic
def issue_receipt(
    *, owner_id: int, scope: ErasureScope, items: Sequence[ErasedItem]
) -> ErasureReceipt:
    """Sign what was erased. Joins the caller's transaction, or owns one.

    Call it once the bytes are gone: a receipt promises that.
    """
    receipt_id = uuid.uuid4()
    key_id = signing.key_id(key=signing.public_key())
    document = {
        "format": FORMAT,
        "id": str(receipt_id),
        "account": accounts_selectors.user_refs(ids=[owner_id])[owner_id],
        "scope": scope.value,
        "erased_at": timezone.now().isoformat(),
        "items": [{**asdict(item), "id": str(item.id)} for item in items],
        "key_id": key_id,
    }
    return ErasureReceipt.objects.create(
        pk=receipt_id,
        owner_id=owner_id,
        scope=scope,
        items_count=len(items),
        document=document,
        key_id=key_id,
        signature=signing.sign(document),
    )


def verify_receipt(*, document: Mapping[str, Any], signature: str) -> Verdict:
    """Check a receipt by its signature alone: the database is not asked.

    The fault is ``malformed``, ``other_key`` or ``signature_wrong``.
    """
    if set(document) != _FIELDS or document.get("format") != FORMAT:
        return Verdict(is_genuine=False, fault="malformed")
    key = signing.known_keys().get(str(document["key_id"]))
    if key is None:
        return Verdict(is_genuine=False, fault="other_key")
    if not signing.is_genuine(document=document, signature=signature, key=key):
        return Verdict(is_genuine=False, fault="signature_wrong")
    return Verdict(is_genuine=True)
