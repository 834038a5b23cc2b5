"""Settings of jobs: how many at once, how many listeners, how large a batch."""

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

_PLANS = ("free", "vip", "enterprise", "custom")
_AT_ONCE = {"free": 2, "vip": 4, "enterprise": 16, "custom": 16}
# Jobs that an account may have at work at once, by its plan; more of them wait, none is refused.
JOBS_AT_ONCE = _AT_ONCE | env.json("JOBS_AT_ONCE", default={})
# Rows of one batch of jobs.
JOB_BATCH_ROWS_MAX = env.int("JOB_BATCH_ROWS_MAX", default=1_000)
# Answers that wait for a job: in one process of the web server, and of one account in it. The
# server starts that many threads beside those for ordinary requests.
JOB_LISTENERS_MAX = env.int("JOB_LISTENERS_MAX", default=100)
JOB_LISTENERS_PER_ACCOUNT = env.int("JOB_LISTENERS_PER_ACCOUNT", default=10)
# An event stream ends after this long; the client connects again.
JOB_EVENTS_MAX_S = env.int("JOB_EVENTS_MAX_S", default=600)

if set(JOBS_AT_ONCE) != set(_PLANS) or any(
    not isinstance(places, int) or places < 1 for places in JOBS_AT_ONCE.values()
):
    raise ImproperlyConfigured(
        f'JOBS_AT_ONCE names plans ({", ".join(_PLANS)}) with numbers from 1 up, like {{"vip": 8}}.'
    )
