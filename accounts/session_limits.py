"""How long a session of the staff lasts: not long without a request, and never past its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User

_SIGNED_IN: Final = "staff_signed_in_at"
_SEEN: Final = "staff_seen_at"
# A session is written at most this often for being used, so idle time is this exact.
_TOUCH_S: Final = 30


def begin(*, request: HttpRequest, user: User, **_signal: Any) -> None:
    """Start the clocks of a new session; what Django sends when somebody signs in."""
    if user.is_staff:
        now = int(timezone.now().timestamp())
        request.session[_SIGNED_IN] = request.session[_SEEN] = now


def keep(*, session: SessionBase, now: datetime) -> bool:
    """Note that the session is used.

    Returns:
        False when it was silent for too long or is too old: the caller must end it.
    """
    moment = int(now.timestamp())
    signed_in, seen = session.get(_SIGNED_IN), session.get(_SEEN)
    if signed_in is None or seen is None:
        # From before the account joined the staff.
        session[_SIGNED_IN] = session[_SEEN] = moment
        return True
    if moment - seen > settings.CONSOLE_IDLE_S:
        return False
    if moment - signed_in > settings.CONSOLE_SESSION_MAX_S:
        return False
    if moment - seen >= _TOUCH_S:
        session[_SEEN] = moment
    return True
