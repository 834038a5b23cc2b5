"""Approvals of batches: open a request, vote on it, recall it."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone

from tokens.approvals import Ballot, BatchFacts, Decision
from tokens.ledger import answers
from tokens.ledger import approvals as ledger
from tokens.ledger.locks import require_transaction


def open_if_required(
    *,
    batch_id: uuid.UUID,
    actor_id: int,
    facts: BatchFacts,
    content_sha256: str,
    now: dt.datetime | None = None,
) -> bool:
    """Ask the policies about a batch; open a request when one of them applies.

    Joins the caller's transaction, which also creates the batch. Call it before any wallet is
    locked: where a policy watches one person's 24 hours, that person's batches queue here.

    Args:
        batch_id: the batch; at most one request is ever opened for it.
        actor_id: primary key of its maker, who may not vote on it.
        facts: what it asks for.
        content_sha256: digest of its content in lower-case hex; votes bind to it.
        now: the moment of asking; the current one by default.

    Returns:
        True when a request was opened and the batch has to wait for it.
    """
    require_transaction()
    request = ledger.assess(
        batch_id=batch_id,
        maker_id=actor_id,
        facts=facts,
        content_sha256=content_sha256,
        now=now,
    )
    return request is not None


def vote(
    *, request_id: uuid.UUID, voter_id: int, ballot: Ballot, now: dt.datetime | None = None
) -> Decision:
    """Record what one person says about a request; a quorum or one rejection decides it.

    Joins the caller's transaction, which must release or refuse the batch when ``is_closed_now``.
    The request is locked, so of several votes at once each sees the one before. Repeating one's
    own vote changes nothing and reports where the request stands.

    Raises:
        ApprovalNotFoundError: there is no such request.
        AlreadyVotedError: the person has voted differently before.
        ApprovalClosedError: it was decided before.
        ApprovalExpiredError: its time has run out.
        ApproverNotEligibleError: the voter is switched off or has none of the roles.
        MakerMayNotCheckError: the voter made the batch.
        ApprovalContentChangedError: the vote is about another content than the batch has now.
        ApprovalCommentMissingError: a rejection or a question without words.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        KeyMayNotVoteError: an API key, and a policy asks for people.
    """
    require_transaction()
    return ledger.cast_vote(
        request_id=request_id, voter_id=voter_id, ballot=ballot, now=now or timezone.now()
    )


@transaction.atomic(durable=True)
def answer_question(
    *, request_id: uuid.UUID, question_id: int, author_id: int, comment: str
) -> bool:
    """Let the maker answer a question; everybody who may see the request sees the answer.

    Owns its transaction. Nothing is decided by it and the digest stays, so votes cast before keep
    their meaning. One answer per question; repeating it changes nothing.

    Args:
        request_id: the approval request.
        question_id: the id of the vote that asks.
        author_id: the maker.
        comment: the answer, up to 500 characters.

    Returns:
        True when the same answer was given before.

    Raises:
        ApprovalNotFoundError: there is no such request.
        OnlyTheMakerError: somebody else made the batch.
        QuestionNotFoundError: the request has no such question.
        AlreadyAnsweredError: it has another answer.
        ApprovalClosedError: the request was decided before.
        ApprovalExpiredError: its time has run out.
        ApprovalCommentMissingError: no words.
    """
    return answers.answer(
        request_id=request_id,
        question_id=question_id,
        author_id=author_id,
        comment=comment,
        now=timezone.now(),
    )


def recall(*, batch_id: uuid.UUID, actor_id: int) -> bool:
    """Close the open request of a batch that was stopped; joins the caller's transaction.

    Returns:
        True when a request was open.
    """
    require_transaction()
    return ledger.recall(batch_id=batch_id, actor_id=actor_id) is not None
