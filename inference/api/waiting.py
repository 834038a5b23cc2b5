"""``Prefer: wait`` (RFC 7240): answer when the job has ended, or when the time is over."""

from __future__ import annotations

import re
import uuid
from typing import Final

from django.db import close_old_connections
from rest_framework.request import Request

from inference.job_errors import TooManyListenersError
from inference.watching import watch

HEADER: Final = "Prefer"
APPLIED_HEADER: Final = "Preference-Applied"
WAIT_MAX_S: Final = 60
_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


def preferred_s(request: Request) -> int:
    """Seconds that the caller wants to wait, at most WAIT_MAX_S; 0 for what cannot be read."""
    match = _WAIT.search(request.headers.get(HEADER, ""))
    return min(int(match[1]), WAIT_MAX_S) if match else 0


def until_end(*, job_id: uuid.UUID, owner_id: int, wait_s: int) -> bool:
    """Sleep until the job has ended or ``wait_s`` seconds are over, without a connection.

    Returns:
        False when all places for listeners are taken: the caller answers at once.
    """
    try:
        listener = watch.listen(job_id=job_id, owner_id=owner_id)
    except TooManyListenersError:
        return False
    with listener:
        # Only then does the pool have it for others.
        close_old_connections()
        listener.end(timeout_s=wait_s)
    return True
