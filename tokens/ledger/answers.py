"""Answers of makers to the questions of approvers."""

from __future__ import annotations

import datetime as dt
import uuid

from django.utils.translation import gettext_lazy as _

from tokens.approval_errors import (
    AlreadyAnsweredError,
    OnlyTheMakerError,
    QuestionNotFoundError,
)
from tokens.errors import (
    ApprovalClosedError,
    ApprovalCommentMissingError,
    ApprovalExpiredError,
    ApprovalNotFoundError,
)
from tokens.ledger.approvals import state
from tokens.ledger.events import record_event
from tokens.ledger.locks import require_transaction
from tokens.models import ApprovalAnswer, ApprovalRequest, ApprovalVote


def answer(
    *,
    request_id: uuid.UUID,
    question_id: int,
    author_id: int,
    comment: str,
    now: dt.datetime,
) -> bool:
    """Write the answer beside the question; the request and its digest stay as they are.

    Returns:
        True when the very same answer was there before.
    """
    require_transaction()
    # As a vote locks it, so that an answer and a decision follow each other.
    locked = ApprovalRequest.objects.select_for_update(no_key=True, of=("self",))
    request = locked.filter(pk=request_id).first()
    if request is None:
        raise ApprovalNotFoundError(_("No approval request has this id."))
    if author_id != request.maker_id:
        raise OnlyTheMakerError(_("Questions are answered by the person who made the batch."))
    question = request.votes.filter(pk=question_id, decision=ApprovalVote.Decision.ASK).first()
    if question is None:
        raise QuestionNotFoundError(
            _("The request has no question with this id."), param="question_id"
        )
    words = comment.strip()
    earlier = ApprovalAnswer.objects.filter(pk=question_id).first()
    if earlier is not None:
        if earlier.comment == words:
            return True
        raise AlreadyAnsweredError(_("You have answered this question; an answer stays."))
    if request.status != ApprovalRequest.Status.OPEN:
        raise ApprovalClosedError(
            _("This request was decided before."), approval_status=request.status.lower()
        )
    if request.expires_at <= now:
        raise ApprovalExpiredError(_("The time to decide this request has run out."))
    if not words:
        raise ApprovalCommentMissingError(_("Say what you want to answer."), param="comment")
    ApprovalAnswer.objects.create(question=question, author_id=author_id, comment=words)
    record_event(
        actor_id=author_id,
        action="approval_request.answered_by",
        subject=f"approval_request:{request.pk}",
        before=state(request),
        after=state(request) | {"question": question_id, "comment": words},
    )
    return False
