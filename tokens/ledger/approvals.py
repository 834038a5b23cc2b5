"""Rows of approvals: assess a batch, cast a vote, let a request expire.

The database repeats the rules in triggers: a vote that breaks one is refused whoever writes it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.errors import StepUpRequiredError
from tokens import approvals
from tokens.approvals import Ballot, BatchFacts, Decision, PolicyTerms, Requirement, VoteDecision
from tokens.errors import (
    AlreadyVotedError,
    ApprovalClosedError,
    ApprovalCommentMissingError,
    ApprovalContentChangedError,
    ApprovalExpiredError,
    ApprovalNotFoundError,
    ApproverNotEligibleError,
    KeyMayNotVoteError,
    MakerMayNotCheckError,
)
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.models import (
    Adjustment,
    ApprovalAssessment,
    ApprovalPolicy,
    ApprovalRequest,
    ApprovalSubject,
    ApprovalVote,
    RechargeBatch,
)

# First half of the key of a maker's advisory lock; any number no other lock of ours uses.
MAKER_LOCK: Final = 4_201
REFUSED = [
    ApprovalRequest.Status.REJECTED,
    ApprovalRequest.Status.EXPIRED,
    ApprovalRequest.Status.RECALLED,
]
BIGINT_MAX: Final = 2**63 - 1
VOTE_EVENTS = {
    VoteDecision.APPROVE: "approved_by",
    VoteDecision.REJECT: "rejected_by",
    VoteDecision.ASK: "asked_by",
}
DECIDING = [ApprovalVote.Decision.APPROVE, ApprovalVote.Decision.REJECT]


def assess(
    *,
    batch_id: uuid.UUID,
    maker_id: int,
    facts: BatchFacts,
    content_sha256: str,
    now: dt.datetime | None,
) -> ApprovalRequest | None:
    """Write down what the policies say about a batch; the open request if it needs one."""
    moment = now or timezone.now()
    needed, maker_day_tokens = reached(maker_id=maker_id, facts=facts, now=moment)
    assessment = ApprovalAssessment.objects.create(
        batch_id=batch_id,
        maker_id=maker_id,
        subject=_subject(facts),
        rows_count=facts.rows_count,
        tokens_total=min(facts.tokens_total, BIGINT_MAX),
        largest_row=facts.largest_row,
        maker_day_tokens=min(maker_day_tokens, BIGINT_MAX),
        content_sha256=content_sha256,
        is_approval_required=needed is not None,
        assessed_at=moment,
    )
    if needed is None:
        return None
    request = _open(assessment, needed)
    record_event(
        actor_id=maker_id,
        action="approval_request.opened",
        subject=f"approval_request:{request.pk}",
        before=None,
        after=state(request),
    )
    return request


def reached(
    *, maker_id: int, facts: BatchFacts, now: dt.datetime
) -> tuple[Requirement | None, int]:
    """What the policies ask of somebody who wants to move tokens; writes nothing.

    Where a policy watches one person's 24 hours, that person's requests queue here until the
    transaction ends.

    Returns:
        The requirement, None when no policy is reached; and the maker's tokens of 24 hours, these
        included.
    """
    require_transaction()
    subject = _subject(facts)
    policies = [
        policy_terms(policy)
        for policy in ApprovalPolicy.objects.filter(is_active=True, subject=subject)
    ]
    if any(policy.maker_day_tokens_min is not None for policy in policies):
        lock_maker(maker_id=maker_id)
    # Amounts that no line may have can add up to more than a column holds; they reach every bound.
    maker_day_tokens = min(facts.tokens_total, BIGINT_MAX) + _maker_day_tokens(
        maker_id=maker_id, subject=subject, now=now
    )
    needed = approvals.requirement(
        policies=policies, facts=facts, maker_day_tokens=maker_day_tokens
    )
    return needed, maker_day_tokens


def lock_maker(*, maker_id: int) -> None:
    """Let one person's requests follow each other; taken before any wallet is locked.

    Two at the same moment would each miss the other's tokens.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [MAKER_LOCK, maker_id])


def state(request: ApprovalRequest) -> dict[str, Any]:
    """A request as audit events keep it."""
    return {
        "batch": str(request.batch_id),
        "status": request.status.lower(),
        "content_sha256": request.content_sha256,
        "approvals_required": request.approvals_required,
        "approvals": _approvals_count(request),
        "roles": list(request.roles),
        "expires_at": request.expires_at.isoformat(),
    }


