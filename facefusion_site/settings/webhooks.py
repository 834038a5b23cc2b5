"""Settings of webhooks: limits of an account, and how deliveries are tried."""

import environ
from celery.schedules import crontab

env = environ.Env()

WEBHOOK_ENDPOINTS_MAX = env.int("WEBHOOK_ENDPOINTS_MAX", default=10)
WEBHOOKS_RATE = env.str("WEBHOOKS_RATE", default="60/m")
# From the look-up of the name to the end of the answer.
WEBHOOK_TIMEOUT_S = env.int("WEBHOOK_TIMEOUT_S", default=15)
# Seconds between a failed try and the next one; one more than these is the number of tries.
WEBHOOK_RETRY_DELAYS_S = env.list(
    "WEBHOOK_RETRY_DELAYS_S",
    cast=int,
    default=[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
)
# Each delay is drawn within this share around it, so that receivers are not all called at once.
WEBHOOK_RETRY_JITTER = 0.1
# The longest wait that a receiver may ask for.
WEBHOOK_RETRY_AFTER_MAX_S = 86_400
# A silent worker's delivery is taken over after so many seconds: longer than any try takes.
WEBHOOK_LEASE_S = env.int("WEBHOOK_LEASE_S", default=60)
# Calls that one worker makes at once, and that one endpoint gets at once.
WEBHOOK_THREADS = env.int("WEBHOOK_THREADS", default=8)
WEBHOOK_ENDPOINT_CALLS_MAX = env.int("WEBHOOK_ENDPOINT_CALLS_MAX", default=4)
# Days that events and their deliveries are kept, and can be replayed.
WEBHOOK_KEEP_DAYS = env.int("WEBHOOK_KEEP_DAYS", default=30)
# Events that one request may replay.
WEBHOOK_REPLAY_MAX = env.int("WEBHOOK_REPLAY_MAX", default=10_000)
# How long the old secret goes on signing after a rotation, unless the request says otherwise.
WEBHOOK_ROTATION_OVERLAP_S = env.int("WEBHOOK_ROTATION_OVERLAP_S", default=86_400)

WEBHOOK_BEAT_SCHEDULE = {
    # What is due again, and what a lost message or worker left behind.
    "deliver-webhooks": {
        "task": "accounts.deliver_webhooks",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    "watch-balances": {
        "task": "tokens.watch_balances",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
    "purge-webhooks": {
        "task": "accounts.purge_webhooks",
        "schedule": crontab(minute="50", hour="3"),
        "options": {"expires": 3600.0},
    },
}
