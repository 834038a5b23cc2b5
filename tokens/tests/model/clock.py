"""A clock of the database's session that stands still until it is moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SCHEMA = "standing_clock"
HOUR = dt.timedelta(hours=1)
# The ledger's statements name these functions without a schema, so whichever comes first in the
# search path is the clock.
CREATE_SQL = f"""
CREATE SCHEMA {SCHEMA};
CREATE FUNCTION {SCHEMA}.now() RETURNS timestamptz STABLE LANGUAGE sql AS
$$ SELECT pg_catalog.current_setting('{SCHEMA}.moment')::timestamptz $$;
CREATE FUNCTION {SCHEMA}.clock_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS
$$ SELECT pg_catalog.current_setting('{SCHEMA}.moment')::timestamptz $$;
SET search_path = {SCHEMA}, pg_catalog, public;
"""


class StandingClock:
    """Time in whole hours, so that the very instant of an expiry can be met."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin at hour 0 again.

        A day ahead of the real clock: what a column's default stamps with the real time is then
        always in the past.
        """
        self._origin = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=1)
        self.set(0)

    def set(self, hour: int) -> None:
        """Make it ``hour`` for this thread's session."""
        self.now = self.moment(hour)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config(%s, %s, false)", [f"{SCHEMA}.moment", self.now.isoformat()]
            )

    def moment(self, hour: int) -> dt.datetime:
        return self._origin + hour * HOUR

    def hour(self, moment: dt.datetime | None) -> int | None:
        """The hour that ``moment`` is; None stays None."""
        if moment is None:
            return None
        hours, rest = divmod(moment - self._origin, HOUR)
        assert not rest, "all times of the model are whole hours"
        return hours


@contextmanager
def standing_clock() -> Iterator[StandingClock]:
    """Stop the session's clock; the real one is back afterwards."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE_SQL)
    try:
        yield StandingClock()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"RESET search_path; DROP SCHEMA {SCHEMA} CASCADE")
