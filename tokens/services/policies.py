"""Approval policies: what has to be approved, by how many, and by whom."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError
from accounts.types import Role
from tokens import approvals
from tokens.errors import InvalidPolicyError, PolicyNotFoundError
from tokens.ledger.approvals import policy_terms
from tokens.ledger.events import record_event
from tokens.models import ApprovalPolicy

EDITABLE: Final = (
    "name",
    "subject",
    "is_active",
    "row_tokens_min",
    "batch_tokens_min",
    "rows_min",
    "maker_day_tokens_min",
    "approvals_required",
    "roles",
    "expires_after_s",
    "is_open_to_keys",
)


@transaction.atomic
def save_policy(
    *, actor_id: int, policy_id: uuid.UUID | None, values: Mapping[str, Any]
) -> uuid.UUID:
    """Create a policy, or change the named fields of one. Joins the transaction, or owns one.

    Requests that wait keep what they were opened with. A policy is switched off, never deleted.

    Args:
        actor_id: an administrator; the interface has asked for the second factor.
        policy_id: the policy to change; None creates one.
        values: fields out of ``EDITABLE``; those left out keep their value, or get the default.

    Raises:
        RoleRequiredError: the actor is no active administrator.
        PolicyNotFoundError: there is no such policy.
        InvalidPolicyError: a value is out of range, or the name is taken; ``errors`` says which.
    """
    if accounts_selectors.active_role(user_id=actor_id) != Role.ADMIN:
        raise RoleRequiredError(_("Only an administrator changes approval policies."))
    unknown = set(values) - set(EDITABLE)
    if unknown:
        raise ValueError(f"not fields of a policy: {sorted(unknown)}")
    policy = ApprovalPolicy() if policy_id is None else _lock(policy_id)
    before = None if policy_id is None else _state(policy)
    for name, value in values.items():
        setattr(policy, name, value)
    policy.roles = sorted(set(policy.roles or ()))
    _check(policy)
    policy.save()
    record_event(
        actor_id=actor_id,
        action="approval_policy.created" if before is None else "approval_policy.changed",
        subject=f"approval_policy:{policy.pk}",
        before=before,
        after=_state(policy),
    )
    return policy.pk


def _lock(policy_id: uuid.UUID) -> ApprovalPolicy:
    policy = ApprovalPolicy.objects.select_for_update(no_key=True).filter(pk=policy_id).first()
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


def _state(policy: ApprovalPolicy) -> dict[str, Any]:
    return approvals.snapshot(policy_terms(policy)) | {
        "subject": policy.subject.lower(),
        "is_active": policy.is_active,
    }
