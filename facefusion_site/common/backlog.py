"""How much of one kind of work waits; each app says it of its own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work at one moment; ``oldest_at`` is since when the first of it waits, None for none."""

    waiting_count: int
    running_count: int
    oldest_at: dt.datetime | None
