"""Tokens for a production: estimated, asked for, and credited by one recharge with its approvals.

The wish to recharge is committed before the recharge is made, under a number that is part of the
recharge's idempotency key. Whatever breaks in between, whoever looks next makes the same recharge.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common import idempotency
from productions.errors import (
    ProductionEmptyError,
    ProductionOverBudgetError,
    ProductionWalletBusyError,
)
from productions.models import ManifestRow, Production
from productions.services import steps
from productions.services.fitting import Room, fit
from productions.types import RowState, State
from tokens import recharge_selectors
from tokens import services as tokens_services
from tokens.types import (
    Category,
    LotTerms,
    RechargeItem,
    RechargeMode,
    RechargeOrder,
    RechargeReceipt,
)

# Burns before all other tokens of the wallet, so that what is left of it is what was not used.
FUNDING_PRIORITY: Final = 0
OPERATOR: Final = "production"
_APPLIED: Final = "applied"
# Of a batch of one row there is no partly applied one.
_REFUSED: Final = frozenset({"failed", "rejected", "approval_expired", "stopped"})
_REASON_LENGTH_MAX: Final = 255


@transaction.atomic(durable=True)
def estimate(*, production: Production, actor_id: int) -> Production:
    """Add up what all rows would cost now, and say of each other row why it cannot be a job.

    Owns its transaction. May be repeated until tokens are asked for; holds and charges nothing.

    Raises:
        ProductionStateError: tokens were asked for.
        ProductionEmptyError: no row can be a job; nothing is stored.
    """
    locked = steps.lock(production_id=production.pk, allowed={State.DRAFT, State.ESTIMATED})
    room, now = Room(tokens=None), timezone.now()
    readable = (
        ManifestRow.objects.filter(production=locked)
        .exclude(state=RowState.UNREADABLE)
        .select_related("person")
        .order_by("row_no")
    )
    total = 0
    for chunk in _chunks(readable.iterator(chunk_size=settings.PRODUCTION_WAVE_ROWS)):
        total += fit(production=locked, rows=chunk, room=room, now=now).plan.tokens
        ManifestRow.objects.bulk_update(
            chunk, ["state", "estimate", "error_code", "error_detail"], batch_size=1_000
        )
    if not total:
        raise ProductionEmptyError(_("None of its rows can be a job."))
    locked.estimate, locked.estimated_at = total, now
    steps.move(locked, to=State.ESTIMATED, action="estimated", actor_id=actor_id, tokens=total)
    return locked


def fund(
    *, production: Production, actor_id: int, unproven_tokens_max: int | None = None
) -> Production:
    """Recharge the wallet of a production in one batch, which approval policies may hold up.

    Owns its transactions. The recharge is the actor's, so others approve it. Its tokens are paid
    ones and burn first. Repeating it while the tokens are awaited only looks how far they are.

    Args:
        production: an estimated one.
        actor_id: who may recharge, by role.
        unproven_tokens_max: as for every recharge, see ``tokens.services.create_batch``.

    Raises:
        RoleRequiredError: the actor may not recharge.
        StepUpRequiredError: more than ``unproven_tokens_max`` tokens.
        ProductionStateError: it has no estimate, or had its tokens.
        ProductionOverBudgetError: the estimate exceeds the budget.
        ProductionWalletBusyError: another production has tokens in this wallet.
        RechargeBusyError: the wallet could not be locked in time; repeating it goes on.
    """
    if not accounts_selectors.active_may(user_id=actor_id, scopes=[Scope.RECHARGES_WRITE]):
        raise RoleRequiredError(
            _("Your role does not include this."), required_scope=Scope.RECHARGES_WRITE.value
        )
    try:
        _ask(production, actor_id, unproven_tokens_max)
    except IntegrityError as error:
        raise ProductionWalletBusyError(
            _("Another production of this account has not given its tokens back yet.")
        ) from error
    return refresh_funding(production=production)


def refresh_funding(*, production: Production) -> Production:
    """Look whether the tokens that were asked for have come; ask again if a crash prevented it.

    Owns its transactions. A recharge that was refused leaves an estimated production that says why
    and can be funded again.

    Raises:
        RechargeBusyError: the wallet could not be locked in time; repeating it goes on.
    """
    production.refresh_from_db()
    if production.state != State.AWAITING_APPROVAL:
        return production
    receipt = recharge(production=production)
    with transaction.atomic(durable=True):
        locked = steps.lock(production_id=production.pk, allowed=steps.ANY)
        # What was seen may be the end of an earlier wish, with a newer one made meanwhile.
        is_seen = locked.funding_number == production.funding_number
        if locked.state != State.AWAITING_APPROVAL or not is_seen:
            return locked
        if locked.funding_batch_id is None:
            locked.funding_batch_id = receipt.batch_id
            locked.save(update_fields=["funding_batch"])
        facts = {"batch_id": str(receipt.batch_id), "tokens": locked.funding_tokens}
        if receipt.status == _APPLIED:
            steps.move(locked, to=State.FUNDED, action="funded", actor_id=None, **facts)
        elif receipt.status in _REFUSED:
            locked.funding_error = _why(receipt)
            steps.move(locked, to=State.ESTIMATED, action="not_funded", actor_id=None, **facts)
    return locked


def recharge(*, production: Production) -> RechargeReceipt:
    """The recharge of a production as it stands; made now if it was asked for and is not there.

    Owns its transaction. Its key is made of the production and the number of the wish.
    """
    if production.funding_batch_id is not None:
        return recharge_selectors.recharge_receipt(batch_id=production.funding_batch_id)
    assert production.funded_by_id is not None, "a wish has its maker"
    assert production.funding_tokens is not None, "a wish has its amount"
    (user_ref,) = accounts_selectors.user_refs(ids=[production.owner_id]).values()
    key = f"production:{production.pk}:{production.funding_number}"
    item = RechargeItem(user_ref=user_ref, amount=production.funding_tokens)
    order = RechargeOrder(
        mode=RechargeMode.ATOMIC,
        reason=_reason(production),
        operator=OPERATOR,
        fingerprint=idempotency.fingerprint([key, user_ref, production.funding_tokens]),
        terms=LotTerms(category=Category.PAID, priority=FUNDING_PRIORITY),
    )
    template = tokens_services.staged_template(order=order, amount=item.amount)
    receipt = tokens_services.create_batch(
        order=order,
        rows=lambda: [template._replace(user_ref=user_ref)],
        actor_id=production.funded_by_id,
        idempotency_key=key,
    )
    # A replay tells what the first call told, which may be over by now.
    return recharge_selectors.recharge_receipt(batch_id=receipt.batch_id)


@transaction.atomic(durable=True)
def _ask(production: Production, actor_id: int, unproven_tokens_max: int | None) -> None:
    """Commit the wish to recharge; one that is committed already stays as it is."""
    locked = steps.lock(
        production_id=production.pk, allowed={State.ESTIMATED, State.AWAITING_APPROVAL}
    )
    if locked.state == State.AWAITING_APPROVAL:
        return
    assert locked.estimate is not None, "an estimated production has its estimate"
    tokens = locked.estimate if locked.budget is None else locked.budget
    if locked.estimate > tokens:
        raise ProductionOverBudgetError(
            _("It costs %(estimate)d tokens, and its budget is %(budget)d.")
            % {"estimate": locked.estimate, "budget": tokens},
            estimate=locked.estimate,
            budget=tokens,
        )
    if unproven_tokens_max is not None and tokens > unproven_tokens_max:
        raise StepUpRequiredError(
            _("A recharge of this many tokens asks for a second factor."),
            unproven_tokens_max=unproven_tokens_max,
            tokens_total=tokens,
        )
    locked.funding_number += 1
    locked.funding_tokens = tokens
    locked.funded_by_id = actor_id
    locked.funding_batch_id = None
    locked.funding_error = ""
    steps.move(
        locked,
        to=State.AWAITING_APPROVAL,
        action="funding_asked",
        actor_id=actor_id,
        tokens=tokens,
    )


def _why(receipt: RechargeReceipt) -> str:
    """The code of the one line, or how the batch ended without trying it."""
    return receipt.failures[0].code if receipt.status == "failed" else receipt.status


def _reason(production: Production) -> str:
    return f"production {production.pk}: {production.name}"[:_REASON_LENGTH_MAX]


def _chunks(rows: Iterator[ManifestRow]) -> Iterator[list[ManifestRow]]:
    while chunk := list(islice(rows, settings.PRODUCTION_WAVE_ROWS)):
        yield chunk
