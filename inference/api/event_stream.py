"""A job as server-sent events: the whole state with each change, so nothing has to be repeated."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.db import close_old_connections

from inference.api.serializers.jobs import progress_of
from inference.watching import JobState, Listener

CONTENT_TYPE: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
_RECONNECT_MS: Final = 2000


class EventStream:
    """The body of an answer; closing it gives the listener's place back.

    Args:
        listener: of the job.
        job_id: the job.
        last_event_id: what the client saw last; that state is not told again.
    """

    def __init__(self, listener: Listener, *, job_id: uuid.UUID, last_event_id: str) -> None:
        self._listener = listener
        self._job_id = job_id
        self._last_event_id = last_event_id

    def __iter__(self) -> Iterator[bytes]:
        # The request's connection goes back to the pool: a listener needs none.
        close_old_connections()
        deadline = time.monotonic() + settings.JOB_EVENTS_MAX_S
        yield f"retry: {_RECONNECT_MS}\n\n".encode()
        state: JobState | None = None
        while (left_s := deadline - time.monotonic()) > 0:
            changed = self._listener.next(known=state, timeout_s=min(HEARTBEAT_S, left_s))
            if changed is None:
                yield b": still here\n\n"
                continue
            state = changed
            if state.id != self._last_event_id:
                yield event(self._job_id, state)
            if state.is_final:
                return

    def close(self) -> None:
        """Called by the server at the end, also when the client went away."""
        self._listener.close()


def event(job_id: uuid.UUID, state: JobState) -> bytes:
    """One event: ``state`` while the job goes on, ``end`` with its last state."""
    data = {"job_id": str(job_id), "state": state.status.lower(), "progress": progress_of(state)}
    name = "end" if state.is_final else "state"
    return f"id: {state.id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
