"""Approval policies: one administrator proposes a change, another one decides it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Scope
from tokens.approval_errors import OnlyTheMakerError, PolicyChangedMeanwhileError
from tokens.approvals import POLICY_FIELDS, Ballot, VoteDecision
from tokens.errors import (
    ApprovalCommentMissingError,
    InvalidPolicyError,
    MakerMayNotCheckError,
    PolicyNotFoundError,
)
from tokens.ledger import policy_changes as ledger
from tokens.models import ApprovalPolicy, PolicyChange


@transaction.atomic
def propose_policy(
    *,
    actor_id: int,
    policy_id: uuid.UUID | None,
    values: Mapping[str, Any],
    second_factor_at: dt.datetime | None,
) -> uuid.UUID:
    """Propose a new policy, or other values for one. Joins the transaction, or owns one.

    Nothing changes before another administrator approves (``decide_policy_change``). The first
    policy of all is applied at once: while there is none, no batch waits for anybody, so one
    administrator can only make things stricter. A policy is switched off, never deleted.

    Args:
        actor_id: an administrator.
        policy_id: the policy to change; None proposes a new one.
        values: some of ``POLICY_FIELDS``; those left out keep their value, or get the default.
        second_factor_at: when the actor proved the second factor.

    Returns:
        The id of the change.

    Raises:
        RoleRequiredError: the actor is no active administrator.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        PolicyNotFoundError: there is no such policy.
        InvalidPolicyError: a value is out of range, the name is taken, or nothing would change;
            ``errors`` says which.
        PolicyChangeOpenError: another change of the policy waits.
    """
    factor_at = _require_administrator(actor_id, second_factor_at)
    unknown = set(values) - set(POLICY_FIELDS)
    if unknown:
        raise ValueError(f"not fields of a policy: {sorted(unknown)}")
    policy = ApprovalPolicy() if policy_id is None else _policy(policy_id)
    before = None if policy_id is None else ledger.policy_state(policy)
    for name, value in values.items():
        setattr(policy, name, value)
    policy.roles = sorted(set(policy.roles or ()))
    _check(policy)
    if before == ledger.policy_state(policy):
        raise InvalidPolicyError(_("The policy has these values already."))
    return ledger.propose(
        policy=policy, before=before, maker_id=actor_id, maker_factor_at=factor_at
    ).pk


@transaction.atomic(durable=True)
def decide_policy_change(*, change_id: uuid.UUID, checker_id: int, ballot: Ballot) -> bool:
    """Apply or reject a change as another administrator than its maker. Owns its transaction.

    Requests that wait keep what they were opened with. Repeating one's own decision changes
    nothing.

    Returns:
        True when the same decision was made by this person before.

    Raises:
        RoleRequiredError: the checker is no active administrator.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        PolicyChangeNotFoundError: there is no such change.
        PolicyChangeClosedError: it was decided before.
        PolicyChangeExpiredError: its time has run out.
        MakerMayNotCheckError: the checker proposed it.
        PolicyChangedMeanwhileError: the ballot names another content, or the policy has changed.
        ApprovalCommentMissingError: a rejection without words.
        InvalidPolicyError: the name was taken meanwhile.
    """
    assert ballot.decision is not VoteDecision.ASK, "a change is approved or rejected"
    factor_at = _require_administrator(checker_id, ballot.second_factor_at)
    change = ledger.lock(change_id=change_id)
    approves = ballot.decision is VoteDecision.APPROVE
    if _is_repeat(change, checker_id=checker_id, approves=approves):
        return True
    ledger.require_open(change, now=timezone.now())
    if checker_id == change.maker_id:
        raise MakerMayNotCheckError(_("You proposed this change, so another one decides it."))
    if ballot.content_sha256 != change.content_sha256:
        raise PolicyChangedMeanwhileError(
            _("The decision names another content than the change has."), param="content_sha256"
        )
    comment = ballot.comment.strip()
    if not approves:
        if not comment:
            raise ApprovalCommentMissingError(_("Say why."), param="comment")
        ledger.reject(change=change, checker_id=checker_id, factor_at=factor_at, comment=comment)
        return False
    policy = ledger.policy_to_apply(change)
    _check(policy)
    ledger.apply(
        change=change, policy=policy, checker_id=checker_id, factor_at=factor_at, comment=comment
    )
    return False


@transaction.atomic(durable=True)
def recall_policy_change(*, change_id: uuid.UUID, actor_id: int) -> None:
    """Take one's own proposal back; taking it back again changes nothing. Owns its transaction.

    Raises:
        PolicyChangeNotFoundError: there is no such change.
        OnlyTheMakerError: somebody else proposed it.
        PolicyChangeClosedError: it was decided before.
        PolicyChangeExpiredError: its time has run out.
    """
    change = ledger.lock(change_id=change_id)
    if actor_id != change.maker_id:
        raise OnlyTheMakerError(_("A change is recalled by the person who proposed it."))
    if change.status == PolicyChange.Status.RECALLED:
        return
    ledger.require_open(change, now=timezone.now())
    ledger.close(change=change, status=PolicyChange.Status.RECALLED, actor_id=actor_id)


def _require_administrator(user_id: int, second_factor_at: dt.datetime | None) -> dt.datetime:
    """The moment of a fresh second factor of somebody who may change policies."""
    if not accounts_selectors.active_may(user_id=user_id, scopes=[Scope.POLICIES_WRITE]):
        raise RoleRequiredError(
            _("Only administrators and owners change approval policies."),
            required_scope=Scope.POLICIES_WRITE.value,
        )
    oldest = timezone.now() - dt.timedelta(seconds=settings.STEP_UP_TTL_S)
    if second_factor_at is None or second_factor_at < oldest:
        raise StepUpRequiredError(_("Prove your second factor to change policies."))
    return second_factor_at


def _is_repeat(change: PolicyChange, *, checker_id: int, approves: bool) -> bool:
    decided = PolicyChange.Status.APPLIED if approves else PolicyChange.Status.REJECTED
    return change.status == decided and change.checker_id == checker_id


def _policy(policy_id: uuid.UUID) -> ApprovalPolicy:
    policy = ApprovalPolicy.objects.filter(pk=policy_id).first()
    if policy is None:
        raise PolicyNotFoundError(_("No approval policy has this id."))
    return policy


def _check(policy: ApprovalPolicy) -> None:
    try:
        policy.full_clean()
    except ValidationError as error:
        raise InvalidPolicyError(
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
