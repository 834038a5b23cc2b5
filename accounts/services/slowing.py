"""Slowing an account down: half of every request limit, for a while."""

from __future__ import annotations

import datetime as dt

from accounts import freezes


def slow_account(*, user_id: int, until: dt.datetime | None) -> None:
    """Halve the request limits of an account until then; give them back where ``until`` is None.

    In the caller's transaction; locks the user. What is said last counts: who has several reasons
    names the latest end of them.

    Raises:
        UserNotFoundError: there is no such user.
    """
    user = freezes.lock(user_id=user_id)
    user.slowed_until = until
    user.save(update_fields=["slowed_until"])
