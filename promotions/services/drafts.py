"""Promotions are drafted by one person, activated by another, and ended by anybody on duty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError
from accounts.types import Scope
from facefusion_site.common import audit
from promotions.errors import PromotionInvalidError, PromotionStateError
from promotions.models import Campaign, RewardRule
from promotions.models.base import Promotion, values_of
from promotions.types import State
from tokens import approval_selectors
from tokens.errors import MakerMayNotCheckError

Row = TypeVar("Row", Campaign, RewardRule)

_BOTH: Final = ("name", "title", "valid_days")
CAMPAIGN_FIELDS: Final = (
    *_BOTH,
    "code",
    "plan",
    "user_ref_prefix",
    "joined_after",
    "joined_before",
    "tokens",
    "budget",
    "starts_at",
    "ends_at",
)
REWARD_FIELDS: Final = (
    *_BOTH,
    "metric",
    "window",
    "tiers",
    "cap",
    "total_max",
    "starts_on",
    "ends_on",
)


def draft_campaign(*, values: Mapping[str, Any], actor_id: int) -> Campaign:
    """Write a campaign down; nothing is granted before it is activated.

    Owns its transaction, or joins the caller's.

    Args:
        values: some of ``CAMPAIGN_FIELDS``; those left out get their default.
        actor_id: who may recharge, by role.

    Raises:
        RoleRequiredError: the actor may not recharge.
        PromotionInvalidError: a value is out of range, or the name or code is taken.
    """
    code = (values.get("code") or "").strip().upper()
    return _draft(Campaign(**{**values, "code": code or None}), CAMPAIGN_FIELDS, actor_id)


def draft_reward_rule(*, values: Mapping[str, Any], actor_id: int) -> RewardRule:
    """Write a rule of rewards down; see ``draft_campaign``."""
    return _draft(RewardRule(**values), REWARD_FIELDS, actor_id)


@transaction.atomic
def activate(*, promotion: Campaign | RewardRule, actor_id: int) -> None:
    """Let a draft grant tokens. Owns its transaction, or joins the caller's.

    Another person than who drafted it does, as with batches: only while no approval policy is in
    force, nothing waits for anybody.

    Raises:
        RoleRequiredError: the actor may not vote on approvals.
        MakerMayNotCheckError: the actor drafted it.
        PromotionStateError: it is no draft.
    """
    _require(actor_id, Scope.APPROVALS_VOTE)
    row = _locked(promotion, {State.DRAFT})
    has_policies = any(policy.is_active for policy in approval_selectors.policies())
    if has_policies and row.created_by_id == actor_id:
        raise MakerMayNotCheckError(_("You drafted this, so another one activates it."))
    row.activated_by_id = actor_id
    _move(row, State.ACTIVE, action="activated", actor_id=actor_id)


@transaction.atomic
def end(*, promotion: Campaign | RewardRule, actor_id: int) -> None:
    """Let a promotion grant nothing any more, for good; what it granted stays.

    Owns its transaction, or joins the caller's.

    Raises:
        RoleRequiredError: the actor may neither recharge nor vote on approvals.
        PromotionStateError: it has ended before.
    """
    _require(actor_id, Scope.RECHARGES_WRITE, Scope.APPROVALS_VOTE)
    row = _locked(promotion, {State.DRAFT, State.ACTIVE})
    _move(row, State.ENDED, action="ended", actor_id=actor_id)


@transaction.atomic
def _draft(row: Row, fields: tuple[str, ...], actor_id: int) -> Row:
    _require(actor_id, Scope.RECHARGES_WRITE)
    row.created_by_id = actor_id
    try:
        row.full_clean()
    except ValidationError as error:
        raise PromotionInvalidError(
            " ".join(error.messages),
            errors=[
                {
                    "pointer": "#" if field == NON_FIELD_ERRORS else f"#/{field}",
                    "code": str(fault.code or "invalid"),
                    "detail": " ".join(fault.messages),
                }
                for field, faults in error.error_dict.items()
                for fault in faults
            ],
        ) from error
    row.save(force_insert=True)
    audit.record(
        actor_id=actor_id,
        action=f"{_kind(row)}.drafted",
        subject=f"{_kind(row)}:{row.name}",
        before=None,
        after=values_of(row, fields),
    )
    return row


def _locked(promotion: Campaign | RewardRule, allowed: set[State]) -> Campaign | RewardRule:
    model = Campaign if isinstance(promotion, Campaign) else RewardRule
    row = model.objects.select_for_update(no_key=True).get(pk=promotion.pk)
    if row.state not in allowed:
        raise PromotionStateError(
            _("It is “%(state)s”, which does not allow this.") % {"state": row.state.lower()},
            state=row.state.lower(),
        )
    return row


def _move(row: Campaign | RewardRule, to: State, *, action: str, actor_id: int) -> None:
    before = row.state.lower()
    row.state = to
    row.save(update_fields=["state", "activated_by"])
    audit.record(
        actor_id=actor_id,
        action=f"{_kind(row)}.{action}",
        subject=f"{_kind(row)}:{row.name}",
        before={"state": before},
        after={"state": to.lower()},
    )


def _kind(row: Promotion) -> str:
    return "campaign" if isinstance(row, Campaign) else "reward_rule"


def _require(actor_id: int, *scopes: Scope) -> None:
    if not accounts_selectors.active_may(user_id=actor_id, scopes=scopes):
        raise RoleRequiredError(
            _("Your role does not include this."), required_scope=scopes[0].value
        )
