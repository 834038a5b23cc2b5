"""Filters of users under a name."""

from __future__ import annotations

import uuid

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from tokens import draft_selectors
from tokens.draft_errors import SegmentInvalidError
from tokens.drafts import SegmentFilter
from tokens.ledger.events import record_event
from tokens.models import UserSegment


def save_segment(*, actor_id: int, name: str, users: SegmentFilter) -> uuid.UUID:
    """Keep a filter under a name. Owns its transaction.

    Raises:
        SegmentInvalidError: the name is taken, or the filter has no condition.
    """
    if users == SegmentFilter():
        raise SegmentInvalidError(_("Name at least one condition."), param="role")
    try:
        with transaction.atomic(durable=True):
            row = UserSegment.objects.create(
                name=name,
                role=users.role,
                plan=users.plan,
                user_ref_prefix=users.user_ref_prefix,
                joined_after=users.joined_after,
                created_by_id=actor_id,
            )
            record_event(
                actor_id=actor_id,
                action="user_segment.created",
                subject=f"user_segment:{row.pk}",
                before=None,
                after=draft_selectors.segment_state(row),
            )
    except IntegrityError as error:
        raise SegmentInvalidError(_("This name is taken."), param="name") from error
    return row.pk


@transaction.atomic(durable=True)
def retire_segment(*, actor_id: int, segment_id: uuid.UUID) -> None:
    """Take a segment out of use; drafts that it has filled stay as they are.

    Owns its transaction.

    Raises:
        SegmentNotFoundError: there is no such segment in use.
    """
    row = draft_selectors.segment(segment_id=segment_id)
    before = draft_selectors.segment_state(row)
    row.is_active = False
    row.save(update_fields=["is_active"])
    record_event(
        actor_id=actor_id,
        action="user_segment.retired",
        subject=f"user_segment:{row.pk}",
        before=before,
        after=draft_selectors.segment_state(row),
    )


@transaction.atomic
def count_users(*, users: SegmentFilter) -> int:
    """How many users a filter has at this moment."""
    refs = accounts_selectors.active_user_refs(
        role=users.role or None,
        plan=users.plan or None,
        prefix=users.user_ref_prefix or None,
        joined_after=users.joined_after,
    )
    return sum(1 for _ref in refs)
