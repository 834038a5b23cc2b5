"""Consents and reports as tests need them."""

from __future__ import annotations

from typing import Any

from trust import consent_texts, services
from trust.models import Consent, Takedown
from trust.types import ConsentKind, ConsentOrder, ConsentUse, TakedownOrder, TakedownReason


def consent(*, owner, **changes: Any) -> Consent:
    """A person's word for her own face, for every upload and use, unless ``changes`` say more."""
    wanted: dict[str, Any] = {
        "kind": ConsentKind.SELF,
        "uses": tuple(ConsentUse),
        "asset_ids": (),
        "text_version": consent_texts.VERSION,
        "language": "en",
    }
    order = ConsentOrder(**wanted | changes)
    return services.attest(owner_id=owner.pk, actor_id=owner.pk, order=order)


def report(**changes: Any) -> Takedown:
    wanted: dict[str, Any] = {
        "reason": TakedownReason.LIKENESS,
        "contact": "mia@example.com",
        "statement": "This is my face, and nobody asked me.",
        "sha256": "ab" * 32,
    }
    return services.report(order=TakedownOrder(**wanted | changes))
