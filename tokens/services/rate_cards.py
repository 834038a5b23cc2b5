"""Rate cards: one person proposes prices, another publishes them; and the kill switch."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common.errors import InvalidRequestError
from tokens import price_selectors, rate_card_checks
from tokens.approval_errors import OnlyTheMakerError
from tokens.approvals import Ballot, VoteDecision
from tokens.errors import ApprovalCommentMissingError, MakerMayNotCheckError
from tokens.ledger import rate_cards as ledger
from tokens.models import RateCard
from tokens.price_errors import RateCardClosedError, RateCardOutdatedError, TrialRunningError
from tokens.price_types import RateCardDraft

log = structlog.get_logger(__name__)
_PERCENT_MAX: Final = 100


@transaction.atomic
def propose_rate_card(
    *, actor_id: int, draft: RateCardDraft, second_factor_at: dt.datetime | None
) -> uuid.UUID:
    """Propose prices; they change once somebody else publishes them. Joins or owns a transaction.

    Args:
        actor_id: somebody who may steer prices.
        draft: the card.
        second_factor_at: when the actor proved the second factor.

    Returns:
        The id of the card.

    Raises:
        RoleRequiredError: the actor may not steer prices.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        InvalidRateCardError: ``errors`` says what is wrong with the card.
    """
    factor_at = _require_factor(actor_id, second_factor_at)
    rate_card_checks.check(draft, now=timezone.now())
    return ledger.propose(draft=draft, maker_id=actor_id, maker_factor_at=factor_at).pk


@transaction.atomic(durable=True)
def decide_rate_card(*, card_id: uuid.UUID, checker_id: int, ballot: Ballot) -> bool:
    """Publish or reject a card as another person than its maker. Owns its transaction.

    Quotes that were given before keep their price. Repeating one's own decision changes nothing.

    Returns:
        True when the same decision was made by this person before.

    Raises:
        RoleRequiredError: the checker may not steer prices.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        RateCardNotFoundError: there is no such card.
        RateCardClosedError: it was decided before.
        MakerMayNotCheckError: the checker proposed it.
        RateCardOutdatedError: the ballot names another content, or another card was published.
        ApprovalCommentMissingError: a rejection without words.
    """
    assert ballot.decision is not VoteDecision.ASK, "a card is published or rejected"
    factor_at = _require_factor(checker_id, ballot.second_factor_at)
    ledger.queue_up()
    card = ledger.find(card_id=card_id)
    is_published = ballot.decision is VoteDecision.APPROVE
    decided = RateCard.Status.PUBLISHED if is_published else RateCard.Status.REJECTED
    if card.status == decided and card.checker_id == checker_id:
        return True
    card = ledger.lock(card_id=card_id)
    if checker_id == card.maker_id:
        raise MakerMayNotCheckError(_("You proposed this card, so another one decides it."))
    if ballot.content_sha256 != card.content_sha256:
        raise RateCardOutdatedError(
            _("The decision names another content than the card has."), param="content_sha256"
        )
    comment = ballot.comment.strip()
    if not is_published and not comment:
        raise ApprovalCommentMissingError(_("Say why."), param="comment")
    if is_published and ledger.newest_published() != card.replaces_version:
        raise RateCardOutdatedError(_("Another card was published since this one was proposed."))
    ledger.decide(
        card,
        is_published=is_published,
        checker_id=checker_id,
        factor_at=factor_at,
        comment=comment,
    )
    transaction.on_commit(
        lambda: log.info("tokens.rate_card.decided", version=card.version, status=card.status)
    )
    return False


@transaction.atomic(durable=True)
def recall_rate_card(*, card_id: uuid.UUID, actor_id: int) -> None:
    """Take one's own proposal back; taking it back again changes nothing. Owns its transaction.

    Raises:
        RateCardNotFoundError: there is no such card.
        OnlyTheMakerError: somebody else proposed it.
        RateCardClosedError: it was decided before.
    """
    card = ledger.find(card_id=card_id)
    if actor_id != card.maker_id:
        raise OnlyTheMakerError(_("A card is recalled by the person who proposed it."))
    if card.status == RateCard.Status.RECALLED:
        return
    if card.status != RateCard.Status.OPEN:
        raise RateCardClosedError(_("This card was decided before."), status=card.status.lower())
    ledger.recall(card, actor_id=actor_id)


@transaction.atomic(durable=True)
def try_rate_card(*, card_id: uuid.UUID, actor_id: int, percent: int) -> None:
    """Have the quotes of a share of accounts also say what a proposed card would charge.

    Which accounts is decided by a digest, so it is the same ones each time. What they pay does not
    change. Owns its transaction.

    Args:
        card_id: an open card.
        actor_id: somebody who may steer prices.
        percent: 0..100 of the accounts; 0 ends the trial.

    Raises:
        RoleRequiredError: the actor may not steer prices.
        InvalidRequestError: ``percent`` is out of range.
        RateCardNotFoundError: there is no such card.
        RateCardClosedError: it is decided.
        TrialRunningError: another card is on trial.
    """
    _require_duty(actor_id)
    if not 0 <= percent <= _PERCENT_MAX:
        raise InvalidRequestError(_("The share is 0 to 100 percent."), param="percent")
    card = ledger.lock(card_id=card_id)
    others = RateCard.objects.filter(shadow_percent__gt=0).exclude(pk=card_id)
    if percent and others.exists():
        raise TrialRunningError(_("Another card is on trial."))
    ledger.set_trial(card, percent=percent, actor_id=actor_id)


@transaction.atomic(durable=True)
def stop_prices(*, actor_id: int, is_stopped: bool, reason: str) -> bool:
    """Use the kill switch: ordinary prices only, from the next quote on; or let them move again.

    One person is enough to stop prices, and to release them: both lead to what two people have
    published. Owns its transaction.

    Returns:
        False when the switch stood there before; then nothing changes.

    Raises:
        RoleRequiredError: the actor may not steer prices.
        InvalidRequestError: no reason was given.
    """
    _require_duty(actor_id)
    reason = reason.strip()
    if not reason:
        raise InvalidRequestError(_("Say why."), param="reason")
    ledger.queue_up()
    was_stopped = price_selectors.is_stopped()
    if was_stopped == is_stopped:
        return False
    ledger.set_stop(
        is_stopped=is_stopped, was_stopped=was_stopped, reason=reason, actor_id=actor_id
    )
    transaction.on_commit(lambda: log.warning("tokens.prices.switched", is_stopped=is_stopped))
    return True


def _require_duty(user_id: int) -> None:
    if not accounts_selectors.active_may(user_id=user_id, scopes=[Scope.PRICES_WRITE]):
        raise RoleRequiredError(
            _("Prices are steered by pricing managers, administrators and owners."),
            required_scope=Scope.PRICES_WRITE.value,
        )


def _require_factor(user_id: int, second_factor_at: dt.datetime | None) -> dt.datetime:
    """The moment of a fresh second factor of somebody who may steer prices."""
    _require_duty(user_id)
    oldest = timezone.now() - dt.timedelta(seconds=settings.STEP_UP_TTL_S)
    if second_factor_at is None or second_factor_at < oldest:
        raise StepUpRequiredError(_("Prove your second factor to change prices."))
    return second_factor_at
