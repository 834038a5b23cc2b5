"""Builders for tests of recharges in preparation."""

from __future__ import annotations

from django.utils import timezone

from tokens import draft_handlers, services
from tokens.drafts import DraftTerms
from tokens.models import RechargeDraft
from tokens.types import Category, Funding, RechargeMode


def terms(**more) -> DraftTerms:
    """Promotional tokens that a campaign pays for; good lines go through."""
    return DraftTerms(
        **{
            "mode": RechargeMode.SOFT_FAIL,
            "amount": None,
            "category": Category.PROMO,
            "expires_at": None,
            "reason": "June",
            "funding": Funding.CAMPAIGN,
        }
        | more
    )


def checked(maker, text: str, *, name: str = "june.csv", **more) -> RechargeDraft:
    """A draft of a file, as it is when a worker has checked it."""
    draft_id = services.draft_from_file(maker_id=maker.pk, name=name, content=text.encode())
    return check(draft_id, maker, **more)


def check(draft_id, maker, **more) -> RechargeDraft:
    """Terms for a draft, and the work of the worker."""
    services.give_terms(draft_id=draft_id, maker_id=maker.pk, terms=terms(**more))
    draft_handlers.check_draft(draft_id=draft_id)
    return RechargeDraft.objects.get(pk=draft_id)


def submit(draft, *, maker=None, **more):
    """Sign what the draft has now, with a fresh second factor."""
    return services.submit_draft(
        **{
            "draft_id": draft.pk,
            "maker_id": draft.maker_id if maker is None else maker.pk,
            "batch_sha256": draft.batch_sha256,
            "second_factor_at": timezone.now(),
        }
        | more
    )
