"""The way of every app to the audit trail, which lives with the books in an app above most of them.

AUDIT_WRITER names the function that writes an event; ``record`` is all that callers see of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def record(
    *,
    actor_id: int | None,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Record a change of state, in the transaction that makes it.

    Args:
        actor_id: primary key of whoever did it; None for the platform itself.
        action: what was done, dotted and past, such as ``account.frozen``.
        subject: what it was done to, such as ``user:<user_ref>``.
        before: the state before, as JSON; None when the subject is new.
        after: the state after; None when the subject is gone.

    Raises:
        RuntimeError: no transaction is open; the event could outlive a rolled-back change.
    """
    write = import_string(settings.AUDIT_WRITER)
    write(actor_id=actor_id, action=action, subject=subject, before=before, after=after)
