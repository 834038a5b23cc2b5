"""Settings of the risk engine: what is counted, and for how long it is remembered."""

import environ
from celery.schedules import crontab

env = environ.Env()

# Whether requests are counted and rules look at accounts at all.
RISK_ENABLED = env.bool("RISK_ENABLED", default=True)
# How often rules look at jobs, tokens and sign-ins, in seconds; requests are looked at at once.
RISK_SWEEP_S = env.float("RISK_SWEEP_S", default=30.0)
# What is counted and which jobs took alike faces is kept for so many days, to test rules on.
RISK_HISTORY_DAYS = env.int("RISK_HISTORY_DAYS", default=30)
# What tells source faces apart is deleted after so many seconds; at most a day.
RISK_FACE_TTL_S = env.int("RISK_FACE_TTL_S", default=24 * 60 * 60)
# The key of what tells source faces apart; a new one forgets all of them at once. Empty: one that
# follows from SECRET_KEY.
RISK_FACE_KEY = env.str("RISK_FACE_KEY", default="")

RISK_APPEALS_RATE = env.str("RISK_APPEALS_RATE", default="10/h")

RISK_BEAT_SCHEDULE = {
    "risk-sweep": {
        "task": "risk.sweep",
        "schedule": RISK_SWEEP_S,
        "options": {"expires": max(RISK_SWEEP_S, 5.0)},
    },
    "risk-forget": {
        "task": "risk.forget",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "risk-purge": {
        "task": "risk.purge",
        "schedule": crontab(minute="50", hour="3"),
        "options": {"expires": 3600.0},
    },
}
