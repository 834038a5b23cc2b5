"""Read queries on policy changes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.console_permissions import role_may
from accounts.types import Role, Scope
from tokens.approval_errors import PolicyChangeNotFoundError
from tokens.approvals import POLICY_FIELDS, FieldChange, Obstacle, PolicyChangeView
from tokens.errors import InvalidCursorError
from tokens.models import PolicyChange

Status = PolicyChange.Status


def policy_changes(
    *, viewer_id: int, limit: int, cursor: str | None = None, is_open: bool = False
) -> tuple[list[PolicyChangeView], str | None]:
    """Changes as ``viewer_id`` sees them, newest first; and the cursor of the next page.

    Args:
        viewer_id: who looks.
        limit: changes of a page.
        cursor: where the page starts.
        is_open: only those that can still be decided.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    now = timezone.now()
    changes = PolicyChange.objects.order_by("-opened_at", "-id")
    if is_open:
        changes = changes.filter(status=Status.OPEN, expires_at__gt=now)
    if cursor is not None:
        changes = changes.filter(_after(cursor))
    rows = list(changes[: limit + 1])
    next_cursor = str(rows[limit - 1].pk) if len(rows) > limit else None
    return _views(rows[:limit], viewer_id=viewer_id, now=now), next_cursor


def policy_change(*, change_id: uuid.UUID, viewer_id: int) -> PolicyChangeView:
    """One change as ``viewer_id`` sees it.

    Raises:
        PolicyChangeNotFoundError: there is no such change.
    """
    row = PolicyChange.objects.filter(pk=change_id).first()
    if row is None:
        raise PolicyChangeNotFoundError(_("No policy change has this id."))
    return _views([row], viewer_id=viewer_id, now=timezone.now())[0]


def waiting_count(*, viewer_id: int, role: str) -> int:
    """How many changes a person with this role may decide now. One query, or none."""
    if not role_may(Role(role), Scope.POLICIES_WRITE):
        return 0
    waiting = PolicyChange.objects.filter(status=Status.OPEN, expires_at__gt=timezone.now())
    return waiting.exclude(maker_id=viewer_id).count()


def _after(cursor: str) -> Q:
    try:
        row = PolicyChange.objects.only("opened_at").get(pk=uuid.UUID(cursor))
    except (ValueError, PolicyChange.DoesNotExist) as error:
        raise InvalidCursorError(_("The cursor is not one of ours."), param="cursor") from error
    return Q(opened_at__lt=row.opened_at) | Q(opened_at=row.opened_at, pk__lt=row.pk)


def _views(
    rows: Sequence[PolicyChange], *, viewer_id: int, now: dt.datetime
) -> list[PolicyChangeView]:
    """A constant number of queries, whatever the number of rows."""
    people = {row.maker_id for row in rows} | {
        row.checker_id for row in rows if row.checker_id is not None
    }
    refs = accounts_selectors.user_refs(ids=people)
    is_administrator = accounts_selectors.active_may(
        user_id=viewer_id, scopes=[Scope.POLICIES_WRITE]
    )
    return [
        _view(
            row,
            obstacle=_obstacle(
                row, viewer_id=viewer_id, is_administrator=is_administrator, now=now
            ),
            refs=refs,
            now=now,
        )
        for row in rows
    ]


def _view(
    row: PolicyChange, *, obstacle: Obstacle, refs: dict[int, str], now: dt.datetime
) -> PolicyChangeView:
    is_overdue = row.status == Status.OPEN and row.expires_at <= now
    return PolicyChangeView(
        id=row.pk,
        policy_id=row.policy_id,
        policy_name=str(row.after["name"]),
        status=(Status.EXPIRED if is_overdue else Status(row.status)).lower(),
        is_my_turn=obstacle is Obstacle.NONE,
        obstacle=obstacle,
        is_new=row.before is None,
        is_bootstrap=row.is_bootstrap,
        maker=refs[row.maker_id],
        checker=None if row.checker_id is None else refs[row.checker_id],
        comment=row.comment,
        content_sha256=row.content_sha256,
        before=None if row.before is None else _wire(row.before),
        after=_wire(row.after),
        fields=_differences(row),
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
    )


def _obstacle(
    row: PolicyChange, *, viewer_id: int, is_administrator: bool, now: dt.datetime
) -> Obstacle:
    if row.status != Status.OPEN:
        return Obstacle.DECIDED
    if row.expires_at <= now:
        return Obstacle.EXPIRED
    if viewer_id == row.maker_id:
        return Obstacle.MAKER
    return Obstacle.NONE if is_administrator else Obstacle.ROLE


def _differences(row: PolicyChange) -> tuple[FieldChange, ...]:
    before = {} if row.before is None else _wire(row.before)
    return tuple(
        FieldChange(name, before.get(name), value)
        for name, value in _wire(row.after).items()
        if before.get(name) != value
    )


def _wire(state: dict[str, Any]) -> dict[str, Any]:
    """A policy's fields with the words of the wire, in the order of the forms."""
    return {
        **{name: state[name] for name in POLICY_FIELDS},
        "subject": str(state["subject"]).lower(),
        "roles": [str(role).lower() for role in state["roles"]],
    }
