"""Read queries on approvals."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from tokens.approvals import AnswerView, ApprovalView, Obstacle, PolicyView, VoteView
from tokens.errors import ApprovalNotFoundError, InvalidCursorError, PolicyNotFoundError
from tokens.models import (
    ApprovalAssessment,
    ApprovalPolicy,
    ApprovalRequest,
    ApprovalVote,
    ApproverRole,
)

BLOCKED = "blocked_no_approver"
DECIDING = [ApprovalVote.Decision.APPROVE, ApprovalVote.Decision.REJECT]
UUID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Inbox(StrEnum):
    """Which requests a list shows."""

    MINE = "mine"
    WAITING = "waiting"
    ALL = "all"


def approval_requests(
    *, viewer_id: int, inbox: Inbox, limit: int, cursor: str | None = None
) -> tuple[list[ApprovalView], str | None]:
    """Requests as ``viewer_id`` sees them, and the cursor of the next page.

    ``mine`` are those the viewer may decide now, ``waiting`` those that anybody may; both show
    what has waited longest first. ``all`` shows the newest first.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    now = timezone.now()
    requests = _in_inbox(inbox, viewer_id=viewer_id, now=now)
    is_newest_first = inbox is Inbox.ALL
    if cursor is not None:
        requests = requests.filter(_after(cursor, is_newest_first=is_newest_first))
    order = ("-opened_at", "-id") if is_newest_first else ("opened_at", "id")
    rows = list(requests.select_related("batch").order_by(*order)[: limit + 1])
    next_cursor = str(rows[limit - 1].pk) if len(rows) > limit else None
    return _views(rows[:limit], viewer_id=viewer_id, now=now), next_cursor


def approval_request(*, request_id: uuid.UUID, viewer_id: int) -> ApprovalView:
    """One request as ``viewer_id`` sees it.

    Raises:
        ApprovalNotFoundError: there is no such request.
    """
    row = ApprovalRequest.objects.select_related("batch").filter(pk=request_id).first()
    if row is None:
        raise ApprovalNotFoundError(_("No approval request has this id."))
    return _views([row], viewer_id=viewer_id, now=timezone.now())[0]


def waiting_count(*, viewer_id: int, role: str) -> int:
    """How many requests a person with this role may decide now. One query, or none."""
    waiting = ApprovalRequest.objects.filter(
        status=ApprovalRequest.Status.OPEN, expires_at__gt=timezone.now()
    )
    if role not in ApproverRole.values:
        return 0
    return _decidable(waiting, viewer_id=viewer_id, role=role).count()


def policies() -> list[PolicyView]:
    """All policies by name, switched off ones included."""
    return [_policy_view(policy) for policy in ApprovalPolicy.objects.order_by("name")]


def policy(*, policy_id: uuid.UUID) -> PolicyView:
    """One policy.

    Raises:
        PolicyNotFoundError: there is no such policy.
    """
    row = ApprovalPolicy.objects.filter(pk=policy_id).first()
    if row is None:
        raise PolicyNotFoundError(_("No approval policy has this id."))
    return _policy_view(row)


def _in_inbox(inbox: Inbox, *, viewer_id: int, now: dt.datetime) -> QuerySet[ApprovalRequest]:
    if inbox is Inbox.ALL:
        return ApprovalRequest.objects.all()
    waiting = ApprovalRequest.objects.filter(status=ApprovalRequest.Status.OPEN, expires_at__gt=now)
    if inbox is Inbox.WAITING:
        return waiting
    role = accounts_selectors.active_role(user_id=viewer_id)
    if role is None or role not in ApproverRole.values:
        return ApprovalRequest.objects.none()
    return _decidable(waiting, viewer_id=viewer_id, role=role)


def _decidable(
    waiting: QuerySet[ApprovalRequest], *, viewer_id: int, role: str
) -> QuerySet[ApprovalRequest]:
    """Those that others than the viewer made and the viewer has not voted on."""
    voted = ApprovalVote.objects.filter(voter_id=viewer_id, decision__in=DECIDING)
    return (
        waiting.filter(roles__contains=[role])
        .exclude(maker_id=viewer_id)
        .exclude(pk__in=voted.values("request_id"))
    )


def _after(cursor: str, *, is_newest_first: bool) -> Q:
    """What comes after the request a cursor names, with the id where two opened together."""
    row = None
    if UUID_PATTERN.fullmatch(cursor):
        row = ApprovalRequest.objects.filter(pk=cursor).only("opened_at").first()
    if row is None:
        raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor")
    if is_newest_first:
        return Q(opened_at__lt=row.opened_at) | Q(opened_at=row.opened_at, pk__lt=row.pk)
    return Q(opened_at__gt=row.opened_at) | Q(opened_at=row.opened_at, pk__gt=row.pk)


