"""Settings of productions: sizes, and how often the platform looks after them."""

import environ

env = environ.Env()

# Rows of one manifest, and people of one production.
PRODUCTION_ROWS_MAX = env.int("PRODUCTION_ROWS_MAX", default=10_000)
PRODUCTION_PEOPLE_MAX = env.int("PRODUCTION_PEOPLE_MAX", default=200)
# Rows that become jobs in one transaction; at most JOB_BATCH_ROWS_MAX.
PRODUCTION_WAVE_ROWS = env.int("PRODUCTION_WAVE_ROWS", default=200)
PRODUCTION_BEAT_SCHEDULE = {
    "advance-productions": {
        "task": "productions.advance",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
}