def policy_terms(policy: ApprovalPolicy) -> PolicyTerms:
    """The row as a value."""
    return PolicyTerms(
        id=policy.pk,
        name=policy.name,
        row_tokens_min=policy.row_tokens_min,
        batch_tokens_min=policy.batch_tokens_min,
        rows_min=policy.rows_min,
        maker_day_tokens_min=policy.maker_day_tokens_min,
        approvals_required=policy.approvals_required,
        roles=frozenset(policy.roles),
        expires_after_s=policy.expires_after_s,
        is_open_to_keys=policy.is_open_to_keys,
    )


def cast_vote(
    *, request_id: uuid.UUID, voter_id: int, ballot: Ballot, now: dt.datetime
) -> Decision:
    """Lock the request, judge the vote, write it, and close the request where that decides it."""
    require_transaction()
    locked = ApprovalRequest.objects.select_related("batch").select_for_update(
        no_key=True, of=("self",)
    )
    request = locked.filter(pk=request_id).first()
    if request is None:
        raise ApprovalNotFoundError(_("No approval request has this id."))
    if ballot.decision is not VoteDecision.ASK:
        earlier = request.votes.filter(voter_id=voter_id, decision__in=DECIDING).first()
        if earlier is not None:
            return _repeat(request, earlier, ballot)
    role = _judge(request, voter_id=voter_id, ballot=ballot, now=now)
    before = state(request)
    ApprovalVote.objects.create(
        request=request,
        voter_id=voter_id,
        voter_role=role,
        decision=ApprovalVote.Decision[ballot.decision.name],
        comment=ballot.comment.strip(),
        content_sha256=ballot.content_sha256,
        second_factor_at=ballot.second_factor_at,
    )
    approvals_count = _approvals_count(request)
    if ballot.decision is VoteDecision.REJECT:
        _set_status(request, ApprovalRequest.Status.REJECTED)
    elif approvals_count >= request.approvals_required:
        _set_status(request, ApprovalRequest.Status.APPROVED)
    record_event(
        actor_id=voter_id,
        action=f"approval_request.{VOTE_EVENTS[ballot.decision]}",
        subject=f"approval_request:{request.pk}",
        before=before,
        after=state(request) | {"comment": ballot.comment.strip(), "is_by_key": ballot.is_by_key},
    )
    is_closed_now = request.status != ApprovalRequest.Status.OPEN
    return _decision(request, approvals_count, is_closed_now=is_closed_now)


def close(
    *, request: ApprovalRequest, status: ApprovalRequest.Status, actor_id: int | None
) -> None:
    """End a locked request without a vote: expired or recalled."""
    require_transaction()
    before = state(request)
    _set_status(request, status)
    record_event(
        actor_id=actor_id,
        action=f"approval_request.{status.lower()}",
        subject=f"approval_request:{request.pk}",
        before=before,
        after=state(request),
    )


def recall(*, batch_id: uuid.UUID, actor_id: int) -> ApprovalRequest | None:
    """Close the open request of a batch that its people stopped; None when there is none."""
    require_transaction()
    locked = ApprovalRequest.objects.select_for_update(no_key=True, of=("self",))
    request = locked.filter(batch_id=batch_id, status=ApprovalRequest.Status.OPEN).first()
    if request is not None:
        close(request=request, status=ApprovalRequest.Status.RECALLED, actor_id=actor_id)
    return request


def lock_due(*, request_id: uuid.UUID, now: dt.datetime) -> ApprovalRequest | None:
    """Lock a request whose time has run out; None when it was decided meanwhile or is in use."""
    require_transaction()
    locked = ApprovalRequest.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
    return locked.filter(
        pk=request_id, status=ApprovalRequest.Status.OPEN, expires_at__lte=now
    ).first()


def _set_status(request: ApprovalRequest, status: ApprovalRequest.Status) -> None:
    """The database checks that votes, or the clock, say so."""
    request.status = status
    request.decided_at = timezone.now()
    request.save(update_fields=["status", "decided_at"])


