"""Rate cards for tests: drafts, proposals, publication."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from accounts.types import Role
from tokens import services
from tokens.approvals import Ballot, VoteDecision
from tokens.models import RateCard
from tokens.price_types import Curve, OffPeak, RateCardDraft
from tokens.tests.approvals import make_staff

PRICES = {"image_swap": {"default": 2, "vip": 1}, "video_swap": {"default": 20}}
# Follows the load at once, so that two measurements are as good as an hour of them.
CURVE = Curve(
    floor_bp=8_000,
    cap_bp=30_000,
    smoothing_s=1,
    off_peak=(OffPeak(start_minute=120, end_minute=121),),
)


def draft(**changes) -> RateCardDraft:
    given: dict[str, Any] = {"note": "spring", "prices": PRICES, "curve": CURVE}
    return RateCardDraft(**given | changes)


def propose(maker, **changes) -> RateCard:
    card_id = services.propose_rate_card(
        actor_id=maker.pk, draft=draft(**changes), second_factor_at=timezone.now()
    )
    return RateCard.objects.get(pk=card_id)


def ballot(card, decision=VoteDecision.APPROVE, **changes) -> Ballot:
    given = {
        "decision": decision,
        "content_sha256": card.content_sha256,
        "comment": "",
        "second_factor_at": timezone.now(),
    }
    return Ballot(**given | changes)


def decide(card, checker, decision=VoteDecision.APPROVE, **changes) -> bool:
    return services.decide_rate_card(
        card_id=card.pk, checker_id=checker.pk, ballot=ballot(card, decision, **changes)
    )


def publish(*, wanted_from: dt.datetime | None = None, **changes) -> RateCard:
    """A card in force, by two pricing managers."""
    maker, checker = make_staff(2, role=Role.PRICING)
    card = propose(maker, wanted_from=wanted_from, **changes)
    decide(card, checker)
    card.refresh_from_db()
    return card
