"""Rows of rate cards and of the kill switch: propose, decide, recall, try, stop.

The database repeats in a trigger that one person proposes and another publishes, and that what was
proposed does not change.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any, Final

from django.db import connection
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common import idempotency
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.models import PriceStop, RateCard
from tokens.price_errors import RateCardClosedError, RateCardNotFoundError
from tokens.price_types import RateCardDraft

# Cards are numbered and published one after the other.
CARD_LOCK: Final = 4_203
Status = RateCard.Status


def queue_up() -> None:
    """Wait until no other transaction numbers or publishes cards."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CARD_LOCK])


def newest_published() -> int:
    """The highest version that was published, in force or not yet; 0 for none."""
    published = RateCard.objects.filter(status=Status.PUBLISHED)
    return published.aggregate(newest=Max("version"))["newest"] or 0


def propose(*, draft: RateCardDraft, maker_id: int, maker_factor_at: dt.datetime) -> RateCard:
    """Write a proposal down, with the next version."""
    queue_up()
    replaces = newest_published()
    last = RateCard.objects.aggregate(last=Max("version"))["last"] or 0
    content = {
        "prices": {operation: dict(plans) for operation, plans in draft.prices.items()},
        **dataclasses.asdict(draft.curve),
        "note": draft.note,
    }
    wanted_from = None if draft.wanted_from is None else draft.wanted_from.isoformat()
    digest = idempotency.fingerprint({**content, "from": wanted_from, "replaces": replaces})
    card = RateCard.objects.create(
        version=last + 1,
        **content,
        wanted_from=draft.wanted_from,
        replaces_version=replaces,
        content_sha256=digest,
        maker_id=maker_id,
        maker_factor_at=maker_factor_at,
    )
    _record(card, action="proposed", actor_id=maker_id, before=None)
    return card


def lock(*, card_id: uuid.UUID) -> RateCard:
    """A card that can still be decided, under its row's lock.

    Raises:
        RateCardNotFoundError: there is no such card.
        RateCardClosedError: it was decided before.
    """
    queue_up()
    card = find(card_id=card_id)
    if card.status != Status.OPEN:
        raise RateCardClosedError(_("This card was decided before."), status=card.status.lower())
    return card


def find(*, card_id: uuid.UUID) -> RateCard:
    """A card under its row's lock, decided or not.

    Raises:
        RateCardNotFoundError: there is no such card.
    """
    require_transaction()
    card = RateCard.objects.select_for_update(no_key=True, of=("self",)).filter(pk=card_id).first()
    if card is None:
        raise RateCardNotFoundError(_("There is no rate card with this id."))
    return card


def decide(
    card: RateCard, *, is_published: bool, checker_id: int, factor_at: dt.datetime, comment: str
) -> None:
    """Publish or reject a locked card; its trial ends."""
    now = timezone.now()
    card.status = Status.PUBLISHED if is_published else Status.REJECTED
    card.decided_at = now
    if is_published:
        card.effective_at = now if card.wanted_from is None else max(card.wanted_from, now)
    card.checker_id = checker_id
    card.checker_factor_at = factor_at
    card.comment = comment
    card.shadow_percent = 0
    card.save()
    _record(card, action=card.status.lower(), actor_id=checker_id, before={"status": "open"})


def recall(card: RateCard, *, actor_id: int) -> None:
    """End a locked card without a decision; its trial ends."""
    card.status = Status.RECALLED
    card.decided_at = timezone.now()
    card.shadow_percent = 0
    card.save()
    _record(card, action="recalled", actor_id=actor_id, before={"status": "open"})


def set_trial(card: RateCard, *, percent: int, actor_id: int) -> None:
    """Try a locked card with this share of accounts; 0 ends the trial."""
    before = {"shadow_percent": card.shadow_percent}
    card.shadow_percent = percent
    card.save(update_fields=["shadow_percent"])
    record_event(
        actor_id=actor_id,
        action="rate_card.trial_set",
        subject=f"rate_card:{card.pk}",
        before=before,
        after={"shadow_percent": percent},
    )


def set_stop(*, is_stopped: bool, was_stopped: bool, reason: str, actor_id: int) -> None:
    """Use the kill switch."""
    require_transaction()
    PriceStop.objects.create(is_stopped=is_stopped, reason=reason, actor_id=actor_id)
    record_event(
        actor_id=actor_id,
        action="prices.stopped" if is_stopped else "prices.released",
        subject="prices",
        before={"is_stopped": was_stopped},
        after={"is_stopped": is_stopped, "reason": reason},
    )


def _record(card: RateCard, *, action: str, actor_id: int, before: dict[str, Any] | None) -> None:
    record_event(
        actor_id=actor_id,
        action=f"rate_card.{action}",
        subject=f"rate_card:{card.pk}",
        before=before,
        after={
            "status": card.status.lower(),
            "version": card.version,
            "content_sha256": card.content_sha256,
            "prices": card.prices,
            "floor_bp": card.floor_bp,
            "cap_bp": card.cap_bp,
            "comment": card.comment,
        },
    )