def _views(
    rows: Sequence[ApprovalRequest], *, viewer_id: int, now: dt.datetime
) -> list[ApprovalView]:
    """A constant number of queries, whatever the number of rows."""
    votes: dict[uuid.UUID, list[ApprovalVote]] = {row.pk: [] for row in rows}
    cast_votes = ApprovalVote.objects.filter(request__in=votes).select_related("answer")
    for vote in cast_votes.order_by("pk"):
        votes[vote.request_id].append(vote)
    facts = ApprovalAssessment.objects.in_bulk([row.batch_id for row in rows])
    staff = accounts_selectors.active_users_by_role(roles=ApproverRole.values)
    people = {row.maker_id for row in rows} | {
        vote.voter_id for cast in votes.values() for vote in cast
    }
    refs = accounts_selectors.user_refs(ids=people)
    return [
        _view(
            row,
            votes=votes[row.pk],
            facts=facts[row.batch_id],
            free=_free_approvers(row, votes[row.pk], staff),
            refs=refs,
            seen=(viewer_id, now),
        )
        for row in rows
    ]


def _free_approvers(
    row: ApprovalRequest, votes: Sequence[ApprovalVote], staff: dict[str, set[int]]
) -> set[int]:
    """Who could still vote."""
    eligible = {pk for role in row.roles for pk in staff.get(role, ())}
    return eligible - {row.maker_id} - {v.voter_id for v in votes if v.decision in DECIDING}


def _view(
    row: ApprovalRequest,
    *,
    votes: Sequence[ApprovalVote],
    facts: ApprovalAssessment,
    free: set[int],
    refs: dict[int, str],
    seen: tuple[int, dt.datetime],
) -> ApprovalView:
    _viewer_id, now = seen
    approvals_count = sum(
        vote.decision == ApprovalVote.Decision.APPROVE and vote.content_sha256 == row.content_sha256
        for vote in votes
    )
    status = _status(row, missing=row.approvals_required - approvals_count, free=free, now=now)
    obstacle = _obstacle(row, votes=votes, free=free, seen=seen)
    return ApprovalView(
        id=row.pk,
        batch_id=row.batch_id,
        status=status,
        is_my_turn=obstacle is Obstacle.NONE,
        obstacle=obstacle,
        maker=refs[row.maker_id],
        reason=row.batch.reason,
        operator=row.batch.operator,
        subject=facts.subject.lower(),
        rows_count=facts.rows_count,
        tokens_total=facts.tokens_total,
        largest_row=facts.largest_row,
        maker_day_tokens=facts.maker_day_tokens,
        content_sha256=row.content_sha256,
        approvals_count=approvals_count,
        approvals_required=row.approvals_required,
        roles=tuple(role.lower() for role in row.roles),
        policies=tuple(_reached(row.policies)),
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        age_s=int(((row.decided_at or now) - row.opened_at).total_seconds()),
        votes=tuple(_vote_view(vote, refs) for vote in votes),
    )


def _status(row: ApprovalRequest, *, missing: int, free: set[int], now: dt.datetime) -> str:
    """The stored status, except where time or people have overtaken it."""
    if row.status != ApprovalRequest.Status.OPEN:
        return row.status.lower()
    if row.expires_at <= now:
        return ApprovalRequest.Status.EXPIRED.lower()
    return BLOCKED if len(free) < missing else ApprovalRequest.Status.OPEN.lower()


def _obstacle(
    row: ApprovalRequest,
    *,
    votes: Sequence[ApprovalVote],
    free: set[int],
    seen: tuple[int, dt.datetime],
) -> Obstacle:
    """What keeps the viewer from deciding; the first of several, as a vote would be told."""
    viewer_id, now = seen
    if row.status != ApprovalRequest.Status.OPEN:
        return Obstacle.DECIDED
    if row.expires_at <= now:
        return Obstacle.EXPIRED
    if viewer_id == row.maker_id:
        return Obstacle.MAKER
    if any(vote.voter_id == viewer_id and vote.decision in DECIDING for vote in votes):
        return Obstacle.VOTED
    return Obstacle.NONE if viewer_id in free else Obstacle.ROLE


def _reached(snapshots: Sequence[dict[str, Any]]) -> list[str]:
    return [str(snapshot["name"]) for snapshot in snapshots]


def _vote_view(vote: ApprovalVote, refs: dict[int, str]) -> VoteView:
    answer = getattr(vote, "answer", None)
    return VoteView(
        id=vote.pk,
        voter=refs[vote.voter_id],
        role=vote.voter_role.lower(),
        decision=vote.decision.lower(),
        comment=vote.comment,
        content_sha256=vote.content_sha256,
        second_factor_at=vote.second_factor_at,
        voted_at=vote.voted_at,
        answer=None
        if answer is None
        else AnswerView(
            author=refs[answer.author_id],
            comment=answer.comment,
            answered_at=answer.answered_at,
        ),
    )


def _policy_view(policy: ApprovalPolicy) -> PolicyView:
    return PolicyView(
        id=policy.pk,
        name=policy.name,
        subject=policy.subject.lower(),
        is_active=policy.is_active,
        row_tokens_min=policy.row_tokens_min,
        batch_tokens_min=policy.batch_tokens_min,
        rows_min=policy.rows_min,
        maker_day_tokens_min=policy.maker_day_tokens_min,
        approvals_required=policy.approvals_required,
        roles=tuple(role.lower() for role in policy.roles),
        expires_after_s=policy.expires_after_s,
        is_open_to_keys=policy.is_open_to_keys,
        updated_at=policy.updated_at,
    )
