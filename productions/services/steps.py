"""What every step of a production does: look at it under its lock, move it, write it down."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from django.utils.translation import gettext as _

from facefusion_site.common import audit
from productions.errors import ProductionStateError
from productions.models import Production
from productions.types import State

ANY: Final = frozenset(State)


def lock(*, production_id: uuid.UUID, allowed: Collection[State]) -> Production:
    """The production under its lock, which comes before those of jobs and wallets.

    Joins the caller's transaction.

    Raises:
        ProductionStateError: it is in another state.
    """
    row = Production.objects.select_for_update(no_key=True).get(pk=production_id)
    if row.state not in allowed:
        raise ProductionStateError(
            _("It is “%(state)s”, which does not allow this.") % {"state": row.get_state_display()},
            state=row.state.lower(),
        )
    return row


def move(
    production: Production, *, to: State, action: str, actor_id: int | None, **facts: Any
) -> None:
    """Give it a state and store the fields that were changed before, with an audit event.

    Joins the caller's transaction, which has locked the production.

    Args:
        production: with its changes.
        to: the new state, or the one it has.
        action: what was done, for the audit event ``production.<action>``.
        actor_id: who did it; None for the platform itself.
        **facts: what else the event says, as JSON.
    """
    before = State(Production.objects.values_list("state", flat=True).get(pk=production.pk))
    production.state = to
    production.save()
    audit.record(
        actor_id=actor_id,
        action=f"production.{action}",
        subject=f"production:{production.pk}",
        before={"state": before.lower()},
        after={"state": to.lower(), **facts},
    )
