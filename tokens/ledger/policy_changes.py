"""Rows of policy changes: propose, decide, recall, expire.

The database repeats the rules in triggers: a policy becomes what an approved change says, in the
transaction that applies it, and in no other way.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common import idempotency
from tokens.approval_errors import (
    PolicyChangeClosedError,
    PolicyChangedMeanwhileError,
    PolicyChangeExpiredError,
    PolicyChangeNotFoundError,
    PolicyChangeOpenError,
)
from tokens.approvals import POLICY_FIELDS
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.models import ApprovalPolicy, PolicyChange

# As long as a batch waits by default: over a weekend.
EXPIRES_AFTER: Final = dt.timedelta(hours=72)
# Proposals queue on this advisory lock: two "first" policies at once would each see none.
PROPOSAL_LOCK: Final = 4_202
Status = PolicyChange.Status


def policy_state(policy: ApprovalPolicy) -> dict[str, Any]:
    """The fields that a change is about, in the values of the columns."""
    return {name: getattr(policy, name) for name in POLICY_FIELDS}


def propose(
    *,
    policy: ApprovalPolicy,
    before: dict[str, Any] | None,
    maker_id: int,
    maker_factor_at: dt.datetime,
) -> PolicyChange:
    """Write a proposal down; apply it at once when it is the first policy of all."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PROPOSAL_LOCK])
    is_waiting = PolicyChange.objects.filter(policy_id=policy.pk, status=Status.OPEN).exists()
    if is_waiting:
        raise PolicyChangeOpenError(_("Another change of this policy waits for a decision."))
    now = timezone.now()
    after = policy_state(policy)
    is_bootstrap = not ApprovalPolicy.objects.exists()
    change = PolicyChange.objects.create(
        policy_id=policy.pk,
        is_bootstrap=is_bootstrap,
        before=before,
        after=after,
        content_sha256=idempotency.fingerprint(
            {"policy": str(policy.pk), "before": before, "after": after}
        ),
        maker_id=maker_id,
        maker_factor_at=maker_factor_at,
        status=Status.APPLIED if is_bootstrap else Status.OPEN,
        opened_at=now,
        expires_at=now + EXPIRES_AFTER,
        decided_at=now if is_bootstrap else None,
    )
    _record(change, action="applied_as_first" if is_bootstrap else "proposed", actor_id=maker_id)
    if is_bootstrap:
        _write_policy(policy, before=None, actor_id=maker_id)
    return change


def lock(*, change_id: uuid.UUID) -> PolicyChange:
    """The change under its row's lock.

    Raises:
        PolicyChangeNotFoundError: there is no such change.
    """
    require_transaction()
    locked = PolicyChange.objects.select_for_update(no_key=True, of=("self",))
    change = locked.filter(pk=change_id).first()
    if change is None:
        raise PolicyChangeNotFoundError(_("No policy change has this id."))
    return change


def require_open(change: PolicyChange, *, now: dt.datetime) -> None:
    """Let only a change pass that can still be decided.

    Raises:
        PolicyChangeClosedError: it was decided before.
        PolicyChangeExpiredError: its time has run out.
    """
    if change.status != Status.OPEN:
        raise PolicyChangeClosedError(
            _("This change was decided before."), change_status=change.status.lower()
        )
    if change.expires_at <= now:
        raise PolicyChangeExpiredError(_("The time to decide this change has run out."))


def policy_to_apply(change: PolicyChange) -> ApprovalPolicy:
    """The policy as the change makes it, unsaved, with its row locked.

    Raises:
        PolicyChangedMeanwhileError: the policy is not what it was when the change was proposed.
    """
    locked = ApprovalPolicy.objects.select_for_update(no_key=True)
    policy = locked.filter(pk=change.policy_id).first()
    present = None if policy is None else policy_state(policy)
    if present != change.before:
        raise PolicyChangedMeanwhileError(
            _("The policy has changed since this change was proposed.")
        )
    if policy is None:
        policy = ApprovalPolicy(pk=change.policy_id)
    for name, value in change.after.items():
        setattr(policy, name, value)
    return policy


def apply(
    *,
    change: PolicyChange,
    policy: ApprovalPolicy,
    checker_id: int,
    factor_at: dt.datetime,
    comment: str,
) -> None:
    """Decide a locked change in its favour and save the policy as it says."""
    require_transaction()
    _decide(change, Status.APPLIED, checker_id=checker_id, factor_at=factor_at, comment=comment)
    _record(change, action="applied", actor_id=checker_id)
    _write_policy(policy, before=change.before, actor_id=checker_id)


def reject(*, change: PolicyChange, checker_id: int, factor_at: dt.datetime, comment: str) -> None:
    """Decide a locked change against it."""
    require_transaction()
    _decide(change, Status.REJECTED, checker_id=checker_id, factor_at=factor_at, comment=comment)
    _record(change, action="rejected", actor_id=checker_id)


def close(*, change: PolicyChange, status: PolicyChange.Status, actor_id: int | None) -> None:
    """End a locked change without a decision: expired or recalled."""
    require_transaction()
    change.status = status
    change.decided_at = timezone.now()
    change.save(update_fields=["status", "decided_at"])
    _record(change, action=status.lower(), actor_id=actor_id)


def _decide(
    change: PolicyChange,
    status: PolicyChange.Status,
    *,
    checker_id: int,
    factor_at: dt.datetime,
    comment: str,
) -> None:
    change.status = status
    change.checker_id = checker_id
    change.checker_factor_at = factor_at
    change.comment = comment
    change.decided_at = timezone.now()
    change.save(update_fields=["status", "checker", "checker_factor_at", "comment", "decided_at"])


def _write_policy(policy: ApprovalPolicy, *, before: dict[str, Any] | None, actor_id: int) -> None:
    """Save what the change says; the database compares it with the change of this transaction."""
    policy.save(force_insert=before is None, force_update=before is not None)
    record_event(
        actor_id=actor_id,
        action="approval_policy.created" if before is None else "approval_policy.changed",
        subject=f"approval_policy:{policy.pk}",
        before=before,
        after=policy_state(policy),
    )


def _record(change: PolicyChange, *, action: str, actor_id: int | None) -> None:
    """The event of a change; what the policy was and becomes is part of it."""
    record_event(
        actor_id=actor_id,
        action=f"policy_change.{action}",
        subject=f"policy_change:{change.pk}",
        before=None if action in {"proposed", "applied_as_first"} else {"status": "open"},
        after={
            "status": change.status.lower(),
            "policy": str(change.policy_id),
            "content_sha256": change.content_sha256,
            "before": change.before,
            "after": change.after,
            "comment": change.comment,
        },
    )