def _maker_day_tokens(*, maker_id: int, subject: str, now: dt.datetime) -> int:
    """What the maker asked for in 24 hours and was not refused, in batches or by hand."""
    recent = ApprovalAssessment.objects.filter(
        maker_id=maker_id, subject=subject, assessed_at__gt=now - approvals.MAKER_WINDOW
    )
    was_refused = Q(batch__approval_request__status__in=REFUSED) | Q(
        batch__status=RechargeBatch.Status.FAILED
    )
    total = recent.exclude(was_refused).aggregate(total=Sum("tokens_total", default=0))["total"]
    by_hand = Adjustment.objects.filter(
        actor_id=maker_id, created_at__gt=now - approvals.MAKER_WINDOW
    )
    is_taken = subject == ApprovalSubject.REVERSAL
    by_hand = by_hand.filter(amount__lt=0) if is_taken else by_hand.filter(amount__gt=0)
    adjusted = by_hand.aggregate(total=Sum("amount", default=0))["total"]
    return int(total) + abs(int(adjusted))


def _subject(facts: BatchFacts) -> ApprovalSubject:
    return ApprovalSubject.REVERSAL if facts.is_reversal else ApprovalSubject.RECHARGE


def _open(assessment: ApprovalAssessment, needed: Requirement) -> ApprovalRequest:
    opened_at = assessment.assessed_at
    return ApprovalRequest.objects.create(
        batch_id=assessment.batch_id,
        maker_id=assessment.maker_id,
        content_sha256=assessment.content_sha256,
        approvals_required=needed.approvals_required,
        roles=sorted(needed.roles),
        is_open_to_keys=needed.is_open_to_keys,
        policies=[approvals.snapshot(policy) for policy in needed.policies],
        opened_at=opened_at,
        expires_at=opened_at + dt.timedelta(seconds=needed.expires_after_s),
    )


def _repeat(request: ApprovalRequest, earlier: ApprovalVote, ballot: Ballot) -> Decision:
    """A person's second vote: the same one again is a retry, another one is refused."""
    is_same = (
        earlier.decision == ApprovalVote.Decision[ballot.decision.name]
        and earlier.content_sha256 == ballot.content_sha256
    )
    if not is_same:
        raise AlreadyVotedError(_("You have voted on this request; a vote cannot be changed."))
    return _decision(request, _approvals_count(request), is_closed_now=False, is_replay=True)


def _judge(request: ApprovalRequest, *, voter_id: int, ballot: Ballot, now: dt.datetime) -> str:
    """Refuse a vote that may not be cast; the first fault counts. Returns the voter's role."""
    if request.status != ApprovalRequest.Status.OPEN:
        raise ApprovalClosedError(
            _("This request was decided before."), approval_status=request.status.lower()
        )
    if request.expires_at <= now:
        raise ApprovalExpiredError(_("The time to decide this request has run out."))
    if voter_id == request.maker_id:
        raise MakerMayNotCheckError(_("You made this batch, so others decide it."))
    role = accounts_selectors.active_role(user_id=voter_id)
    if role not in request.roles:
        raise ApproverNotEligibleError(
            _("This request is decided by other roles than yours."), roles=request.roles
        )
    if not ballot.content_sha256 == request.content_sha256 == request.batch.content_sha256:
        raise ApprovalContentChangedError(
            _("The vote names another content than the batch has."), param="content_sha256"
        )
    if ballot.decision is not VoteDecision.APPROVE and not ballot.comment.strip():
        raise ApprovalCommentMissingError(_("Say why, or what you want to know."), param="comment")
    _check_second_factor(request, ballot, now)
    return str(role)


def _check_second_factor(request: ApprovalRequest, ballot: Ballot, now: dt.datetime) -> None:
    if ballot.is_by_key:
        if not request.is_open_to_keys:
            raise KeyMayNotVoteError(_("The policies of this request ask for people, not keys."))
        return
    if ballot.decision is VoteDecision.ASK:
        return
    oldest = now - dt.timedelta(seconds=settings.STEP_UP_TTL_S)
    if ballot.second_factor_at is None or ballot.second_factor_at < oldest:
        raise StepUpRequiredError(_("Prove your second factor to vote."))


def _approvals_count(request: ApprovalRequest) -> int:
    return request.votes.filter(
        decision=ApprovalVote.Decision.APPROVE, content_sha256=request.content_sha256
    ).count()


def _decision(
    request: ApprovalRequest, approvals_count: int, *, is_closed_now: bool, is_replay: bool = False
) -> Decision:
    return Decision(
        request_id=request.pk,
        batch_id=request.batch_id,
        status=request.status.lower(),
        approvals_count=approvals_count,
        approvals_required=request.approvals_required,
        is_closed_now=is_closed_now,
        is_replay=is_replay,
    )
